/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. */
#pragma once

#include "image/blob.h"
#include "image/layout.h"
#include "image/store.h"

struct store {
        int root_fd;
        char *path; /* for messages */
        int flags;
        bool skips_garbage;
};

/* "store 'PATH': " before the error; returns r. */
int store_error(const struct store *store, int r, struct error *err);

/* -EROFS (ERROR_DENIED) for a read-only store, else takes the lock. */
int store_lock(struct store *store, int *ret_fd, struct error *err);

/* The entry of ref, in a layout just read; -ENOENT (ERROR_NOT_FOUND) when there is none. d and name
 * are borrowed from the layout. */
int store_find(struct store *store, const struct layout *layout, const struct image_ref *ref,
               struct descriptor *ret, struct error *err);

enum image_origin image_origin_of(const json_t *annotations);

/* Names d and writes index.json; collects garbage when an image lost its name by it. The lock is
 * held. */
int store_put_name(struct store *store, const struct image_ref *ref, const struct descriptor *d,
                   struct error *err);

/* Removes every blob that index.json does not lead to, and left-over temporary files. The lock is
 * held. Frees nothing when a document that is needed cannot be read, for it may name any blob. */
int store_collect_garbage(struct store *store);

/* A new name needs a tag: -EINVAL when ref has a digest. */
int store_check_target(const struct image_ref *ref, struct error *err);
