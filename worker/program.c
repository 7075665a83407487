/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/program.h"

#include <assert.h>

#include "ipc/mp.h"

enum step_code {
        STEP_U8,
        STEP_U16,
        STEP_U32,
        STEP_U64,
        STEP_I8,
        STEP_I16,
        STEP_I32,
        STEP_I64,
        STEP_BOOL,
        STEP_BOOLS, /* a bool of more than one byte */
        STEP_F32,
        STEP_F64,
        STEP_TIME,    /* u64, boot clock */
        STEP_TEXT16,  /* 16 chars, such as a comm */
        STEP_TEXT,    /* n chars */
        STEP_STRINGS, /* n chars: strings, each with its NUL, one behind the other */
        STEP_ADDRESS, /* 16 bytes, version at n */
        STEP_ARRAY,
        STEP_ENRICH,    /* n bytes, of which a text is made */
        STEP_CONTAINER, /* all added fields of the ids number n at once; the last steps */
};

#define load(_type, _p)                                                                            \
        ({                                                                                         \
                _type _v;                                                                          \
                memcpy(&_v, _p, sizeof(_v));                                                       \
                _v;                                                                                \
        })

static int number_code(enum field_kind kind, uint32_t size) {
        static const uint8_t by_size[9] = { [1] = 0, [2] = 1, [4] = 2, [8] = 3 };

        if (kind == FIELD_FLOAT)
                return size == 4 ? STEP_F32 : STEP_F64;
        if (kind == FIELD_BOOL)
                return size == 1 ? STEP_BOOL : STEP_BOOLS;
        return (kind == FIELD_INT ? STEP_I8 : STEP_U8) + by_size[size];
}

/* The step for a field, and the most bytes it writes. */
static struct step step_of(const struct event_field *f, uint64_t *ret_max) {
        struct step step = { .offset = f->offset };

        *ret_max = MP_SCALAR_MAX;
        switch (f->kind) {
        case FIELD_BOOL:
        case FIELD_UINT:
        case FIELD_INT:
        case FIELD_FLOAT:
                step.code = (uint8_t)number_code(f->kind, f->size);
                step.n = f->size;
                if (f->is_boot_time)
                        step.code = STEP_TIME;
                break;
        case FIELD_STR:
                if (f->enrich != ENRICH_NONE) {
                        step.code = STEP_ENRICH;
                        step.elem = (uint8_t)f->enrich;
                        step.n = f->size;
                        step.extra = f->extra_offset;
                        *ret_max = MP_HEADER_MAX + enrich_text_max(f->enrich);
                        break;
                }
                step.code = f->size == 16 ? STEP_TEXT16 : STEP_TEXT;
                step.n = f->size;
                *ret_max = MP_HEADER_MAX + (uint64_t)f->size;
                break;
        case FIELD_IP:
                step.code = STEP_ADDRESS;
                step.n = f->version_offset;
                *ret_max = 2 + 16;
                break;
        case FIELD_ARRAY:
                if (f->elem == FIELD_STR) {
                        step.code = STEP_STRINGS;
                        step.n = f->n;
                        /* A string and its NUL become a header and the string: longer only from 32
                         * bytes on. */
                        *ret_max = MP_HEADER_MAX + (uint64_t)f->n + f->n / 32 + 8;
                        break;
                }
                step.code = STEP_ARRAY;
                step.elem = (uint8_t)number_code(f->elem, f->size);
                step.stride = (uint16_t)f->size;
                step.n = f->n;
                *ret_max = MP_HEADER_MAX + (uint64_t)f->n * MP_SCALAR_MAX;
                break;
        case FIELD_BIN: /* no event type has one */
        case _FIELD_KIND_MAX:
                assert(false);
        }
        return step;
}

/* The end of what the field's step reads. */
static uint32_t end_of(const struct event_field *f) {
        uint32_t end = f->offset + f->size * (f->kind == FIELD_ARRAY ? f->n : 1);

        return f->version_offset == NO_OFFSET ? end : MAX(end, f->version_offset + 1);
}

/* What must be there of an event: everything, but for a text behind all else, of which gadgets send
 * the used part. */
static uint32_t fixed_size(const struct event_type *type) {
        const struct event_field *last = &type->fields[0];
        uint32_t size = 0;

        for (size_t i = 0; i < type->n_fields; i++)
                if (type->fields[i].offset > last->offset)
                        last = &type->fields[i];
        for (size_t i = 0; i < type->n_fields; i++)
                if (&type->fields[i] != last)
                        size = MAX(size, MAX(end_of(&type->fields[i]),
                                             type->fields[i].version_offset + 1));
        if (size <= last->offset &&
            (last->kind == FIELD_STR || (last->kind == FIELD_ARRAY && last->elem == FIELD_STR)))
                return size;
        return MAX(size, end_of(last));
}

