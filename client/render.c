/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot path of gadgetctl: runs a program over rows. A row is first split into elements with
 * every bound checked; then each operation prints one of them. Plain text and numbers are written
 * straight into the output buffer, whose room is checked once a row and once a string; whatever is
 * not plain takes the slow way through base/text.h.
 */
#include "client/render.h"

#include <endian.h>
#include <math.h>

#include "base/rendered.h"
#include "base/text.h"
#include "client/histogram.h"
#include "client/render-program.h"
#include "gadget/event-ring.h"
#include "ipc/mp.h"

#define SCRATCH_MAX (8u << 20)
#define CHUNK 16u
#define NEST_MAX 16u
/* Longer strings take the slow way. */
#define PLAIN_MAX (OUT_SIZE / 4)

#define likely(_x) __builtin_expect(!!(_x), 1)
#define unlikely(_x) __builtin_expect(!!(_x), 0)

#define OUTPUT_MODE_NAME(_name, _text) [OUTPUT_##_name] = _text,
const char *const output_mode_names[_OUTPUT_MODE_MAX] = { GADGET_OUTPUT_MODES(OUTPUT_MODE_NAME) };
#undef OUTPUT_MODE_NAME

/* --- splitting a row --- */

static uint16_t load_be16(const uint8_t *p) {
        uint16_t v;

        memcpy(&v, p, sizeof(v));
        return be16toh(v);
}

static uint32_t load_be32(const uint8_t *p) {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return be32toh(v);
}

static uint64_t load_be64(const uint8_t *p) {
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return be64toh(v);
}

/* Length of a str or bin with a header of its own; 0 for anything else. */
static size_t long_length(const uint8_t *p) {
        switch (*p) {
        case 0xc4:
        case 0xd9:
                return 2 + (size_t)p[1];
        case 0xc5:
        case 0xda:
                return 3 + (size_t)load_be16(p + 1);
        case 0xc6:
        case 0xdb:
                return 5 + (size_t)load_be32(p + 1);
        default:
                return 0;
        }
}

static __attribute__((noinline)) const uint8_t *skip_rare(const uint8_t *p, const uint8_t *end) {
        struct mp_reader r = { p, end };
        size_t n = long_length(p);

        if (n > 0)
                return n <= (size_t)(end - p) ? p + n : NULL;
        return mp_skip(&r) < 0 ? NULL : r.pos;
}

/*
 * The byte behind the object at p < end, or NULL when it does not end before `end`. Headers may be
 * read past it (RENDER_SLACK). A chain of branches and no table: predicted, each element's start
 * then depends on an addition only, and the processor works on several elements and rows at once.
 */
static inline const uint8_t *skip(const uint8_t *p, const uint8_t *end) {
        uint8_t c = *p;
        size_t n;

        if (c < 0x80)
                return p + 1;
        if ((c & 0xe0) == 0xa0)
                n = 1 + (size_t)(c & 0x1f);
        else if (c == 0xce)
                n = 5;
        else if (c == 0xcd)
                n = 3;
        else if (c == 0xcf)
                n = 9;
        else if (c == 0xcc)
                n = 2;
        else
                return skip_rare(p, end);
        return likely(n <= (size_t)(end - p)) ? p + n : NULL;
}

/* Elements of the array at p; moves p behind its header. UINT32_MAX when there is none. */
static inline uint32_t array_header(const uint8_t **p, const uint8_t *end) {
        uint32_t n;

        if (likely((**p & 0xf0) == 0x90)) {
                n = **p & 0x0f;
                *p += 1;
        } else if (**p == 0xdc && end - *p >= 3) {
                n = load_be16(*p + 1);
                *p += 3;
        } else if (**p == 0xdd && end - *p >= 5) {
                n = load_be32(*p + 1);
                *p += 5;
        } else {
                return UINT32_MAX;
        }
        return n;
}

/* Splits the row at p into elements; behind the last stands the end of the row. NULL = not a row of
 * this program. */
static inline const uint8_t *split(const struct program *program, const uint8_t *p,
                                   const uint8_t *end, const uint8_t **elements) {
        uint32_t n = program->n_fields;

        if (unlikely(array_header(&p, end) != n))
                return NULL;
        for (uint32_t i = 0; i < n; i++) {
                elements[i] = p;
                if (unlikely(p >= end))
                        return NULL;
                p = skip(p, end);
                if (unlikely(!p))
                        return NULL;
        }
        elements[n] = p;
        return p;
}

/* --- elements --- */

