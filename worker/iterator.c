/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/iterator.h"

#include <assert.h>
#include <fcntl.h>

/* The kernel fills eight pages at a time. */
#define READ_SIZE (64u << 10)

void iterator_init(struct iterator *it, const struct source *source) {
        *it = (struct iterator){ .size = source->type->size };
        for (size_t i = 0; i < ARRAY_SIZE(it->links); i++)
                it->links[i] = -1;
}

void iterator_done(struct iterator *it) {
        for (size_t i = 0; i < it->n_links; i++)
                close_fd(&it->links[i]);
        it->n_links = 0;
}

int iterator_add_link(struct iterator *it, int link_fd) {
        /* A number of our own: libbpf's goes with its object. */
        int fd = fcntl(link_fd, F_DUPFD_CLOEXEC, 3);

        if (fd < 0)
                return -errno;
        assert(it->n_links < ITERATOR_PROGRAMS_MAX);
        it->links[it->n_links++] = fd;
        return 0;
}

/* Adds the whole structs among the n bytes and moves the rest to the front; how much that is. */
static size_t add_structs(const struct iterator *it, uint8_t *data, size_t n, struct array *a,
                          struct drain *d) {
        size_t done = 0;

        for (; n - done >= it->size; done += it->size)
                array_add(a, d, data + done, it->size);
        memmove(data, data + done, n - done);
        return n - done;
}

static int read_to_end(const struct iterator *it, int fd, uint8_t *data, size_t room,
                       struct array *a, struct drain *d) {
        size_t n = 0;

        for (;;) {
                ssize_t got = read(fd, data + n, room - n);

                /* The kernel interrupts a program that has run for long without output. */
                if (got < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n = add_structs(it, data, n + (size_t)got, a, d);
        }
        if (n > 0)
                ring_writer_drop(d->out, a->rows.stream, DROP_MALFORMED, 1);
        return 0;
}

/* Some show what is in one network namespace: they are made once for each. One that goes meanwhile
 * is not missed. */
static int read_one(const struct iterator *it, int link_fd, uint8_t *data, size_t room,
                    struct array *a, struct drain *d) {
        uint32_t netns = 0;
        int r;

        do {
                cleanup_close int fd = -1;

                r = host_iter_create(link_fd, &netns, &fd);
                if (r == 0)
                        r = read_to_end(it, fd, data, room, a, d);
        } while (r == 0 && netns > 0);
        return r == -ENOENT ? 0 : r;
}

int iterator_read(struct iterator *it, struct array *a, struct drain *d) {
        size_t room = READ_SIZE + it->size;
        cleanup_free uint8_t *data = malloc(room);
        int r = data ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < it->n_links; i++)
                r = read_one(it, it->links[i], data, room, a, d);
        return r;
}
