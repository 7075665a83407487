/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store-maintain.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/intake.h"
#include "image/reach.h"
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

/* The image that a signature's name is about, "" = it is none. */
static void signed_digest(const char *name, char *out, size_t n) {
        const char *tag = strrchr(name, ':');

        out[0] = '\0';
        if (is_signature_name(name) && tag)
                snprintf(out, n, "sha256:%.64s", tag + 1 + strlen("sha256-"));
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
                signed_digest(name, about, sizeof(about));
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

/* --- export --- */

static int add_entry(const struct layout *layout, size_t i, json_t *out) {
        char name[LIMIT_IMAGE_REF_MAX + 1];
        struct descriptor d;
        const char *ignored;

        layout_get(layout, i, &d, &ignored);
        layout_name(layout, i, name, sizeof(name));
        return json_array_append_new(out,
                                     json_pack("{s:s,s:s,s:I,s:{s:s}}", "mediaType", d.media_type,
                                               "digest", d.digest, "size", (json_int_t)d.size,
                                               "annotations", ANNOTATION_REF_NAME, name));
}

static int add_image(struct store *store, const struct layout *layout, const struct image_ref *ref,
                     json_t *out, struct error *err) {
        char name[LIMIT_IMAGE_REF_MAX + 1], about[DIGEST_TEXT_MAX];
        struct descriptor d;
        size_t at;
        int r;

        r = store_find(store, layout, ref, &d, err);
        if (r < 0 || layout_find(layout, ref, &at) < 0)
                return r;
        r = add_entry(layout, at, out);
        for (size_t i = 0; r == 0 && i < layout_count(layout); i++) {
                layout_name(layout, i, name, sizeof(name));
                signed_digest(name, about, sizeof(about));
                if (str_eq(about, d.digest))
                        r = add_entry(layout, i, out);
        }
        return r < 0 ? -ENOMEM : 0;
}

int store_export(struct store *store, const struct image_ref *refs, size_t n_refs, char **ret_index,
                 size_t *ret_n, export_blob_func func, void *userdata, struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        cleanup_reach struct reach reach = { 0 };
        cleanup_json json_t *list = json_array();
        cleanup_json json_t *root = NULL;
        int r;

        r = list ? layout_read(store->root_fd, &layout, err) : -ENOMEM;
        for (size_t i = 0; r == 0 && i < n_refs; i++)
                r = add_image(store, &layout, &refs[i], list, err);
        if (r < 0)
                return r;
        root = json_pack("{s:i,s:s,s:O}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_INDEX,
                         "manifests", list);
        r = root ? reach_from(store->root_fd, root, &reach) : -ENOMEM;
        if (r < 0)
                return error_prefix(err, r, "an image is damaged");
        for (size_t i = 0; r == 0 && i < reach.n; i++) {
                char path[BLOB_PATH_MAX];
                struct stat st;

                blob_path(reach.digests[i], path);
                if (fstatat(store->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        r = func(userdata, reach.digests[i], (uint64_t)st.st_size);
        }
        return r < 0 ? r : json_print(root, ret_index, ret_n);
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
