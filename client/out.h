/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where rendered text goes: one large buffer in front of an fd (no stdio), or a growing piece of
 * memory. The renderers write through `pos` directly once out_room() has made room; OUT_SLACK bytes
 * behind `end` may be overwritten by copies that work in whole words.
 */
#pragma once

#include <signal.h>

#include "base/util.h"

#define OUT_SIZE (256u << 10)
#define OUT_SLACK 64u

struct out {
        uint8_t *data;
        uint8_t *pos;
        uint8_t *end;
        int fd;          /* borrowed; -1 = memory only */
        int error;       /* first failure of write(), such as -EPIPE; what comes after is dropped */
        uint64_t n_lost; /* bytes dropped because of it */
        /* When not NULL and 2 or more, a write that blocks is given up (the user has asked twice to
         * stop). */
        const volatile sig_atomic_t *give_up;
};

int out_init(struct out *out, int fd, size_t size);
void out_done(struct out *out); /* does not flush */

/* 0 or the error that out is in. */
int out_flush(struct out *out);

/* Makes the buffer at least this large; what is pending stays. */
int out_grow(struct out *out, size_t size);

/* Flushes or grows until n bytes fit behind pos. n larger than the buffer: -ENOBUFS on an fd;
 * -ENOMEM in memory. */
int out_make_room(struct out *out, size_t n);

static inline int out_room(struct out *out, size_t n) {
        if ((size_t)(out->end - out->pos) >= n)
                return 0;
        return out_make_room(out, n);
}

/* Any length. */
void out_put(struct out *out, const void *data, size_t n);

static inline size_t out_pending(const struct out *out) {
        return (size_t)(out->pos - out->data);
}
