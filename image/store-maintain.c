/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store-maintain.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/store-internal.h"
#include "image/store-signatures.h"

static int each_of(struct store *store, const char *algorithm, export_blob_func func,
                   void *userdata) {
        char path[32], digest[DIGEST_TEXT_MAX + 256];
        const struct dirent *entry;
        struct stat st;
        int fd, r = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "blobs/%s", algorithm);
        fd = open_beneath(store->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return -ENOMEM;
        }
        while (r == 0 && (entry = readdir(dir))) {
                snprintf(digest, sizeof(digest), "%s:%s", algorithm, entry->d_name);
                if (digest_is_valid(digest) &&
                    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        r = func(userdata, digest, (uint64_t)st.st_size);
        }
        closedir(dir);
        return r;
}

int store_each_blob(struct store *store, export_blob_func func, void *userdata) {
        return each_of(store, "sha256", func, userdata) ?: each_of(store, "sha512", func, userdata);
}

static int count_blob(void *userdata, const char *digest, uint64_t size) {
        struct prune_result *result = userdata;

        (void)digest;
        result->blobs++;
        result->bytes += size;
        return 0;
}

static bool has_digest(const struct layout *layout, const char *digest) {
        for (size_t i = 0; i < layout_count(layout); i++) {
                char name[LIMIT_IMAGE_REF_MAX + 1];
                struct descriptor d;
                const char *ignored;

                layout_get(layout, i, &d, &ignored);
                layout_name(layout, i, name, sizeof(name));
                if (str_eq(d.digest, digest) && !is_signature_name(name))
                        return true;
        }
        return false;
}

static void drop_names(struct layout *layout, prune_keep_func keeps, void *userdata,
                       uint32_t *n_images) {
        char name[LIMIT_IMAGE_REF_MAX + 1], about[DIGEST_TEXT_MAX];

        for (size_t i = layout_count(layout); keeps && i-- > 0;) {
                struct descriptor d;
                const char *ignored;

                layout_get(layout, i, &d, &ignored);
                layout_name(layout, i, name, sizeof(name));
                if (is_signature_name(name) || keeps(userdata, d.digest))
                        continue;
                layout_remove(layout, i);
                (*n_images)++;
        }
        for (size_t i = layout_count(layout); i-- > 0;) {
                layout_name(layout, i, name, sizeof(name));
                signature_subject(name, about, sizeof(about));
                if (about[0] != '\0' && !has_digest(layout, about))
                        layout_remove(layout, i);
        }
}

int store_prune(struct store *store, prune_keep_func keeps, void *userdata,
                struct prune_result *ret, struct error *err) {
        struct prune_result before = { 0 }, after = { 0 };
        cleanup_layout struct layout layout = { 0 };
        cleanup_close int lock_fd = -1;
        int r;

        r = store_lock(store, &lock_fd, err);
        if (r == 0)
                r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return r;
        (void)store_each_blob(store, count_blob, &before);
        drop_names(&layout, keeps, userdata, &after.images);
        r = layout_write(store->root_fd, &layout, err);
        if (r == 0)
                r = store_collect_garbage(store);
        if (r < 0)
                return store_error(store, r, err);
        *ret = (struct prune_result){ .images = after.images };
        (void)store_each_blob(store, count_blob, &after);
        ret->blobs = before.blobs - after.blobs;
        ret->bytes = before.bytes - after.bytes;
        return 0;
}

int store_quarantine(struct store *store, const char *digest, struct error *err) {
        char path[BLOB_PATH_MAX], to[DIGEST_TEXT_MAX + 16];
        int r;

        r = make_dirs(store->root_fd, "quarantine", 0700, NULL);
        blob_path(digest, path);
        snprintf(to, sizeof(to), "quarantine/%s", digest);
        if (r == 0 && renameat(store->root_fd, path, store->root_fd, to) < 0)
                r = -errno;
        return r < 0 ? error_prefix(err, r, "cannot move blob %s to quarantine", digest) : 0;
}