int program_init(struct program *p, const struct event_type *type) {
        uint64_t row_max = MP_HEADER_MAX;
        uint32_t n_groups = 0;

        *p = (struct program){ .event_size = type->size, .fixed_size = fixed_size(type) };
        p->steps = calloc(type->n_fields, sizeof(*p->steps));
        if (!p->steps)
                return -ENOMEM;
        for (size_t i = 0; i < type->n_fields; i++) {
                struct step *step = &p->steps[p->n_steps];
                uint64_t max;

                if (type->fields[i].added > 1)
                        continue; /* comes with the first of its group */
                p->n_steps++;
                if (type->fields[i].added) {
                        *step = (struct step){ .code = STEP_CONTAINER, .n = n_groups };
                        p->ids[n_groups++] = type->fields[i].ids;
                        row_max += CONTAINER_BLOB_MAX;
                        continue;
                }
                *step = step_of(&type->fields[i], &max);
                row_max += max;
                /* The short cut for 16 chars reads all of them. */
                if (step->code == STEP_TEXT16 && end_of(&type->fields[i]) > p->fixed_size)
                        step->code = STEP_TEXT;
        }
        if (row_max > UINT32_MAX) {
                program_done(p);
                return -E2BIG;
        }
        p->row_max = (uint32_t)row_max;
        p->header_len = (uint8_t)(mp_put_array(p->header, (uint32_t)type->n_fields) - p->header);
        return 0;
}

void program_done(struct program *p) {
        free(p->steps);
        *p = (struct program){ 0 };
}

static inline bool any_set(const uint8_t *p, uint32_t n) {
        for (uint32_t i = 0; i < n; i++)
                if (p[i])
                        return true;
        return false;
}

/* Sixteen chars are copied whole, then cut at the first NUL. */
static inline uint8_t *put_text16(uint8_t *out, const uint8_t *text) {
        const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
        uint64_t low = load(uint64_t, text), high = load(uint64_t, text + 8);
        uint64_t low_zero = (low - ones) & ~low & highs, high_zero = (high - ones) & ~high & highs;
        uint32_t n = low_zero    ? (uint32_t)__builtin_ctzll(low_zero) / 8
                     : high_zero ? 8 + (uint32_t)__builtin_ctzll(high_zero) / 8
                                 : 16;

        out[0] = (uint8_t)(0xa0 | n);
        memcpy(out + 1, &low, sizeof(low));
        memcpy(out + 9, &high, sizeof(high));
        return out + 1 + n;
}

static inline uint8_t *put_address(uint8_t *out, const uint8_t *event, const struct step *step) {
        uint8_t version = step->n == NO_OFFSET ? 6 : event[step->n];

        return mp_put_bin(out, event + step->offset, version == 4 ? 4 : version == 6 ? 16 : 0);
}

/* As mp_put_uint(), with one branch that can be guessed wrong instead of four: the bytes behind the
 * tag are shifted into place and stored whole, and what is too much is overwritten by the next
 * field. Within the nine bytes of a scalar. */
static inline uint8_t *put_uint(uint8_t *out, uint64_t v) {
        unsigned int log_size = (v > UINT8_MAX) + (v > UINT16_MAX) + (v > UINT32_MAX);
        uint64_t be;

        if (v < 0x80) {
                *out = (uint8_t)v;
                return out + 1;
        }
        be = htobe64(v << (64 - (8u << log_size)));
        *out = (uint8_t)(0xcc + log_size);
        memcpy(out + 1, &be, sizeof(be));
        return out + 1 + (1u << log_size);
}

static inline uint8_t *put_int(uint8_t *out, int64_t v) {
        unsigned int log_size = (v < INT8_MIN) + (v < INT16_MIN) + (v < INT32_MIN);
        uint64_t be;

        if (v >= 0)
                return put_uint(out, (uint64_t)v);
        if (v >= -32) {
                *out = (uint8_t)v;
                return out + 1;
        }
        be = htobe64((uint64_t)v << (64 - (8u << log_size)));
        *out = (uint8_t)(0xd0 + log_size);
        memcpy(out + 1, &be, sizeof(be));
        return out + 1 + (1u << log_size);
}

/* The cases of a number, for the switch over a step and for the one over an array's elements. */
#define NUMBER_CASES(_out, _from)                                                                  \
        case STEP_U8:                                                                              \
                _out = put_uint(_out, *(_from));                                                   \
                break;                                                                             \
        case STEP_U16:                                                                             \
                _out = put_uint(_out, load(uint16_t, _from));                                      \
                break;                                                                             \
        case STEP_U32:                                                                             \
                _out = put_uint(_out, load(uint32_t, _from));                                      \
                break;                                                                             \
        case STEP_U64:                                                                             \
                _out = put_uint(_out, load(uint64_t, _from));                                      \
                break;                                                                             \
        case STEP_I8:                                                                              \
                _out = put_int(_out, load(int8_t, _from));                                         \
                break;                                                                             \
        case STEP_I16:                                                                             \
                _out = put_int(_out, load(int16_t, _from));                                        \
                break;                                                                             \
        case STEP_I32:                                                                             \
                _out = put_int(_out, load(int32_t, _from));                                        \
                break;                                                                             \
        case STEP_I64:                                                                             \
                _out = put_int(_out, load(int64_t, _from));                                        \
                break;                                                                             \
        case STEP_BOOL:                                                                            \
                _out = mp_put_bool(_out, *(_from) != 0);                                           \
                break;                                                                             \
        case STEP_F32:                                                                             \
                _out = mp_put_double(_out, (double)load(float, _from));                            \
                break;                                                                             \
        case STEP_F64:                                                                             \
                _out = mp_put_double(_out, load(double, _from));                                   \
                break