enum number { NUMBER_NONE, NUMBER_POSITIVE, NUMBER_NEGATIVE };

/* The integer at p: its magnitude's two's complement in *ret. */
static inline enum number get_number(const uint8_t *p, uint64_t *ret) {
        uint8_t c = *p;

        if (c < 0x80) {
                *ret = c;
                return NUMBER_POSITIVE;
        }
        if (c >= 0xcc && c <= 0xcf) {
                *ret = load_be64(p + 1) >> (64 - (8u << (c - 0xcc)));
                return NUMBER_POSITIVE;
        }
        if (c >= 0xd0 && c <= 0xd3) {
                int64_t v = (int64_t)load_be64(p + 1) >> (64 - (8u << (c - 0xd0)));

                *ret = (uint64_t)v;
                return v < 0 ? NUMBER_NEGATIVE : NUMBER_POSITIVE;
        }
        if (c >= 0xe0) {
                *ret = (uint64_t)(int64_t)(int8_t)c;
                return NUMBER_NEGATIVE;
        }
        return NUMBER_NONE;
}

/* The text of the str or bin that fills p..next. False for another type. */
static inline bool get_bytes(const uint8_t *p, const uint8_t *next, struct bytes *ret) {
        size_t header;

        if (likely((*p & 0xe0) == 0xa0))
                header = 1;
        else if (*p == 0xd9 || *p == 0xc4)
                header = 2;
        else if (*p == 0xda || *p == 0xc5)
                header = 3;
        else if (*p == 0xdb || *p == 0xc6)
                header = 5;
        else
                return false;
        *ret = BYTES(p + header, (size_t)(next - p) - header);
        return true;
}

/* --- writing --- */

/* w has room for n rounded up to CHUNK, and as much is readable at data. */
static inline uint8_t *put_chunks(uint8_t *w, const uint8_t *data, size_t n) {
        for (size_t i = 0; i < n; i += CHUNK)
                memcpy(w + i, data + i, CHUNK);
        return w + n;
}

static inline uint8_t *put_spaces(uint8_t *w, size_t n) {
        for (size_t i = 0; i < n; i += CHUNK)
                memset(w + i, ' ', CHUNK);
        return w + n;
}

/* Spaces behind what takes n columns. */
static inline uint8_t *pad(uint8_t *w, const struct op *op, size_t n) {
        return op->width > n && !op->is_last ? put_spaces(w, op->width - n) : w;
}

/* Room for the rest of the row plus n. */
static inline uint8_t *reserve(struct renderer *renderer, const struct program *program, uint8_t *w,
                               size_t n) {
        struct out *out = renderer->out;

        if (unlikely((size_t)(out->end - w) < n + program->room)) {
                out->pos = w;
                if (out_make_room(out, n + program->room) < 0)
                        out->pos = out->data; /* out of memory, which out remembers */
                w = out->pos;
        }
        return w;
}

/* Copies of any length, room for the rest of the row behind it. */
static uint8_t *put_long(struct renderer *renderer, const struct program *program, uint8_t *w,
                         const void *data, size_t n) {
        renderer->out->pos = w;
        out_put(renderer->out, data, n);
        return reserve(renderer, program, renderer->out->pos, 0);
}

/* --- text that is not plain, or has to be cut --- */

/* Longest start of text that takes at most `columns`. */
static size_t fitting_start(const uint8_t *text, size_t n, size_t columns) {
        size_t at = 0;

        while (at < n) {
                size_t len = utf8_sequence(text + at, n - at);
                size_t wide = text_columns(text + at, len);

                if (wide > columns)
                        break;
                columns -= wide;
                at += len;
        }
        return at;
}

static size_t fitting_end(const uint8_t *text, size_t n, size_t columns) {
        size_t at = 0, total = text_columns(text, n);

        while (at < n && total > columns) {
                size_t len = utf8_sequence(text + at, n - at);

                total -= text_columns(text + at, len);
                at += len;
        }
        return at;
}

/* Escaped text (valid UTF-8) to at most `width` columns, with an ellipsis where something is
 * missing. */
static void cut(struct buf *b, size_t width, enum ellipsis ellipsis) {
        static const char dots[] = "\xe2\x80\xa6";
        size_t keep = width > 0 ? width - 1 : 0;
        size_t head = ellipsis == ELLIPSIS_END      ? keep
                      : ellipsis == ELLIPSIS_MIDDLE ? (keep + 1) / 2
                                                    : 0;
        size_t n_head = fitting_start(b->data, b->len, head);
        size_t tail = fitting_end(b->data, b->len, keep - head);
        cleanup_buf struct buf copy = BUF_INIT(SCRATCH_MAX);

        buf_append(&copy, b->data, n_head);
        buf_puts(&copy, dots);
        buf_append(&copy, b->data + tail, b->len - tail);
        buf_reset(b);
        buf_append(b, copy.data, copy.len);
}

