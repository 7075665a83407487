/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define CAP_MIN 256

void buf_done(struct buf *b) {
        if (b->data)
                free(b->data - b->gap);
        *b = BUF_INIT(b->max);
}

/* Closes the gap when nothing is left to move over it. */
static void take_gap_back(struct buf *b) {
        b->data -= b->gap;
        b->cap += b->gap;
        b->gap = 0;
}

void buf_reset(struct buf *b) {
        b->len = 0;
        b->failed = false;
        b->lacked_memory = false;
        if (b->data)
                take_gap_back(b);
}

static uint8_t *fail(struct buf *b, bool lacked_memory) {
        if (!b->failed)
                b->lacked_memory = lacked_memory;
        b->failed = true;
        return NULL;
}

uint8_t *buf_grow(struct buf *b, size_t n) {
        size_t need, cap;
        uint8_t *data;

        if (b->failed)
                return NULL;
        if (b->len > b->max || n > b->max - b->len)
                return fail(b, false);
        if (b->data && n <= b->cap - b->len)
                return b->data + b->len;

        if (b->gap > 0) {
                uint8_t *from = b->data;

                /* Moving is cheap against what has been consumed since the last move, or comes
                 * before a realloc anyway. */
                take_gap_back(b);
                memmove(b->data, from, b->len);
                if (n <= b->cap - b->len)
                        return b->data + b->len;
        }

        need = b->len + n;
        cap = MAX(b->cap, (size_t)CAP_MIN);
        while (cap < need && cap <= SIZE_MAX / 2)
                cap *= 2;
        cap = MAX(MIN(cap, b->max), MAX(need, (size_t)1));
        data = realloc(b->data, cap);
        if (!data)
                return fail(b, true);
        b->data = data;
        b->cap = cap;
        return b->data + b->len;
}

int buf_printf(struct buf *b, const char *fmt, ...) {
        va_list args;
        uint8_t *p;
        int n;

        va_start(args, fmt);
        n = vsnprintf(NULL, 0, fmt, args);
        va_end(args);
        if (n < 0)
                return -EINVAL;

        /* vsnprintf wants room for its NUL, which then is not counted. */
        if ((size_t)n > b->max - MIN(b->len, b->max)) {
                fail(b, false);
                return buf_result(b);
        }
        if (b->max - b->len == (size_t)n) {
                cleanup_free char *text = malloc((size_t)n + 1);

                if (!text) {
                        fail(b, true);
                        return buf_result(b);
                }
                va_start(args, fmt);
                vsnprintf(text, (size_t)n + 1, fmt, args);
                va_end(args);
                return buf_append(b, text, (size_t)n);
        }
        p = buf_reserve(b, (size_t)n + 1);
        if (!p)
                return buf_result(b);
        va_start(args, fmt);
        vsnprintf((char *)p, (size_t)n + 1, fmt, args);
        va_end(args);
        b->len += (size_t)n;
        return 0;
}

int buf_puts(struct buf *b, const char *text) {
        return buf_append(b, text, strlen(text));
}

void buf_consume(struct buf *b, size_t n) {
        assert(n <= b->len);

        if (n == b->len) {
                b->len = 0;
                if (b->data)
                        take_gap_back(b);
                return;
        }
        b->data += n;
        b->len -= n;
        b->cap -= n;
        b->gap += n;
}

char *buf_steal_string(struct buf *b) {
        char *text;

        if (b->failed)
                return NULL;
        if (b->gap > 0) {
                uint8_t *from = b->data;

                take_gap_back(b);
                memmove(b->data, from, b->len);
        }
        /* The NUL is ours to add, so it does not count against max. */
        text = realloc(b->data, b->len + 1);
        if (!text)
                return NULL;
        text[b->len] = '\0';
        *b = BUF_INIT(b->max);
        return text;
}

int buf_result(const struct buf *b) {
        if (!b->failed)
                return 0;
        return b->lacked_memory ? -ENOMEM : -EFBIG;
}
