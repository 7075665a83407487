/* SPDX-License-Identifier: Apache-2.0 */
#include "client/row.h"

#include <math.h>
#include <strings.h>

#include "base/rendered.h"
#include "base/text.h"

#define NEST_MAX 16u

int row_next(const struct schema_stream *stream, struct bytes *rows, struct row *ret) {
        struct mp_reader r = mp_reader_of(*rows);
        uint32_t n;

        if (rows->len == 0)
                return 0;
        if (mp_read_array(&r, &n) < 0 || n != stream->n_fields)
                return -EBADMSG;
        ret->stream = stream;
        for (uint32_t i = 0; i < n; i++) {
                ret->elements[i] = r.pos;
                if (mp_skip(&r) < 0)
                        return -EBADMSG;
        }
        ret->elements[n] = r.pos;
        *rows = BYTES(r.pos, r.end - r.pos);
        return 1;
}

int field_find(const struct schema_stream *stream, const char *name, struct field_ref *ret) {
        for (uint32_t i = 0; i < stream->n_fields; i++)
                if (strcasecmp(stream->fields[i].name, name) == 0) {
                        *ret = (struct field_ref){ &stream->fields[i], i, false };
                        return 0;
                }
        for (uint32_t i = 0; i < stream->n_fields; i++)
                if (stream->fields[i].target[0] &&
                    strcasecmp(stream->fields[i].target, name) == 0) {
                        *ret = (struct field_ref){ &stream->fields[i], i, true };
                        return 0;
                }
        return -ENOENT;
}

const char *field_nearest(const struct schema_stream *stream, const char *name) {
        const char *names[2 * LIMIT_FIELDS_MAX];
        size_t n = 0;

        for (uint32_t i = 0; i < stream->n_fields; i++) {
                names[n++] = stream->fields[i].name;
                if (stream->fields[i].target[0])
                        names[n++] = stream->fields[i].target;
        }
        return text_nearest(name, names, n);
}

static bool element_of(const struct row *row, const struct field_ref *ref, struct mp_value *ret) {
        struct mp_reader r = { row->elements[ref->index], row->elements[ref->index + 1] };

        return mp_read(&r, ret) == 0;
}

struct value row_value(const struct row *row, const struct field_ref *ref) {
        struct mp_value v;

        if (!element_of(row, ref, &v))
                return (struct value){ .type = VALUE_NONE };
        switch (v.type) {
        case MP_UINT:
                return (struct value){ .type = VALUE_UINT, .u = v.u };
        case MP_INT:
                return (struct value){ .type = VALUE_INT, .i = v.i };
        case MP_FLOAT:
                return (struct value){ .type = VALUE_FLOAT, .f = v.f };
        case MP_BOOL:
                return (struct value){ .type = VALUE_UINT, .u = v.b };
        case MP_STR:
        case MP_BIN:
                return (struct value){ .type = VALUE_BYTES, .bytes = BYTES(v.data, v.n) };
        case MP_NIL:
        case MP_ARRAY:
        case MP_MAP:
        case MP_EXT:
                break;
        }
        return (struct value){ .type = VALUE_NONE };
}

static void append_bin(struct buf *b, const struct schema_field *field, const struct mp_value *v) {
        uint8_t text[FORMAT_MAX];

        if (field->kind == FIELD_IP || field->elem == FIELD_IP) {
                buf_append(b, text, (size_t)(format_ip(text, v->data, v->n) - text));
                return;
        }
        for (uint32_t i = 0; i < v->n; i++) {
                char digits[3];

                hex_encode(&v->data[i], 1, digits);
                buf_append(b, digits, 2);
        }
}

static void append_float(struct buf *b, double v) {
        uint8_t text[FORMAT_MAX];

        if (isfinite(v))
                buf_append(b, text, (size_t)(format_double(text, v, false, -1) - text));
        else
                buf_puts(b, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "Inf");
}

static void append_value(struct mp_reader *r, const struct schema_field *field, struct buf *b,
                         unsigned int depth) {
        struct mp_value v;

        if (depth > NEST_MAX || mp_read(r, &v) < 0) {
                r->pos = r->end;
                return;
        }
        switch (v.type) {
        case MP_BOOL:
                buf_puts(b, v.b ? "true" : "false");
                break;
        case MP_UINT:
                buf_printf(b, "%llu", (unsigned long long)v.u);
                break;
        case MP_INT:
                buf_printf(b, "%lld", (long long)v.i);
                break;
        case MP_FLOAT:
                append_float(b, v.f);
                break;
        case MP_STR:
                buf_append(b, v.data, v.n);
                break;
        case MP_BIN:
                append_bin(b, field, &v);
                break;
        case MP_ARRAY:
                for (uint32_t i = 0; i < v.n && r->pos < r->end; i++) {
                        if (i > 0)
                                buf_puts(b, " ");
                        append_value(r, field, b, depth + 1);
                }
                break;
        case MP_NIL:
        case MP_MAP:
        case MP_EXT:
                break;
        }
}

void row_append_text(const struct row *row, const struct field_ref *ref, struct format_clock *clock,
                     struct buf *b) {
        struct mp_reader r = { row->elements[ref->index], row->elements[ref->index + 1] };
        struct rendering rendering = schema_rendering(ref->field);
        struct value n = row_value(row, ref);
        uint8_t text[FORMAT_MAX];

        if (!ref->is_rendered || (n.type != VALUE_UINT && n.type != VALUE_INT))
                append_value(&r, ref->field, b, 0);
        else if (ref->field->render != RENDER_TIMESTAMP || rendering.layout)
                rendered_append(b, &rendering, n.u, n.type == VALUE_INT);
        else if (n.type == VALUE_UINT)
                buf_append(b, text, (size_t)(format_timestamp(clock, text, n.u) - text));
        else
                buf_printf(b, "%lld", (long long)n.i);
}
