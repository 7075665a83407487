/* SPDX-License-Identifier: Apache-2.0 */
#include "client/out.h"

#include <poll.h>

int out_init(struct out *out, int fd, size_t size) {
        *out = (struct out){ .fd = fd };
        out->data = malloc(size + OUT_SLACK);
        if (!out->data)
                return -ENOMEM;
        out->pos = out->data;
        out->end = out->data + size;
        return 0;
}

void out_done(struct out *out) {
        free(out->data);
        *out = (struct out){ .fd = -1 };
}

/* Standard output may be somebody's non-blocking pipe. */
static int wait_writable(struct out *out) {
        struct pollfd p = { .fd = out->fd, .events = POLLOUT };

        if (poll(&p, 1, -1) < 0 && errno != EINTR)
                return -errno;
        return 0;
}

static int write_some(struct out *out, const uint8_t *data, size_t n, size_t *ret) {
        ssize_t written = write(out->fd, data, n);

        *ret = 0;
        if (written >= 0) {
                *ret = (size_t)written;
                return 0;
        }
        if (errno == EAGAIN || errno == EINTR) {
                if (out->give_up && *out->give_up >= 2)
                        return -EINTR;
                return errno == EAGAIN ? wait_writable(out) : 0;
        }
        return -errno;
}

int out_flush(struct out *out) {
        const uint8_t *data = out->data;

        if (out->fd < 0)
                return out->error;
        while (data < out->pos && out->error == 0) {
                size_t n;

                out->error = write_some(out, data, (size_t)(out->pos - data), &n);
                data += n;
        }
        out->n_lost += (uint64_t)(out->pos - data);
        out->pos = out->data;
        return out->error;
}

int out_grow(struct out *out, size_t size) {
        size_t used = out_pending(out);
        uint8_t *data;

        if (size <= (size_t)(out->end - out->data))
                return 0;
        if (size > SIZE_MAX / 2)
                return -ENOMEM;
        data = malloc(size + OUT_SLACK);
        if (!data)
                return -ENOMEM;
        memcpy(data, out->data, used);
        free(out->data);
        out->data = data;
        out->pos = data + used;
        out->end = data + size;
        return 0;
}

int out_make_room(struct out *out, size_t n) {
        size_t size = (size_t)(out->end - out->data);
        int r;

        if (out->fd >= 0) {
                out_flush(out);
                return n <= size ? 0 : -ENOBUFS;
        }
        r = n > SIZE_MAX / 4 ? -ENOMEM : out_grow(out, MAX(size * 2, out_pending(out) + n));
        if (r < 0 && out->error == 0)
                out->error = r;
        return r;
}

void out_put(struct out *out, const void *data, size_t n) {
        const uint8_t *p = data;

        while (n > 0) {
                size_t room = (size_t)(out->end - out->pos), part;

                if (room == 0) {
                        if (out_make_room(out, MIN(n, (size_t)OUT_SLACK)) < 0)
                                return;
                        continue;
                }
                part = MIN(n, room);
                memcpy(out->pos, p, part);
                out->pos += part;
                p += part;
                n -= part;
        }
}
