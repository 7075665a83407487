/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/rpc.h"

#include "base/text.h"
#include "gadget/api.h"
#include "ipc/mp.h"
#include "ipc/scan.h"

/* Longest id and name there can be, so that nobody makes us look for a method of a megabyte. */
#define METHOD_NAME_MAX 64

static const struct field error_fields[] = {
        F_STR(struct rpc_error, code, FIELD_REQUIRED, 32,
              "Stable name of the error's class, such as \"not-found\"."),
        F_STR(struct rpc_error, message, FIELD_REQUIRED, 4096, "What failed and where, one line."),
        F_STR(struct rpc_error, hint, 0, 4096, "What the user can do about it."),
        F_STR(struct rpc_error, detail, 0, LIMIT_ERROR_DETAIL_MAX,
              "More lines, such as the end of a verifier log."),
};
const struct record rpc_error_record = RECORD("error", struct rpc_error, error_fields);

/* --- receiving --- */

/* Reads one whole object and returns its bytes when its type is the wanted one, or empty when it is
 * nil. */
static int take_object(struct mp_reader *reader, enum mp_type type, struct bytes *ret) {
        struct mp_reader peek = *reader;
        const uint8_t *start = reader->pos;
        struct mp_value value;

        if (mp_read(&peek, &value) < 0 || mp_skip(reader) < 0)
                return -EBADMSG;
        if (value.type == MP_NIL) {
                *ret = (struct bytes){ 0 };
                return 0;
        }
        *ret = BYTES(start, (size_t)(reader->pos - start));
        return value.type == type ? 0 : -EBADMSG;
}

static int take_id(struct mp_reader *reader, uint32_t *ret) {
        uint64_t id;

        if (mp_read_uint(reader, &id) < 0 || id > UINT32_MAX)
                return -EBADMSG;
        *ret = (uint32_t)id;
        return 0;
}

static int take_method(struct mp_reader *reader, struct bytes *ret) {
        if (mp_read_str(reader, ret) < 0 || ret->len > METHOD_NAME_MAX)
                return -EBADMSG;
        return 0;
}

static int take_request(struct mp_reader *reader, struct rpc_message *ret) {
        if (take_id(reader, &ret->id) < 0 || take_method(reader, &ret->method) < 0 ||
            take_object(reader, MP_MAP, &ret->params) < 0 || ret->params.len == 0)
                return -EBADMSG;
        return 0;
}

static int take_response(struct mp_reader *reader, struct rpc_message *ret) {
        if (take_id(reader, &ret->id) < 0 || take_object(reader, MP_MAP, &ret->error) < 0 ||
            take_object(reader, MP_MAP, &ret->params) < 0)
                return -EBADMSG;
        /* Exactly one of them. */
        return (ret->error.len == 0) == (ret->params.len == 0) ? -EBADMSG : 0;
}

static int take_notification(struct mp_reader *reader, struct rpc_message *ret) {
        if (take_method(reader, &ret->method) < 0 ||
            take_object(reader, MP_ARRAY, &ret->params) < 0 || ret->params.len == 0)
                return -EBADMSG;
        return 0;
}

static int take_message(struct mp_reader *reader, uint32_t n, struct rpc_message *ret) {
        static const uint32_t sizes[] = {
                [RPC_REQUEST] = 4,
                [RPC_RESPONSE] = 4,
                [RPC_NOTIFICATION] = 3,
        };
        uint64_t kind;

        if (mp_read_uint(reader, &kind) < 0 || kind >= ARRAY_SIZE(sizes) || n != sizes[kind])
                return -EBADMSG;
        ret->kind = (enum rpc_kind)kind;
        switch (ret->kind) {
        case RPC_REQUEST:
                return take_request(reader, ret);
        case RPC_RESPONSE:
                return take_response(reader, ret);
        case RPC_NOTIFICATION:
                return take_notification(reader, ret);
        }
        return -EBADMSG;
}

int rpc_next(uint8_t *data, size_t len, size_t max, struct rpc_message *ret) {
        struct scan_limits limits = SCAN_LIMITS_MESSAGE;
        struct mp_reader reader;
        uint32_t n_elements;
        ssize_t size;
        int r;

        if (len == 0)
                return 0;
        /* What cannot become a message is refused by its first byte: nobody makes us collect
         * megabytes of it. */
        if (data[0] != 0x93 && data[0] != 0x94)
                return -EBADMSG;
        limits.size = max;
        size = msgpack_scan(BYTES(data, len), &limits);
        if (size == -EAGAIN)
                return len >= max ? -EFBIG : 0;
        if (size < 0)
                return (int)size;

        reader = mp_reader_of(BYTES(data, (size_t)size));
        r = mp_read_array(&reader, &n_elements);
        if (r < 0)
                return r;
        *ret = (struct rpc_message){ .size = (size_t)size };
        r = take_message(&reader, n_elements, ret);
        return r < 0 ? r : 1;
}