static uint8_t *put_array(uint8_t *out, const uint8_t *event, const struct step *step) {
        const uint8_t *from = event + step->offset;

        out = mp_put_array(out, step->n);
        for (uint32_t i = 0; i < step->n; i++, from += step->stride) {
                switch ((enum step_code)step->elem) {
                        NUMBER_CASES(out, from);
                case STEP_BOOLS:
                        out = mp_put_bool(out, any_set(from, step->stride));
                        break;
                case STEP_TIME:
                case STEP_TEXT16:
                case STEP_TEXT:
                case STEP_STRINGS:
                case STEP_ADDRESS:
                case STEP_ARRAY:
                case STEP_ENRICH:
                case STEP_CONTAINER:
                        assert(false); /* number_code() makes none of them */
                }
        }
        return out;
}

/* How much of a text has been sent. */
static inline uint32_t sent_of(const struct step *step, uint32_t len) {
        return len <= step->offset ? 0 : MIN(step->n, len - step->offset);
}

static inline uint8_t *put_text(uint8_t *out, const uint8_t *text, uint32_t n) {
        return mp_put_str(out, text, (uint32_t)strnlen((const char *)text, n));
}

/* If the event ends inside of the array, the last NUL ends the last string; else the rest of the
 * array is NULs. */
static uint8_t *put_strings(uint8_t *out, const uint8_t *event, const struct step *step,
                            uint32_t len) {
        const uint8_t *text = event + step->offset;
        uint32_t n = sent_of(step, len), count = 0;
        bool is_cut = n < step->n;

        while (n > 0 && text[n - 1] == 0) {
                n--;
                count = 1; /* there was at least one string, maybe empty */
                if (is_cut)
                        break;
        }
        if (n == 0 && !(is_cut && count))
                return mp_put_array(out, 0);
        count = 1;
        for (uint32_t i = 0; i < n; i++)
                count += text[i] == 0;
        out = mp_put_array(out, count);
        for (uint32_t i = 0, length; count > 0; count--, i += length + 1) {
                length = (uint32_t)strnlen((const char *)text + i, n - i);
                out = mp_put_str(out, text + i, length);
        }
        return out;
}

/* The text is written where it will lie if its header is as long as one can be. */
static uint8_t *put_enriched(uint8_t *out, const uint8_t *event, const struct step *step,
                             uint32_t len) {
        struct enrich_from from = { (enum enrich)step->elem, step->offset, step->n, step->extra };
        uint8_t *text = out + MP_HEADER_MAX;
        uint32_t n = enrich_text(&from, event, len, (char *)text);

        out = mp_put_str_header(out, n);
        memmove(out, text, n);
        return out + n;
}

uint8_t *program_run(const struct program *p, const uint8_t *event, uint32_t len,
                     uint64_t wall_offset, uint8_t *out) {
        const struct step *step = p->steps, *end = step + p->n_steps;
        struct bytes blob;
        uint64_t time;

        memcpy(out, p->header, sizeof(p->header));
        out += p->header_len;
        for (; step < end; step++) {
                const uint8_t *from = event + step->offset;

                switch ((enum step_code)step->code) {
                        NUMBER_CASES(out, from);
                case STEP_BOOLS:
                        out = mp_put_bool(out, any_set(from, step->n));
                        break;
                case STEP_TIME:
                        time = load(uint64_t, from);
                        out = mp_put_be64(out, 0xcf, time ? time + wall_offset : 0);
                        break;
                case STEP_TEXT16:
                        out = put_text16(out, from);
                        break;
                case STEP_TEXT:
                        out = put_text(out, from, sent_of(step, len));
                        break;
                case STEP_STRINGS:
                        out = put_strings(out, event, step, len);
                        break;
                case STEP_ADDRESS:
                        out = put_address(out, event, step);
                        break;
                case STEP_ARRAY:
                        out = put_array(out, event, step);
                        break;
                case STEP_ENRICH:
                        out = put_enriched(out, event, step, len);
                        break;
                case STEP_CONTAINER:
                        blob = container_blob(&p->ids[step->n], event);
                        memcpy(out, blob.data, blob.len);
                        out += blob.len;
                        break;
                }
        }
        return out;
}
