/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a hard bound. Once an append fails the buffer stays failed (checked
 * once, at the end). Consuming from the front moves `data` on and leaves a gap before it, so a
 * queue costs no copying.
 */
#pragma once

#include "base/util.h"

struct buf {
        uint8_t *data;
        size_t len;
        size_t cap;         /* room from data on */
        size_t gap;         /* consumed bytes before data: the memory starts at data - gap */
        size_t max;         /* len never grows past this */
        bool failed;        /* an append did not fit or found no memory */
        bool lacked_memory; /* it was memory */
};

#define BUF_INIT(_max) ((struct buf){ .max = (_max) })

void buf_done(struct buf *b);  /* frees; idempotent */
void buf_reset(struct buf *b); /* empties and clears `failed`, keeps the memory */

/* -ENOMEM or -EFBIG when an append failed, else 0. */
int buf_result(const struct buf *b);

/* The slow way of buf_reserve(). */
uint8_t *buf_grow(struct buf *b, size_t n);

/* Room for n more bytes, not yet counted in len; NULL when that is past max or out of memory. */
static inline uint8_t *buf_reserve(struct buf *b, size_t n) {
        if (!b->failed && b->data && n <= b->cap - b->len && n <= b->max - b->len)
                return b->data + b->len;
        return buf_grow(b, n);
}

/* 0, or as buf_result(). */
static inline int buf_append(struct buf *b, const void *data, size_t n) {
        uint8_t *p = buf_reserve(b, n);

        if (!p)
                return buf_result(b);
        if (n > 0)
                memcpy(p, data, n);
        b->len += n;
        return 0;
}
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
int buf_puts(struct buf *b, const char *text);

/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);

/* The content as a NUL-terminated string that the caller frees; the buffer is empty afterwards.
 * NULL if failed. */
char *buf_steal_string(struct buf *b);

#define cleanup_buf cleanup(buf_done)