/* --- sending --- */

#define ENVELOPE_MAX (MP_HEADER_MAX * 2 + MP_SCALAR_MAX * 2 + METHOD_NAME_MAX)

/* Undoes what was appended when the rest of the message failed: half a message would be the end of
 * the connection. */
static int finish(struct buf *out, size_t start, int r) {
        if (r < 0)
                out->len = start;
        return r;
}

int rpc_put_request(struct buf *out, uint32_t id, enum method method, const void *request) {
        const struct method_info *info = &methods[method];
        size_t start = out->len;
        uint8_t *p;

        p = buf_reserve(out, ENVELOPE_MAX);
        if (!p)
                return buf_result(out);
        p = mp_put_array(p, 4);
        p = mp_put_uint(p, RPC_REQUEST);
        p = mp_put_uint(p, id);
        p = mp_put_str(p, info->name, (uint32_t)strlen(info->name));
        out->len = (size_t)(p - out->data);
        return finish(out, start, record_encode(&info->request, request, out));
}

int rpc_put_reply(struct buf *out, uint32_t id, enum method method, const void *reply) {
        size_t start = out->len;
        uint8_t *p;

        p = buf_reserve(out, ENVELOPE_MAX);
        if (!p)
                return buf_result(out);
        p = mp_put_array(p, 4);
        p = mp_put_uint(p, RPC_RESPONSE);
        p = mp_put_uint(p, id);
        p = mp_put_nil(p);
        out->len = (size_t)(p - out->data);
        return finish(out, start, record_encode(&methods[method].reply, reply, out));
}

/*
 * Text for an error map: messages quote foreign names and are cut at a byte, so what is not UTF-8
 * is escaped here. Keeps the last `max` bytes when `keep_end` is set, else the first. The caller
 * frees.
 */
static char *clean_text(const char *text, size_t max, bool keep_end) {
        cleanup_buf struct buf b = BUF_INIT(SIZE_MAX / 2);
        size_t n = strlen(text), from = 0;

        if (utf8_is_valid((const uint8_t *)text, n))
                buf_append(&b, text, n);
        else
                text_append_escaped(&b, (const uint8_t *)text, n);
        if (b.failed)
                return NULL;
        if (b.len > max) {
                from = keep_end ? b.len - max : 0;
                /* Not into the middle of a character. */
                while (keep_end && from < b.len && (b.data[from] & 0xc0) == 0x80)
                        from++;
                if (!keep_end) {
                        b.len = max;
                        while (b.len > 0 && (b.data[b.len] & 0xc0) == 0x80)
                                b.len--;
                }
        }
        if (from > 0)
                buf_consume(&b, from);
        return buf_steal_string(&b);
}

int rpc_put_error(struct buf *out, uint32_t id, const struct error *err, const char *hint,
                  const char *detail) {
        cleanup_free char *message = clean_text(error_text(err), 4096, false);
        cleanup_free char *hint_text = hint ? clean_text(hint, 4096, false) : NULL;
        cleanup_free char *detail_text =
                detail ? clean_text(detail, LIMIT_ERROR_DETAIL_MAX, true) : NULL;
        struct rpc_error error = {
                .code = error_code_name(err->code == ERROR_NONE ? ERROR_INTERNAL : err->code),
                .message = message ?: "out of memory",
                .hint = hint_text,
                .detail = detail_text,
        };
        size_t start = out->len;
        uint8_t *p;
        int r;

        p = buf_reserve(out, ENVELOPE_MAX);
        if (!p)
                return buf_result(out);
        p = mp_put_array(p, 4);
        p = mp_put_uint(p, RPC_RESPONSE);
        p = mp_put_uint(p, id);
        out->len = (size_t)(p - out->data);
        r = record_encode(&rpc_error_record, &error, out);
        if (r == 0)
                r = buf_append(out, &(uint8_t){ 0xc0 }, 1);
        return finish(out, start, r);
}

int rpc_put_events_header(struct buf *out, uint32_t stream, uint32_t source, uint32_t flags,
                          uint64_t first_seq, uint64_t lost, uint32_t length) {
        uint8_t *p = buf_reserve(out, ENVELOPE_MAX + 6 * MP_SCALAR_MAX);

        if (!p)
                return buf_result(out);
        p = mp_put_array(p, 3);
        p = mp_put_uint(p, RPC_NOTIFICATION);
        p = mp_put_str(p, "events", strlen("events"));
        p = mp_put_array(p, 6);
        p = mp_put_uint(p, stream);
        p = mp_put_uint(p, source);
        p = mp_put_uint(p, flags);
        p = mp_put_uint(p, first_seq);
        p = mp_put_uint(p, lost);
        p = mp_put_bin_header(p, length);
        out->len = (size_t)(p - out->data);
        return 0;
}
