/* SPDX-License-Identifier: Apache-2.0 */
#include "image/intake.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/reach.h"
#include "image/store-internal.h"

bool store_has_blob(struct store *store, const char *digest, uint64_t size, int *ret_fd) {
        char path[BLOB_PATH_MAX];
        cleanup_close int fd = -1;
        struct stat st;

        blob_path(digest, path);
        fd = open_beneath(store->root_fd, path, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
                return false;
        if (ret_fd)
                *ret_fd = TAKE_FD(fd);
        return true;
}

static int check_present(struct store *store, const struct intake *intake, struct error *err) {
        for (size_t i = 0; i < intake->n_blobs; i++) {
                const struct intake_blob *blob = &intake->blobs[i];
                bool is_waiting = blob->writer && blob->writer->temp[0] != '\0';

                if (!is_waiting && !store_has_blob(store, blob->digest, blob->size, NULL))
                        return error_set(err, ERROR_UNAVAILABLE, -ENODATA,
                                         "blob %s was removed from the store meanwhile; try again",
                                         blob->digest);
        }
        return 0;
}

static int commit_blobs(struct intake *intake, struct error *err) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < intake->n_blobs; i++) {
                struct blob_writer *w = intake->blobs[i].writer;

                if (w && w->temp[0] != '\0')
                        r = blob_writer_place(w, intake->blobs[i].digest, err);
        }
        return r;
}

static int put_documents(struct store *store, const struct intake *intake, struct error *err) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < intake->n_documents; i++)
                r = blob_put_as(store->root_fd, intake->documents[i].digest,
                                intake->documents[i].text, err);
        return r;
}

static bool is_named_already(struct store *store, const struct intake *intake) {
        struct resolved old;

        return store_resolve(store, intake->ref, &old, NULL) == 0 &&
               str_eq(old.digest, intake->root.digest) && old.origin != ORIGIN_UNKNOWN;
}

static int put_name(struct store *store, const struct intake *intake, struct error *err) {
        cleanup_json json_t *ours =
                json_pack("{s:s}", ANNOTATION_ORIGIN, image_origin_name(intake->origin));
        struct descriptor d = intake->root;
        int r;

        if (!ours)
                return -ENOMEM;
        d.annotations = ours;
        store->skips_garbage = intake->is_one_of_many;
        r = store_put_name(store, intake->ref, &d, err);
        store->skips_garbage = false;
        return r;
}

int store_take_in(struct store *store, struct intake *intake, bool *ret_replaced,
                  struct error *err) {
        cleanup_close int lock_fd = -1;
        bool is_same;
        int r;

        r = store_lock(store, &lock_fd, err);
        if (r < 0)
                return r;
        r = check_present(store, intake, err);
        if (r < 0)
                return r;
        r = commit_blobs(intake, err);
        if (r == 0)
                r = put_documents(store, intake, err);
        /* An image that was built here stays so when the same one is pulled under its name. */
        is_same = r == 0 && is_named_already(store, intake);
        if (r == 0 && !is_same)
                r = put_name(store, intake, err);
        if (r < 0) {
                (void)store_collect_garbage(store);
                return store_error(store, r, err);
        }
        if (ret_replaced)
                *ret_replaced = !is_same;
        return 0;
}

int store_resolve(struct store *store, const struct image_ref *ref, struct resolved *ret,
                  struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        struct descriptor d;
        int r;

        r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);
        r = store_find(store, &layout, ref, &d, err);
        if (r < 0)
                return r;
        *ret = (struct resolved){ .size = d.size, .origin = image_origin_of(d.annotations) };
        snprintf(ret->digest, sizeof(ret->digest), "%s", d.digest);
        snprintf(ret->media_type, sizeof(ret->media_type), "%s", d.media_type);
        return 0;
}

void store_find_sibling(struct store *store, const struct image_ref *ref, const char *digest,
                        char *out, size_t n) {
        cleanup_layout struct layout layout = { 0 };
        char name[LIMIT_IMAGE_REF_MAX + 1];

        out[0] = '\0';
        if (layout_read(store->root_fd, &layout, NULL) < 0)
                return;
        for (size_t i = 0; i < layout_count(&layout) && out[0] == '\0'; i++) {
                cleanup_reach struct reach reach = { 0 };
                struct image_ref other;

                layout_name(&layout, i, name, sizeof(name));
                if (image_ref_parse(name, &other, NULL) < 0 || !str_eq(other.host, ref->host) ||
                    str_eq(other.path, ref->path))
                        continue;
                if (reach_from(store->root_fd, json_array_get(layout.manifests, i), &reach) == 0 &&
                    reach_has(&reach, digest) && strlen(other.path) < n)
                        snprintf(out, n, "%s", other.path);
        }
}