/* The escaped text in renderer->scratch as the value of op. */
static uint8_t *put_scratch(struct renderer *renderer, const struct program *program,
                            const struct op *op, uint8_t *w) {
        struct buf *b = &renderer->scratch;
        size_t columns;

        if (b->failed) {
                buf_reset(b);
                buf_puts(b, program->style == STYLE_JSON ? "null" : "?");
        }
        if (op->width == 0)
                return put_long(renderer, program, w, b->data, b->len);
        columns = text_columns(b->data, b->len);
        if (op->cut && columns > op->width) {
                cut(b, op->width, op->ellipsis);
                columns = text_columns(b->data, b->len);
        }
        if (op->right)
                w = pad(w, op, columns);
        w = put_long(renderer, program, w, b->data, b->len);
        return op->right ? w : pad(w, op, columns);
}

/* Quotes what RFC 4180 wants quoted. */
static void quote_csv(struct renderer *renderer) {
        struct buf *b = &renderer->scratch, *quoted = &renderer->scratch2;

        if (!memchr(b->data, ',', b->len) && !memchr(b->data, '"', b->len))
                return;
        buf_reset(quoted);
        buf_append(quoted, "\"", 1);
        for (size_t i = 0; i < b->len; i++) {
                if (b->data[i] == '"')
                        buf_append(quoted, "\"", 1);
                buf_append(quoted, &b->data[i], 1);
        }
        buf_append(quoted, "\"", 1);
        buf_reset(b);
        if (quoted->failed)
                b->failed = true;
        else
                buf_append(b, quoted->data, quoted->len);
}

/* Foreign text, escaped in the program's style. */
static uint8_t *put_text_slow(struct renderer *renderer, const struct program *program,
                              const struct op *op, uint8_t *w, struct bytes text) {
        struct buf *b = &renderer->scratch;

        buf_reset(b);
        if (program->style == STYLE_JSON)
                text_append_json(b, text.data, text.len);
        else
                text_append_escaped(b, text.data, text.len);
        if (program->style == STYLE_CSV && b->len > 0)
                quote_csv(renderer);
        return put_scratch(renderer, program, op, w);
}

#define REPEAT(_byte) (UINT64_C(0x0101010101010101) * (_byte))

/* Nonzero top bits where the word holds a byte that cannot stand as it is. */
static inline uint64_t unclean(uint64_t w, enum style style) {
        uint64_t bad = w | (w - REPEAT(0x20)) | ((w ^ REPEAT(0x7f)) - REPEAT(1));

        if (style != STYLE_TABLE)
                bad |= (w ^ REPEAT('"')) - REPEAT(1);
        if (style == STYLE_JSON)
                bad |= (w ^ REPEAT('\\')) - REPEAT(1);
        if (style == STYLE_CSV)
                bad |= (w ^ REPEAT(',')) - REPEAT(1);
        return bad & REPEAT(0x80);
}

/* Copies and checks in one go; false = something has to be escaped (what was copied is void). Both
 * sides have CHUNK to spare. */
