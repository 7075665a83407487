/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after a store: pruning, exporting, the list of its blobs for a check. */
#pragma once

#include "image/store.h"

struct prune_result {
        uint64_t bytes;
        uint32_t blobs;
        uint32_t images;
};
/* Removes names that `keeps` does not want (NULL = all stay; signatures follow their image), then
 * what no name leads to. */
typedef bool (*prune_keep_func)(void *userdata, const char *digest);
int store_prune(struct store *store, prune_keep_func keeps, void *userdata,
                struct prune_result *ret, struct error *err);

/* index.json of a layout with these images and their signatures; text is the caller's. Each image
 * comes from the first of the stores that has it (NULL = no store), its signatures from all of
 * them. func gets every blob that it leads to and that is here, once. */
#define EXPORT_STORES_MAX 2
typedef int (*export_blob_func)(void *userdata, const char *digest, uint64_t size);
int store_export(struct store *const *stores, size_t n_stores, const struct image_ref *refs,
                 size_t n_refs, char **ret_index, size_t *ret_n, export_blob_func func,
                 void *userdata, struct error *err);

/* Calls func for every blob file. */
int store_each_blob(struct store *store, export_blob_func func, void *userdata);

/* Out of the way, into quarantine/. */
int store_quarantine(struct store *store, const char *digest, struct error *err);
