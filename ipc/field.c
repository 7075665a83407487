/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/field.h"

#include <assert.h>
#include <inttypes.h>
#include <msgpack/pack.h>

#include "base/text.h"
#include "ipc/mp.h"
#include "ipc/scan.h"

static const char *const type_names[] = {
        [FIELD_TYPE_BOOL] = "bool", [FIELD_TYPE_U32] = "u32", [FIELD_TYPE_U64] = "u64",
        [FIELD_TYPE_I64] = "i64",   [FIELD_TYPE_STR] = "str", [FIELD_TYPE_BIN] = "bin",
        [FIELD_TYPE_ANY] = "any",
};

const char *field_type_name(enum field_type type) {
        return (unsigned int)type < ARRAY_SIZE(type_names) ? type_names[type] : "unknown";
}

/* The member of an object, read or written as _type. */
#define MEMBER(_object, _field, _type) ((_type *)(void *)((char *)(_object) + (_field)->offset))

/* --- encoding --- */

static int write_to_buf(void *data, const char *bytes, size_t n) {
        return buf_append(data, bytes, n) < 0 ? -1 : 0;
}

static bool is_absent(const struct field *field, const void *object) {
        if (!object)
                return true;
        switch (field->type) {
        case FIELD_TYPE_BOOL:
                return !(field->flags & FIELD_REQUIRED) && !*MEMBER(object, field, const bool);
        case FIELD_TYPE_U32:
                return !(field->flags & FIELD_REQUIRED) &&
                       *MEMBER(object, field, const uint32_t) == 0;
        case FIELD_TYPE_U64:
                return !(field->flags & FIELD_REQUIRED) &&
                       *MEMBER(object, field, const uint64_t) == 0;
        case FIELD_TYPE_I64:
                return !(field->flags & FIELD_REQUIRED) &&
                       *MEMBER(object, field, const int64_t) == 0;
        case FIELD_TYPE_STR:
                return !*MEMBER(object, field, const char *const);
        case FIELD_TYPE_BIN:
                return !(field->flags & FIELD_REQUIRED) &&
                       MEMBER(object, field, const struct bytes)->len == 0;
        case FIELD_TYPE_ANY:
                return MEMBER(object, field, const struct bytes)->len == 0;
        }
        return true;
}

static int encode_str(const struct field *field, const char *text, msgpack_packer *packer) {
        size_t n = strlen(text);

        if (n > field->max)
                return -E2BIG;
        if (!utf8_is_valid((const uint8_t *)text, n))
                return -EILSEQ;
        msgpack_pack_str(packer, n);
        msgpack_pack_str_body(packer, text, n);
        return 0;
}

static int encode_bytes(const struct field *field, struct bytes bytes, msgpack_packer *packer,
                        struct buf *out) {
        if (bytes.len > field->max || bytes.len > UINT32_MAX)
                return -E2BIG;
        if (field->type == FIELD_TYPE_BIN) {
                msgpack_pack_bin(packer, bytes.len);
                msgpack_pack_bin_body(packer, bytes.data, bytes.len);
                return 0;
        }
        if (msgpack_scan_one(bytes, &SCAN_LIMITS_MESSAGE) < 0)
                return -EILSEQ;
        buf_append(out, bytes.data, bytes.len);
        return 0;
}

static int encode_number(const struct field *field, uint64_t value, msgpack_packer *packer) {
        if (value > field->max)
                return -E2BIG;
        msgpack_pack_uint64(packer, value);
        return 0;
}

static int encode_value(const struct field *field, const void *object, msgpack_packer *packer,
                        struct buf *out) {
        switch (field->type) {
        case FIELD_TYPE_BOOL:
                *MEMBER(object, field, const bool) ? msgpack_pack_true(packer)
                                                   : msgpack_pack_false(packer);
                return 0;
        case FIELD_TYPE_U32:
                return encode_number(field, *MEMBER(object, field, const uint32_t), packer);
        case FIELD_TYPE_U64:
                return encode_number(field, *MEMBER(object, field, const uint64_t), packer);
        case FIELD_TYPE_I64:
                msgpack_pack_int64(packer, *MEMBER(object, field, const int64_t));
                return 0;
        case FIELD_TYPE_STR:
                return encode_str(field, *MEMBER(object, field, const char *const), packer);
        case FIELD_TYPE_BIN:
        case FIELD_TYPE_ANY:
                return encode_bytes(field, *MEMBER(object, field, const struct bytes), packer, out);
        }
        return -EINVAL;
}