static inline bool copy_clean(uint8_t *w, const uint8_t *data, size_t n, enum style style) {
        static const uint8_t masks[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
        uint64_t bad = 0, word, mask;
        size_t i = 0;

        for (; i + sizeof(word) <= n; i += sizeof(word)) {
                memcpy(&word, data + i, sizeof(word));
                memcpy(w + i, &word, sizeof(word));
                bad |= unclean(word, style);
        }
        if (i < n) {
                memcpy(&word, data + i, sizeof(word));
                memcpy(w + i, &word, sizeof(word));
                memcpy(&mask, masks + sizeof(word) - (n - i), sizeof(mask));
                bad |= unclean((word & mask) | (REPEAT('0') & ~mask), style);
        }
        return bad == 0;
}

static inline uint8_t *put_string(struct renderer *renderer, const struct program *program,
                                  const struct op *op, uint8_t *w, struct bytes text,
                                  enum style style) {
        uint8_t *start;

        if (unlikely(text.len > PLAIN_MAX))
                return put_text_slow(renderer, program, op, w, text);
        w = reserve(renderer, program, w, text.len + OUT_SLACK);
        if (style == STYLE_JSON) {
                *w = '"';
                if (unlikely(!copy_clean(w + 1, text.data, text.len, style)))
                        return put_text_slow(renderer, program, op, w, text);
                w += text.len + 1;
                *w = '"';
                return w + 1;
        }
        if (unlikely(op->cut && text.len > op->width))
                return put_text_slow(renderer, program, op, w, text);
        start = w;
        if (op->right && op->width > text.len)
                w = put_spaces(w, op->width - text.len);
        if (unlikely(!copy_clean(w, text.data, text.len, style)))
                return put_text_slow(renderer, program, op, start, text);
        w += text.len;
        return op->right ? w : pad(w, op, text.len);
}

/* Short text of ours (no escaping needed but quotes). */
static inline uint8_t *put_plain(const struct op *op, uint8_t *w, const uint8_t *text, size_t n,
                                 size_t columns) {
        if (op->right && op->width > columns)
                w = put_spaces(w, op->width - columns);
        w = put_chunks(w, text, n);
        return op->right ? w : pad(w, op, columns);
}

static uint8_t *put_number_slow(struct op *op, uint8_t *w, uint64_t v, enum number sign) {
        bool is_negative = sign == NUMBER_NEGATIVE;
        uint64_t magnitude = is_negative ? -v : v;
        unsigned int n = format_u64_length(magnitude);
        size_t columns = n + is_negative;
        uint8_t *start = w;

        if (op->right && op->width > columns)
                w = put_spaces(w, op->width - columns);
        if (is_negative)
                *w++ = '-';
        format_digits(w, magnitude, n);
        w += n;
        if (!op->right)
                w = pad(w, op, columns);
        /* Remembered from the second time on: a number that is another one in each row, such as a
         * timestamp, would have to be read back right after it was written, which stalls. */
        if (op->last != v || op->last_sign != sign) {
                op->last = v;
                op->last_sign = (uint8_t)sign;
                op->n_last = 0;
        } else if (w - start <= LAST_TEXT) {
                op->n_last = (uint8_t)(w - start);
                memcpy(op->last_text, start, LAST_TEXT);
        }
        return w;
}

static inline uint8_t *put_number(struct op *op, uint8_t *w, uint64_t v, enum number sign) {
        if (likely(op->last == v && op->last_sign == sign && op->n_last)) {
                memcpy(w, op->last_text, LAST_TEXT);
                return w + op->n_last;
        }
        return put_number_slow(op, w, v, sign);
}

/* --- values rendered as text --- */

/* Renders v into the slot, or into renderer->scratch only when it is too long to be remembered
 * (then false). */
static bool memo_fill(struct renderer *renderer, const struct program *program, const struct op *op,
                      struct memo_slot *slot, uint64_t v, enum number sign) {
        struct buf *b = &renderer->scratch;
        cleanup_buf struct buf plain = BUF_INIT(SCRATCH_MAX);
        struct rendering rendering = schema_rendering(op->field);

        rendered_append(&plain, &rendering, v, sign == NUMBER_NEGATIVE);
        buf_reset(b);
        if (program->style == STYLE_JSON)
                text_append_json(b, plain.data, plain.len);
        else
                text_append_escaped(b, plain.data, plain.len);
        if (program->style == STYLE_CSV && b->len > 0)
                quote_csv(renderer);
        if (op->cut && !b->failed && text_columns(b->data, b->len) > op->width)
                cut(b, op->width, op->ellipsis);
        if (b->failed || b->len > MEMO_TEXT)
                return false;
        slot->n = (uint8_t)b->len;
        slot->n_columns = (uint8_t)text_columns(b->data, b->len);
        if (b->len > 0)
                memcpy(slot->text, b->data, b->len);
        return true;
}

static inline uint8_t *put_memo(struct renderer *renderer, const struct program *program,
                                const struct op *op, uint8_t *w, uint64_t v, enum number sign) {
        struct memo_slot *slot = &op->memo[v * UINT64_C(0x9e3779b97f4a7c15) >> 58];

        if (unlikely(!slot->is_used || slot->key != v)) {
                slot->is_used = false;
                if (!memo_fill(renderer, program, op, slot, v, sign))
                        return put_scratch(renderer, program, op, w);
                slot->is_used = true;
                slot->key = v;
        }
        return put_plain(op, w, slot->text, slot->n, slot->n_columns);
}

static inline uint8_t *put_quoted(const struct program *program, const struct op *op, uint8_t *w,
                                  uint8_t *text, size_t n) {
        if (program->style == STYLE_JSON) {
                *w++ = '"';
                w = put_chunks(w, text, n);
                *w++ = '"';
                return w;
        }
        return put_plain(op, w, text, n, n);
}

static inline uint8_t *put_timestamp(struct renderer *renderer, const struct program *program,
                                     const struct op *op, uint8_t *w, uint64_t v) {
        uint8_t text[64 + CHUNK];
        size_t n = (size_t)(format_timestamp(&renderer->clock, text, v) - text);

        if (op->cut && n > op->width)
                return put_text_slow(renderer, program, op, w, BYTES(text, n));
        return put_quoted(program, op, w, text, n);
}

static uint8_t *put_address(struct renderer *renderer, const struct program *program,
                            const struct op *op, uint8_t *w, struct bytes address) {
        uint8_t text[FORMAT_MAX];
        size_t n = (size_t)(format_ip(text, address.data, address.len) - text);

        if (op->cut && n > op->width)
                return put_text_slow(renderer, program, op, w, BYTES(text, n));
        return put_quoted(program, op, w, text, n);
}

/* "1.2.3.4:80", "[::1]:80", or the address alone where there is no port. */
static uint8_t *put_endpoint(struct renderer *renderer, const struct program *program,
                             const struct op *op, uint8_t *w, struct bytes address,
                             const uint8_t *port) {
        uint8_t text[FORMAT_MAX], *end = text;
        uint64_t number;

        if (address.len != 4 && address.len != 16)
                return put_quoted(program, op, w, text, 0);
        if (port && address.len == 16)
                *end++ = '[';
        end = format_ip(end, address.data, address.len);
        if (port && address.len == 16)
                *end++ = ']';
        if (port && get_number(port, &number) == NUMBER_POSITIVE) {
                *end++ = ':';
                end = format_u64(end, number);
        }
        if (op->cut && (size_t)(end - text) > op->width)
                return put_text_slow(renderer, program, op, w, BYTES(text, end - text));
        return put_quoted(program, op, w, text, (size_t)(end - text));
}

/* --- any element, by the type that it has --- */

static void append_any(struct renderer *renderer, struct buf *b, const struct program *program,
                       const struct op *op, struct mp_reader *r, unsigned int depth);

static void append_string(struct buf *b, bool is_json, struct bytes text) {
        if (is_json)
                text_append_json(b, text.data, text.len);
        else
                text_append_escaped(b, text.data, text.len);
}

/* JSON: hexadecimal digits; tables: how much there is. */
static void append_bin(struct buf *b, bool is_json, struct bytes data) {
        if (!is_json) {
                buf_printf(b, "<%zu bytes>", data.len);
                return;
        }
        buf_append(b, "\"", 1);
        for (size_t i = 0; i < data.len; i++) {
                char digits[3];

                hex_encode(&data.data[i], 1, digits);
                buf_append(b, digits, 2);
        }
        buf_append(b, "\"", 1);
}

static void append_address(struct buf *b, bool is_json, struct bytes address) {
        uint8_t text[FORMAT_MAX];

        append_string(b, is_json, BYTES(text, format_ip(text, address.data, address.len) - text));
}

static void append_double(struct buf *b, const struct op *op, bool is_json, double v) {
        uint8_t text[FORMAT_MAX];

        if (isfinite(v))
                buf_append(b, text, (size_t)(format_double(text, v, false, op->precision) - text));
        else
                buf_puts(b, is_json ? "null" : isnan(v) ? "NaN" : v < 0 ? "-Inf" : "Inf");
}

static void append_integer(struct buf *b, const struct op *op, const struct mp_value *v) {
        uint8_t text[FORMAT_MAX], *end;

        if (op->hex)
                end = format_hex(text, v->type == MP_UINT ? v->u : (uint64_t)v->i);
        else
                end = v->type == MP_UINT ? format_u64(text, v->u) : format_i64(text, v->i);
        buf_append(b, text, (size_t)(end - text));
}

/* JSON arrays; in tables words are joined by a space (an argv reads as typed), numbers by a comma.
 */
static void append_array(struct renderer *renderer, struct buf *b, const struct program *program,
                         const struct op *op, struct mp_reader *r, uint32_t n, unsigned int depth) {
        bool is_json = program->style == STYLE_JSON;
        const char *separator = is_json || op->field->elem != FIELD_STR ? "," : " ";

        if (is_json)
                buf_puts(b, "[");
        for (uint32_t i = 0; i < n && r->pos < r->end; i++) {
                if (i > 0)
                        buf_puts(b, separator);
                append_any(renderer, b, program, op, r, depth + 1);
        }
        if (is_json)
                buf_puts(b, "]");
}

static void append_any(struct renderer *renderer, struct buf *b, const struct program *program,
                       const struct op *op, struct mp_reader *r, unsigned int depth) {
        bool is_json = program->style == STYLE_JSON;
        const uint8_t *start = r->pos;
        struct mp_value v;

        if (depth > NEST_MAX || mp_read(r, &v) < 0) {
                r->pos = r->end;
                buf_puts(b, is_json ? "null" : "?");
                return;
        }
        switch (v.type) {
        case MP_NIL:
                buf_puts(b, is_json ? "null" : "");
                break;
        case MP_BOOL:
                buf_puts(b, v.b ? "true" : "false");
                break;
        case MP_UINT:
        case MP_INT:
                append_integer(b, op, &v);
                break;
        case MP_FLOAT: {
                uint8_t text[FORMAT_MAX];

                if (*start == 0xca && op->precision < 0 && isfinite(v.f))
                        buf_append(b, text, (size_t)(format_double(text, v.f, true, -1) - text));
                else
                        append_double(b, op, is_json, v.f);
                break;
        }
        case MP_STR:
                append_string(b, is_json, BYTES(v.data, v.n));
                break;
        case MP_BIN:
                if (op->field->kind == FIELD_IP || op->field->elem == FIELD_IP)
                        append_address(b, is_json, BYTES(v.data, v.n));
                else
                        append_bin(b, is_json, BYTES(v.data, v.n));
                break;
        case MP_ARRAY:
                append_array(renderer, b, program, op, r, v.n, depth);
                break;
        case MP_MAP:
        case MP_EXT:
                r->pos = start;
                if (mp_skip(r) < 0)
                        r->pos = r->end;
                buf_puts(b, is_json ? "null" : "?");
                break;
        }
}

static uint8_t *put_any(struct renderer *renderer, const struct program *program,
                        const struct op *op, uint8_t *w, const uint8_t *p, const uint8_t *next) {
        struct mp_reader r = { p, next };

        buf_reset(&renderer->scratch);
        append_any(renderer, &renderer->scratch, program, op, &r, 0);
        if (program->style == STYLE_CSV && renderer->scratch.len > 0)
                quote_csv(renderer);
        return put_scratch(renderer, program, op, w);
}

/* The slots of a histogram: bars, or an array with the bounds of each slot, in csv one quoted cell.
 */
static uint8_t *put_histogram(struct renderer *renderer, const struct program *program,
                              const struct op *op, uint8_t *w, const uint8_t *p,
                              const uint8_t *next) {
        struct mp_reader r = { p, next };
        struct histogram histogram;
        struct buf *b = &renderer->scratch;

        if (histogram_read(&r, &histogram) < 0)
                return put_any(renderer, program, op, w, p, next);
        buf_reset(b);
        if (program->style == STYLE_TABLE)
                histogram_append_bars(b, &histogram, op->header, op->unit);
        else
                histogram_append_json(b, &histogram);
        if (program->style == STYLE_CSV)
                quote_csv(renderer);
        return put_scratch(renderer, program, op, w);
}

/* --- rows --- */

static inline __attribute__((always_inline)) uint8_t *
put_element(struct renderer *renderer, const struct program *program, struct op *op, uint8_t *w,
            const uint8_t *const *elements, enum style style) {
        const uint8_t *p = elements[op->index], *next = elements[op->index + 1];
        struct bytes text;
        enum number sign;
        uint64_t v;

        switch (op->opcode) {
        case OP_NUMBER:
                sign = get_number(p, &v);
                if (likely(sign != NUMBER_NONE))
                        return put_number(op, w, v, sign);
                break;
        case OP_STRING:
                if (likely(get_bytes(p, next, &text)))
                        return put_string(renderer, program, op, w, text, style);
                break;
        case OP_MEMO:
                sign = get_number(p, &v);
                if (likely(sign != NUMBER_NONE))
                        return put_memo(renderer, program, op, w, v, sign);
                break;
        case OP_TIMESTAMP:
                sign = get_number(p, &v);
                if (likely(sign == NUMBER_POSITIVE))
                        return put_timestamp(renderer, program, op, w, v);
                break;
        case OP_ADDRESS:
                if (likely(get_bytes(p, next, &text)))
                        return put_address(renderer, program, op, w, text);
                break;
        case OP_ENDPOINT:
                if (likely(get_bytes(p, next, &text)))
                        return put_endpoint(
                                renderer, program, op, w, text,
                                op->port_index == UINT16_MAX ? NULL : elements[op->port_index]);
                break;
        case OP_HISTOGRAM:
                return put_histogram(renderer, program, op, w, p, next);
        case OP_ANY:
                break;
        }
        return put_any(renderer, program, op, w, p, next);
}

static inline __attribute__((always_inline)) void put_row(struct renderer *renderer,
                                                          const struct program *program,
                                                          const uint8_t *const *elements,
                                                          enum style style) {
        uint8_t *w = reserve(renderer, program, renderer->out->pos, 0);

        for (uint32_t i = 0; i < program->n_ops; i++) {
                struct op *op = &program->ops[i];

                w = put_chunks(w, op->before, op->n_before);
                w = put_element(renderer, program, op, w, elements, style);
        }
        renderer->out->pos = put_chunks(w, program->behind.data, program->behind.n);
}

static void put_fixed(struct renderer *renderer, struct text text) {
        out_put(renderer->out, text.data, text.n);
}

static void put_array_separator(struct renderer *renderer, uint32_t source) {
        const struct program *program = &renderer->programs[source];

        put_fixed(renderer, renderer->has_row[source] ? program->between : program->open);
        renderer->has_row[source] = true;
}

static inline __attribute__((always_inline)) int64_t run(struct renderer *renderer, uint32_t source,
                                                         struct bytes rows, enum style style) {
        const struct program *program = &renderer->programs[source];
        const uint8_t *p = rows.data, *end = rows.data + rows.len;
        const uint8_t *elements[LIMIT_FIELDS_MAX + 1];
        int64_t n = 0;

        for (; p < end; n++) {
                p = split(program, p, end, elements);
                if (unlikely(!p))
                        return -EBADMSG;
                if (program->is_array)
                        put_array_separator(renderer, source);
                if (style == STYLE_TABLE && program->is_live &&
                    !screen_take_line(&renderer->screen)) {
                        renderer->screen.n_hidden++;
                        continue;
                }
                put_row(renderer, program, elements, style);
        }
        return n;
}

static int64_t count(const struct program *program, struct bytes rows) {
        const uint8_t *p = rows.data, *end = rows.data + rows.len;
        const uint8_t *elements[LIMIT_FIELDS_MAX + 1];
        int64_t n = 0;

        for (; p < end; n++) {
                p = split(program, p, end, elements);
                if (!p)
                        return -EBADMSG;
        }
        return n;
}

static void put_header_of(struct renderer *renderer, uint32_t source) {
        if (renderer->header_of == source || renderer->programs[source].is_silent)
                return;
        renderer->header_of = source;
        put_fixed(renderer, renderer->programs[source].header);
        (void)screen_take_line(&renderer->screen);
}

/* --- the live screen --- */

/* A row of bars takes many lines: such tables are shown whole. */
static bool has_bars(const struct program *program) {
        for (uint32_t i = 0; i < program->n_ops; i++)
                if (program->ops[i].opcode == OP_HISTOGRAM)
                        return true;
        return false;
}

/* Tables that are drawn again and again share the screen. */
static void begin_table(struct renderer *renderer, uint32_t source) {
        uint32_t n_tables = 0;

        for (uint32_t i = 0; i < renderer->n_programs; i++)
                n_tables += renderer->programs[i].is_live;
        if (has_bars(&renderer->programs[source]))
                renderer->screen = SCREEN_NONE;
        else
                screen_begin(&renderer->screen, renderer->out->fd, MAX(n_tables, 1u));
}

/* Home, clear to the end of the screen. */
static const char clear_screen[] = "\033[H\033[J";

/*
 * Tables: on a terminal, what was drawn before gives way once its own data source begins anew, so
 * that several of them share the screen; elsewhere each array is a block of its own, with names
 * above it and an empty line between two.
 */
static void begin_array(struct renderer *renderer, uint32_t source) {
        uint32_t bit = UINT32_C(1) << source;

        renderer->has_row[source] = false;
        if (renderer->options.mode != OUTPUT_COLUMNS)
                return;
        if (renderer->options.clear_screen && renderer->programs[source].is_live &&
            (renderer->on_screen & bit || renderer->on_screen == 0)) {
                out_put(renderer->out, clear_screen, strlen(clear_screen));
                renderer->header_of = UINT32_MAX;
                renderer->on_screen = bit;
                begin_table(renderer, source);
                return;
        }
        if (renderer->on_screen != 0) {
                if (renderer->options.clear_screen && renderer->programs[source].is_live) {
                        begin_table(renderer, source);
                        (void)screen_take_line(&renderer->screen);
                }
                out_put(renderer->out, "\n", 1);
                renderer->header_of = UINT32_MAX;
        }
        renderer->on_screen |= bit;
}

static void end_array(struct renderer *renderer, uint32_t source) {
        const struct program *program = &renderer->programs[source];

        if (program->is_live)
                screen_tell_hidden(&renderer->screen, renderer->out);
        put_fixed(renderer, renderer->has_row[source] ? program->close : program->empty);
        renderer->has_row[source] = false;
}

void render_header(struct renderer *renderer) {
        /* Arrays bring their names with them. */
        if (renderer->n_programs > 0 &&
            !(renderer->programs[0].is_array && renderer->options.mode == OUTPUT_COLUMNS))
                put_header_of(renderer, 0);
}

int64_t render_rows(struct renderer *renderer, uint32_t source, uint32_t flags, struct bytes rows) {
        const struct program *program;
        int64_t n;

        if (source >= renderer->n_programs)
                return -EBADMSG;
        program = &renderer->programs[source];
        if (program->is_silent)
                return count(program, rows);
        if (program->is_array && flags & EVENT_FRAME_SNAPSHOT)
                begin_array(renderer, source);
        put_header_of(renderer, source);
        switch (program->style) {
        case STYLE_JSON:
                n = run(renderer, source, rows, STYLE_JSON);
                break;
        case STYLE_CSV:
                n = run(renderer, source, rows, STYLE_CSV);
                break;
        case STYLE_TABLE:
        default:
                n = run(renderer, source, rows, STYLE_TABLE);
                break;
        }
        if (program->is_array && flags & EVENT_FRAME_END)
                end_array(renderer, source);
        return n;
}

static int compile_all(struct renderer *renderer, const struct schema *schema,
                       struct columns *columns, struct error *err) {
        const struct render_options *options = &renderer->options;
        bool for_people = options->mode == OUTPUT_COLUMNS || options->mode == OUTPUT_CSV;
        int r;

        for (uint32_t i = 0; i < schema->n_streams; i++) {
                r = columns_init(&columns[i], &schema->streams[i]);
                if (r < 0)
                        return error_set(err, ERROR_INTERNAL, r, "out of memory");
                columns_select_default(&columns[i], for_people);
        }
        if (options->fields) {
                r = columns_select(columns, schema->n_streams, options->fields, for_people, err);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < schema->n_streams; i++) {
                if (options->terminal > 0 && options->mode == OUTPUT_COLUMNS)
                        columns_fit(&columns[i], options->terminal);
                r = program_compile(schema, &columns[i], options, &renderer->programs[i]);
                renderer->n_programs = i + 1;
                if (r < 0)
                        return error_set(err, ERROR_INTERNAL, r, "out of memory");
        }
        return 0;
}

/* reserve() counts on it: the fixed part of a row and a string of PLAIN_MAX always fit into the
 * empty buffer. */
static int prepare_out(struct renderer *renderer) {
        size_t room = 0;

        for (uint32_t i = 0; i < renderer->n_programs; i++)
                room = MAX(room, (size_t)renderer->programs[i].room);
        return out_grow(renderer->out, OUT_SIZE + 2 * room);
}

int renderer_new(const struct schema *schema, const struct render_options *options, struct out *out,
                 struct renderer **ret, struct error *err) {
        cleanup(renderer_freep) struct renderer *renderer = NULL;
        struct columns columns[LIMIT_STREAMS_MAX] = { 0 };
        int r;

        renderer = calloc(1, sizeof(*renderer));
        if (!renderer)
                return -ENOMEM;
        renderer->out = out;
        renderer->options = *options;
        renderer->header_of = UINT32_MAX;
        renderer->screen = SCREEN_NONE;
        renderer->scratch = BUF_INIT(SCRATCH_MAX);
        renderer->scratch2 = BUF_INIT(SCRATCH_MAX);
        r = compile_all(renderer, schema, columns, err);
        for (uint32_t i = 0; i < schema->n_streams; i++)
                columns_done(&columns[i]);
        if (r < 0)
                return r;
        r = prepare_out(renderer);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "out of memory");
        *ret = TAKE_PTR(renderer);
        return 0;
}

struct renderer *renderer_free(struct renderer *renderer) {
        if (!renderer)
                return NULL;
        for (uint32_t i = 0; i < renderer->n_programs; i++)
                program_done(&renderer->programs[i]);
        buf_done(&renderer->scratch);
        buf_done(&renderer->scratch2);
        free(renderer);
        return NULL;
}
