/* SPDX-License-Identifier: Apache-2.0 */
#include "client/rendered.h"

#include "client/format.h"

static void append_separator(struct buf *b, const struct schema_field *field) {
        const char *separator =
                annotation_get(&field->annotations, "ebpf.formatter.bitfield.separator");

        if (b->len > 0)
                buf_puts(b, separator ? separator : "|");
}

static void append_enum_set(struct buf *b, const struct schema_field *field, uint64_t v) {
        const struct schema_enum *e = field->enumeration;
        uint8_t hex[FORMAT_MAX];
        uint64_t rest = v;

        for (uint32_t i = 0; i < e->n_values; i++) {
                uint64_t bits = (uint64_t)e->values[i].value;

                /* A value of 0 means "none of them", so it is named only when that is so. */
                if (bits == 0 ? v != 0 : (v & bits) != bits)
                        continue;
                append_separator(b, field);
                buf_puts(b, e->values[i].name);
                rest &= ~bits;
        }
        if (rest) {
                append_separator(b, field);
                buf_append(b, hex, (size_t)(format_hex(hex, rest) - hex));
        }
}

static void append_enum(struct buf *b, const struct schema_field *field, uint64_t v) {
        const struct schema_enum *e = field->enumeration;

        if (e->is_set) {
                append_enum_set(b, field, v);
                return;
        }
        for (uint32_t i = 0; i < e->n_values; i++)
                if ((uint64_t)e->values[i].value == v) {
                        buf_puts(b, e->values[i].name);
                        return;
                }
        buf_puts(b, "UNKNOWN");
}

static uint8_t *put_rendered(uint8_t *p, const struct schema_field *field, uint64_t v) {
        switch (field->render) {
        case RENDER_ERRNO:
                return format_errno(p, v);
        case RENDER_SIGNAL:
                return format_signal(p, v);
        case RENDER_SYSCALL:
                return format_syscall(p, ARCH_NATIVE, v);
        case RENDER_FILE_MODE:
                return format_file_mode(p, v);
        case RENDER_FILE_FLAGS:
                return format_file_flags(p, ARCH_NATIVE, v);
        case RENDER_BYTES:
                return format_bytes(p, v);
        case RENDER_DURATION:
                return format_duration(p, v);
        case RENDER_NONE:
        case RENDER_TIMESTAMP: /* has an operation of its own */
        case RENDER_ENUM:      /* longer than FORMAT_MAX */
        case RENDER_HISTOGRAM:
        case _RENDER_MAX:
                break;
        }
        return format_i64(p, (int64_t)v);
}

void rendered_append(struct buf *b, const struct schema_field *field, uint64_t v,
                     bool is_negative) {
        bool is_amount = field->render == RENDER_BYTES || field->render == RENDER_DURATION;
        uint8_t text[FORMAT_MAX];

        /* An amount below zero, such as an error in place of a size. */
        if (is_amount && is_negative) {
                buf_puts(b, "-");
                v = -v;
        }
        if (field->render == RENDER_ENUM)
                append_enum(b, field, v);
        else
                buf_append(b, text, (size_t)(put_rendered(text, field, v) - text));
}