static int encode_fields(const struct record *record, const void *object, struct buf *out) {
        msgpack_packer packer;
        uint32_t n = 0;

        msgpack_packer_init(&packer, out, write_to_buf);
        for (uint32_t i = 0; i < record->n_fields; i++) {
                bool absent = is_absent(&record->fields[i], object);

                if (absent && record->fields[i].flags & FIELD_REQUIRED)
                        return -EINVAL;
                n += !absent;
        }
        msgpack_pack_map(&packer, n);
        for (uint32_t i = 0; i < record->n_fields; i++) {
                const struct field *field = &record->fields[i];
                size_t n_name = strlen(field->name);
                int r;

                if (is_absent(field, object))
                        continue;
                msgpack_pack_str(&packer, n_name);
                msgpack_pack_str_body(&packer, field->name, n_name);
                r = encode_value(field, object, &packer, out);
                if (r < 0)
                        return r;
        }
        return buf_result(out);
}

int record_encode(const struct record *record, const void *object, struct buf *out) {
        size_t start = out->len;
        int r = encode_fields(record, object, out);

        /* Half a map is of no use to anybody, and the caller may want to send an error in its
         * place. */
        if (r < 0)
                out->len = start;
        return r;
}

/* What encode_value() thinks of one member, without the bytes. */
static int try_encode(const struct field *field, const void *object) {
        cleanup_buf struct buf scratch = BUF_INIT(SIZE_MAX);
        msgpack_packer packer;

        msgpack_packer_init(&packer, &scratch, write_to_buf);
        if (is_absent(field, object))
                return field->flags & FIELD_REQUIRED ? -EINVAL : 0;
        return encode_value(field, object, &packer, &scratch);
}

int record_encode_error(const struct record *record, const void *object, int r, struct error *err) {
        for (uint32_t i = 0; i < record->n_fields; i++) {
                const struct field *field = &record->fields[i];

                switch (try_encode(field, object)) {
                case -E2BIG:
                        return error_set(err, ERROR_LIMIT, r,
                                         field->type == FIELD_TYPE_U32 ||
                                                         field->type == FIELD_TYPE_U64
                                                 ? "'%s' is larger than %" PRIu64
                                                 : "'%s' is longer than %" PRIu64 " bytes",
                                         field->name, field->max);
                case -EILSEQ:
                        return error_set(err, ERROR_INVALID, r, "'%s' is not %s", field->name,
                                         field->type == FIELD_TYPE_STR ? "UTF-8" : "msgpack");
                case -EINVAL:
                        return error_set(err, ERROR_INVALID, r, "'%s' is missing", field->name);
                }
        }
        return error_set(err, ERROR_INVALID, r, "it cannot be encoded: %s", strerror(-r));
}

/* --- decoding --- */

static int wrong_type(const struct field *field, struct error *err) {
        return error_set(err, ERROR_INVALID, -EBADMSG, "field '%s' is not a %s", field->name,
                         field_type_name(field->type));
}

static int too_large(const struct field *field, uint64_t n, struct error *err) {
        return error_set(err, ERROR_LIMIT, -EBADMSG,
                         "field '%s' has %" PRIu64 " bytes, at most %" PRIu64 " are allowed",
                         field->name, n, field->max);
}

/*
 * Makes a C string of a msgpack str in the frame: its header has at least one byte, so the text
 * moves one down and the NUL stands where its last byte was.
 */
static int decode_str(const struct field *field, uint8_t *text, size_t n, const char **ret,
                      struct error *err) {
        if (n > field->max)
                return too_large(field, n, err);
        if (!utf8_is_valid(text, n) || memchr(text, '\0', n))
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "field '%s' is not UTF-8 text without NUL", field->name);
        text--;
        memmove(text, text + 1, n);
        text[n] = '\0';
        *ret = (const char *)text;
        return 0;
}

static int decode_number(const struct field *field, const struct mp_value *value, uint64_t *ret,
                         struct error *err) {
        if (value->type == MP_INT)
                return error_set(err, ERROR_INVALID, -EBADMSG, "field '%s' is negative",
                                 field->name);
        if (value->type != MP_UINT)
                return wrong_type(field, err);
        if (value->u > field->max)
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "field '%s' is %" PRIu64 ", at most %" PRIu64 " is allowed",
                                 field->name, value->u, field->max);
        *ret = value->u;
        return 0;
}

static int decode_i64(const struct field *field, const struct mp_value *value, int64_t *ret,
                      struct error *err) {
        if (value->type == MP_INT) {
                *ret = value->i;
                return 0;
        }
        if (value->type != MP_UINT)
                return wrong_type(field, err);
        if (value->u > INT64_MAX)
                return error_set(err, ERROR_INVALID, -EBADMSG, "field '%s' is out of range",
                                 field->name);
        *ret = (int64_t)value->u;
        return 0;
}

