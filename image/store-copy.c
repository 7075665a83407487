/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "image/reach.h"
#include "image/store-internal.h"

#define COPY_CHUNK ((size_t)64 << 10)

static int copy_content(int fd, struct blob_writer *w, struct error *err) {
        cleanup_free uint8_t *chunk = malloc(COPY_CHUNK);

        if (!chunk)
                return error_prefix(err, -ENOMEM, "cannot copy a blob");
        for (;;) {
                ssize_t n = read(fd, chunk, COPY_CHUNK);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_prefix(err, -errno, "cannot read a blob");
                if (n == 0)
                        return 0;
                r = blob_writer_add(w, chunk, (size_t)n, err);
                if (r < 0)
                        return r;
        }
}

static int copy_blob(struct store *from, const char *digest, struct store *to, struct error *err) {
        cleanup_blob_writer struct blob_writer w = { .fd = -1 };
        char path[BLOB_PATH_MAX];
        cleanup_close int fd = -1;
        int r;

        blob_path(digest, path);
        fd = open_beneath(from->root_fd, path, O_RDONLY | O_NONBLOCK, 0);
        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return error_prefix(err, fd, "cannot open blob %s", digest);
        r = blob_writer_init(&w, to->root_fd, digest, err);
        if (r < 0)
                return r;
        r = copy_content(fd, &w, err);
        if (r < 0)
                return r;
        return blob_writer_commit(&w, digest, NULL, err);
}

static int copy_all(struct store *from, const struct reach *reach, struct store *to,
                    struct error *err) {
        int r;

        for (size_t i = 0; i < reach->n; i++) {
                r = copy_blob(from, reach->digests[i], to, err);
                if (r < 0)
                        return store_error(to, r, err);
        }
        return 0;
}

int store_copy(struct store *from, const struct image_ref *source, struct store *to,
               const struct image_ref *target, struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        cleanup_reach struct reach reach = { 0 };
        cleanup_close int lock_fd = -1;
        struct descriptor d;
        size_t i;
        int r;

        r = store_check_target(target, err);
        if (r < 0)
                return r;
        r = layout_read(from->root_fd, &layout, err);
        if (r < 0)
                return store_error(from, r, err);
        r = store_find(from, &layout, source, &d, err);
        if (r < 0)
                return r;
        (void)layout_find(&layout, source, &i);
        r = reach_from(from->root_fd, json_array_get(layout.manifests, i), &reach);
        if (r < 0)
                return error_prefix(err, r, "image '%s' in store '%s' is damaged", source->path,
                                    from->path);

        r = store_lock(to, &lock_fd, err);
        if (r < 0)
                return r;
        r = copy_all(from, &reach, to, err);
        if (r == 0)
                r = store_put_name(to, target, &d, err);
        if (r < 0)
                (void)store_collect_garbage(to);
        return r;
}
