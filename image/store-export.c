/* SPDX-License-Identifier: Apache-2.0 */
/* Images of one or more stores as one layout: its index.json, and the blobs that belong to it. */
#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "image/reach.h"
#include "image/store-internal.h"
#include "image/store-maintain.h"
#include "image/store-signatures.h"

struct source {
        struct store *store;
        struct layout layout;
        json_t *entries; /* of the new index.json that come from here */
};

struct export {
        struct source sources[EXPORT_STORES_MAX];
        size_t n;
        export_blob_func func;
        void *userdata;
};

static void export_done(struct export *export) {
        for (size_t i = 0; i < export->n; i++) {
                layout_done(&export->sources[i].layout);
                json_decref(export->sources[i].entries);
        }
}

static int open_sources(struct export *export, struct store *const *stores, size_t n,
                        struct error *err) {
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++) {
                struct source *source = &export->sources[export->n];

                if (!stores[i])
                        continue;
                *source = (struct source){ .store = stores[i], .entries = json_array() };
                export->n++;
                r = source->entries ? layout_read(stores[i]->root_fd, &source->layout, err)
                                    : -ENOMEM;
        }
        return r;
}

/* --- entries --- */

static bool has_name(const struct export *export, const char *name) {
        const json_t *entry;
        size_t k;

        for (size_t i = 0; i < export->n; i++)
                json_array_foreach(export->sources[i].entries, k, entry) {
                        const char *text = annotation_get(json_object_get(entry, "annotations"),
                                                          ANNOTATION_REF_NAME);

                        if (text && str_eq(text, name))
                                return true;
                }
        return false;
}

static int add_entry(struct export *export, struct source *source, const char *name,
                     const struct descriptor *d) {
        if (has_name(export, name))
                return 0;
        return json_array_append_new(source->entries,
                                     json_pack("{s:s,s:s,s:I,s:{s:s}}", "mediaType", d->media_type,
                                               "digest", d->digest, "size", (json_int_t)d->size,
                                               "annotations", ANNOTATION_REF_NAME, name)) < 0
                       ? -ENOMEM
                       : 0;
}

/* A signature may lie in another store than what it signs: nothing is written to the bundled one.
 */
static int add_signatures(struct export *export, const char *digest) {
        char name[LIMIT_IMAGE_REF_MAX + 1], about[DIGEST_TEXT_MAX];
        int r = 0;

        for (size_t i = 0; i < export->n; i++) {
                struct source *source = &export->sources[i];

                for (size_t k = 0; k < layout_count(&source->layout) && r == 0; k++) {
                        struct descriptor d;
                        const char *ignored;

                        layout_name(&source->layout, k, name, sizeof(name));
                        signature_subject(name, about, sizeof(about));
                        layout_get(&source->layout, k, &d, &ignored);
                        if (str_eq(about, digest))
                                r = add_entry(export, source, name, &d);
                }
        }
        return r;
}

static int add_image(struct export *export, const struct image_ref *ref, struct error *err) {
        char name[LIMIT_IMAGE_REF_MAX + 1];
        struct descriptor d;
        int r = -ENOENT;

        for (size_t i = 0; i < export->n && r == -ENOENT; i++) {
                struct source *source = &export->sources[i];

                r = store_find(source->store, &source->layout, ref, &d, err);
                if (r < 0)
                        continue;
                image_ref_format(ref, name, sizeof(name));
                r = add_entry(export, source, name, &d);
        }
        return r < 0 ? r : add_signatures(export, d.digest);
}

/* --- blobs --- */

static bool was_reported(const struct reach *before, size_t n, const char *digest) {
        for (size_t i = 0; i < n; i++)
                if (reach_has(&before[i], digest))
                        return true;
        return false;
}

static int report_blobs(struct export *export, struct error *err) {
        struct reach reaches[EXPORT_STORES_MAX] = { 0 };
        int r = 0;

        for (size_t i = 0; i < export->n && r == 0; i++) {
                int root_fd = export->sources[i].store->root_fd;

                r = reach_from(root_fd, export->sources[i].entries, &reaches[i]);
                if (r < 0)
                        error_prefix(err, r, "an image is damaged");
                for (size_t k = 0; k < reaches[i].n && r == 0; k++) {
                        const char *digest = reaches[i].digests[k];
                        char path[BLOB_PATH_MAX];
                        struct stat st;

                        blob_path(digest, path);
                        if (!was_reported(reaches, i, digest) &&
                            fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
                                r = export->func(export->userdata, digest, (uint64_t)st.st_size);
                }
        }
        for (size_t i = 0; i < export->n; i++)
                reach_done(&reaches[i]);
        return r;
}

static int print_index(const struct export *export, char **ret_index, size_t *ret_n) {
        cleanup_json json_t *list = json_array();
        cleanup_json json_t *root = NULL;

        for (size_t i = 0; i < export->n && list; i++)
                if (json_array_extend(list, export->sources[i].entries) < 0)
                        return -ENOMEM;
        root = list ? json_pack("{s:i,s:s,s:O}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_INDEX,
                                "manifests", list)
                    : NULL;
        return root ? json_print(root, ret_index, ret_n) : -ENOMEM;
}

int store_export(struct store *const *stores, size_t n_stores, const struct image_ref *refs,
                 size_t n_refs, char **ret_index, size_t *ret_n, export_blob_func func,
                 void *userdata, struct error *err) {
        cleanup(export_done) struct export export = { .func = func, .userdata = userdata };
        int r;

        assert(n_stores <= EXPORT_STORES_MAX);
        r = open_sources(&export, stores, n_stores, err);
        for (size_t i = 0; i < n_refs && r == 0; i++)
                r = add_image(&export, &refs[i], err);
        if (r == 0)
                r = report_blobs(&export, err);
        return r < 0 ? r : print_index(&export, ret_index, ret_n);
}
