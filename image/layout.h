/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of an OCI image layout: oci-layout, index.json and its lock. An image's name is the
 * annotation org.opencontainers.image.ref.name of its entry in index.json and holds the canonical
 * reference, "trace_open:latest", because that is what skopeo (oci:DIR:trace_open:latest) and umoci
 * (--image DIR:trace_open:latest) look up. Entries that other tools wrote with a shorter name are
 * found by what it means ("trace_open").
 *
 * Readers take no lock: index.json is replaced by rename. A writer holds the lock from before it
 * reads index.json until it has written it.
 */
#pragma once

#include "image/manifest.h"
#include "image/ref.h"

#define LAYOUT_VALUES_MAX (1 << 18) /* 4 MiB of index.json, the store's own file */
#define LAYOUT_LOCK_WAIT_MS 5000

struct layout {
        json_t *root;
        json_t *manifests; /* borrowed from root; every entry is a valid descriptor */
};

/* Makes what is missing of oci-layout, index.json and blobs/. Hold the lock. */
int layout_create(int root_fd, struct error *err);

/* -EINVAL when there is no oci-layout of version 1. */
int layout_check(int root_fd, struct error *err);

int layout_read(int root_fd, struct layout *ret, struct error *err);
int layout_write(int root_fd, const struct layout *layout, struct error *err);
void layout_done(struct layout *layout);
#define cleanup_layout cleanup(layout_done)

/* The lock is held until ret_fd is closed. -EBUSY when somebody else holds it for
 * LAYOUT_LOCK_WAIT_MS. */
int layout_lock(int root_fd, int *ret_fd, struct error *err);

size_t layout_count(const struct layout *layout);

/* Entry i as descriptor and, when it has one, its name as it is written; both borrowed. ret_name
 * may be set to NULL. */
void layout_get(const struct layout *layout, size_t i, struct descriptor *ret,
                const char **ret_name);

/* Index of the entry that ref means, -ENOENT. A ref with a digest means the entry of its repository
 * with that digest. */
int layout_find(const struct layout *layout, const struct image_ref *ref, size_t *ret);

/* The entry's canonical reference into out; what it says itself when that is no reference, "" when
 * it has no name. */
void layout_name(const struct layout *layout, size_t i, char *out, size_t n);

/* What this project notes about an entry begins so; it goes along when an image gets another name.
 */
#define ANNOTATION_OURS "dev.gadgetd."
#define ANNOTATION_ORIGIN ANNOTATION_OURS "origin"     /* enum image_origin by name */
#define ANNOTATION_POLICY ANNOTATION_OURS "policy"     /* id of the policy that admitted it last */
#define ANNOTATION_ADMITTED ANNOTATION_OURS "admitted" /* earlier ones, "TIME ID WHY" a line */

/* Names a descriptor, with those of its annotations that are ours; an entry of that name is
 * replaced. Entries stay sorted by name. ret_replaced: it had another digest. */
int layout_put(struct layout *layout, const char *name, const struct descriptor *d,
               bool *ret_replaced);

void layout_remove(struct layout *layout, size_t i);