static int decode_any(const struct field *field, struct mp_reader *reader, struct bytes *ret,
                      struct error *err) {
        const uint8_t *start = reader->pos;

        if (mp_skip(reader) < 0)
                return wrong_type(field, err);
        *ret = BYTES(start, (size_t)(reader->pos - start));
        return ret->len > field->max ? too_large(field, ret->len, err) : 0;
}

/* frame is the same memory as the reader's, writable. */
static int decode_value(const struct field *field, struct mp_reader *reader, uint8_t *frame,
                        void *object, struct error *err) {
        struct mp_value value;
        uint64_t number = 0;
        int r;

        if (field->type == FIELD_TYPE_ANY)
                return decode_any(field, reader, MEMBER(object, field, struct bytes), err);
        if (mp_read(reader, &value) < 0)
                return wrong_type(field, err);
        switch (field->type) {
        case FIELD_TYPE_BOOL:
                if (value.type != MP_BOOL)
                        return wrong_type(field, err);
                *MEMBER(object, field, bool) = value.b;
                return 0;
        case FIELD_TYPE_U32:
        case FIELD_TYPE_U64:
                r = decode_number(field, &value, &number, err);
                if (r < 0)
                        return r;
                if (field->type == FIELD_TYPE_U32)
                        *MEMBER(object, field, uint32_t) = (uint32_t)number;
                else
                        *MEMBER(object, field, uint64_t) = number;
                return 0;
        case FIELD_TYPE_I64:
                return decode_i64(field, &value, MEMBER(object, field, int64_t), err);
        case FIELD_TYPE_STR:
                if (value.type != MP_STR)
                        return wrong_type(field, err);
                return decode_str(field, frame + (value.data - frame), value.n,
                                  MEMBER(object, field, const char *), err);
        case FIELD_TYPE_BIN:
                if (value.type != MP_BIN)
                        return wrong_type(field, err);
                if (value.n > field->max)
                        return too_large(field, value.n, err);
                *MEMBER(object, field, struct bytes) = BYTES(value.data, value.n);
                return 0;
        case FIELD_TYPE_ANY:
                break;
        }
        return wrong_type(field, err);
}

/* Index of the field of this name, or n_fields. */
static uint32_t find_field(const struct record *record, struct bytes name) {
        uint32_t i;

        for (i = 0; i < record->n_fields; i++)
                if (bytes_eq(name, record->fields[i].name))
                        break;
        return i;
}

static int unknown_key(struct bytes key, struct error *err) {
        cleanup_buf struct buf name = BUF_INIT(128);

        /* A key that is too long to be shown is cut: it is foreign text and wrong anyway. */
        text_append_escaped(&name, key.data, MIN(key.len, (size_t)12));
        return error_set(err, ERROR_INVALID, -EBADMSG, "unknown field '%.*s'", (int)name.len,
                         (const char *)name.data);
}

static int decode_pair(const struct record *record, struct mp_reader *reader, uint8_t *frame,
                       enum record_mode mode, void *object, uint64_t *seen, struct error *err) {
        struct bytes key;
        uint32_t i;
        int r;

        r = mp_read_str(reader, &key);
        if (r < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "a key is not a str");
        i = find_field(record, key);
        if (i == record->n_fields) {
                if (mode == RECORD_STRICT)
                        return unknown_key(key, err);
                return mp_skip(reader);
        }
        if (*seen & UINT64_C(1) << i)
                return error_set(err, ERROR_INVALID, -EBADMSG, "field '%s' comes twice",
                                 record->fields[i].name);
        *seen |= UINT64_C(1) << i;
        return decode_value(&record->fields[i], reader, frame, object, err);
}

int record_decode(const struct record *record, uint8_t *frame, size_t len, enum record_mode mode,
                  void *object, struct error *err) {
        struct mp_reader reader = mp_reader_of(BYTES(frame, len));
        uint64_t seen = 0;
        uint32_t n;
        int r;

        assert(record->n_fields <= 64);
        if (record->size > 0)
                memset(object, 0, record->size);
        r = msgpack_scan_one(BYTES(frame, len), &SCAN_LIMITS_MESSAGE);
        if (r < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "not one whole msgpack object%s",
                                 r == -E2BIG ? " of allowed depth and number of elements" : "");
        r = mp_read_map(&reader, &n);
        if (r < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "not a msgpack map");
        for (uint32_t i = 0; i < n; i++) {
                r = decode_pair(record, &reader, frame, mode, object, &seen, err);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < record->n_fields; i++)
                if (record->fields[i].flags & FIELD_REQUIRED && !(seen & UINT64_C(1) << i))
                        return error_set(err, ERROR_INVALID, -EBADMSG, "field '%s' is missing",
                                         record->fields[i].name);
        return 0;
}
