/* SPDX-License-Identifier: Apache-2.0 */
#include "image/partial.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define COPY_CHUNK ((size_t)64 << 10)

static int open_nameless(struct partial *partial) {
        partial->name[0] = '\0';
        partial->fd = openat(partial->root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
        return partial->fd < 0 ? -errno : 0;
}

static int open_named(struct partial *partial, const char *digest) {
        struct stat st;

        snprintf(partial->name, sizeof(partial->name), PARTIAL_PREFIX "%s", digest);
        *strchr(partial->name, ':') = '-';
        partial->fd = openat(partial->root_fd, partial->name,
                             O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (partial->fd < 0)
                return -errno;
        /* Somebody else downloads it, or has just removed it. */
        if (flock(partial->fd, LOCK_EX | LOCK_NB) < 0 || fstat(partial->fd, &st) < 0 ||
            st.st_nlink == 0 || !S_ISREG(st.st_mode)) {
                close_fd(&partial->fd);
                return -EAGAIN;
        }
        return 0;
}

int partial_open(int root_fd, const char *digest, uint64_t max, struct partial *ret,
                 uint64_t *ret_size, struct error *err) {
        struct partial partial = { .root_fd = root_fd, .fd = -1 };
        struct stat st = { 0 };
        int r;

        r = open_named(&partial, digest);
        if (r == -EAGAIN)
                r = open_nameless(&partial);
        if (r == 0 && fstat(partial.fd, &st) < 0)
                r = -errno;
        /* More than the blob has is not its beginning. */
        if (r == 0 && (uint64_t)st.st_size > max) {
                st.st_size = 0;
                if (ftruncate(partial.fd, 0) < 0)
                        r = -errno;
        }
        if (r < 0) {
                close_fd(&partial.fd);
                return error_prefix(err, r, "cannot create a file for blob %s in the store",
                                    digest);
        }
        *ret_size = (uint64_t)st.st_size;
        *ret = partial;
        return 0;
}

void partial_close(struct partial *partial, bool keep) {
        if (partial->fd >= 0 && !keep && partial->name[0] != '\0')
                unlinkat(partial->root_fd, partial->name, 0);
        close_fd(&partial->fd);
}

int partial_copy(int fd, uint64_t *position, size_t budget, struct blob_writer *w,
                 struct hasher *hasher, struct error *err) {
        cleanup_free uint8_t *chunk = malloc(COPY_CHUNK);
        size_t done = 0;
        int r;

        if (!chunk)
                return -ENOMEM;
        while (done < budget) {
                ssize_t n = pread(fd, chunk, COPY_CHUNK, (off_t)*position);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_prefix(err, -errno, "cannot read a blob");
                if (n == 0)
                        return 1;
                r = w ? blob_writer_add(w, chunk, (size_t)n, err)
                      : hasher_add(hasher, chunk, (size_t)n);
                if (r < 0)
                        return r;
                *position += (uint64_t)n;
                done += (size_t)n;
        }
        return 0;
}
