/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rendered.h"

#include "base/format.h"
#include "base/time-layout.h"

static void append_separator(struct buf *b, const struct rendering *rendering, size_t start) {
        if (b->len > start)
                buf_puts(b, rendering->separator ? rendering->separator : "|");
}

static void append_enum_set(struct buf *b, const struct rendering *rendering, uint64_t v) {
        uint8_t hex[FORMAT_MAX];
        size_t start = b->len;
        uint64_t rest = v;

        for (size_t i = 0; i < rendering->n_values; i++) {
                uint64_t bits = (uint64_t)rendering->values[i].value;

                /* A value of 0 means "none of them", so it is named only when that is so. */
                if (bits == 0 ? v != 0 : (v & bits) != bits)
                        continue;
                append_separator(b, rendering, start);
                buf_puts(b, rendering->values[i].name);
                rest &= ~bits;
        }
        if (rest) {
                append_separator(b, rendering, start);
                buf_append(b, hex, (size_t)(format_hex(hex, rest) - hex));
        }
}

static void append_enum(struct buf *b, const struct rendering *rendering, uint64_t v) {
        if (rendering->is_set) {
                append_enum_set(b, rendering, v);
                return;
        }
        for (size_t i = 0; i < rendering->n_values; i++)
                if ((uint64_t)rendering->values[i].value == v) {
                        buf_puts(b, rendering->values[i].name);
                        return;
                }
        buf_puts(b, RENDERED_UNKNOWN);
}

static uint8_t *put_rendered(uint8_t *p, enum field_render render, uint64_t v) {
        switch (render) {
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

void rendered_append(struct buf *b, const struct rendering *rendering, uint64_t v,
                     bool is_negative) {
        enum field_render render = rendering->render;
        bool is_amount = render == RENDER_BYTES || render == RENDER_DURATION;
        uint8_t text[FORMAT_MAX];

        /* An amount below zero, such as an error in place of a size. */
        if (is_amount && is_negative) {
                buf_puts(b, "-");
                v = -v;
        }
        if (render == RENDER_TIMESTAMP && rendering->layout && !is_negative)
                time_layout_append(b, rendering->layout, v);
        else if (render == RENDER_ENUM)
                append_enum(b, rendering, v);
        else
                buf_append(b, text, (size_t)(put_rendered(text, render, v) - text));
}
