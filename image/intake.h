/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking an image in from elsewhere, by a pull or an import: blobs are collected as verified
 * temporary files, and under the store's lock they get their names, then the documents, then
 * index.json's entry. Before the last step nobody can see the image; after it the image is whole.
 */
#pragma once

#include "image/blob.h"
#include "image/ref.h"
#include "image/store.h"

struct intake_document {
        const char *digest; /* of text, checked by the caller */
        struct bytes text;
};

struct intake_blob {
        const char *digest;
        uint64_t size;
        struct blob_writer *writer; /* verified content; NULL or committed = the store has it */
};

struct intake {
        const struct image_ref *ref; /* with a digest: the entry is named by it */
        struct descriptor root;      /* media type, digest, size of the top document */
        enum image_origin origin;
        const struct intake_document *documents;
        size_t n_documents;
        struct intake_blob *blobs;
        size_t n_blobs;
        bool is_one_of_many; /* more with the same blobs follow: nothing is collected between */
};

/* -ENODATA: a blob that should be in the store is not there any more; fetch it and try again.
 * ret_replaced may be NULL: false when the very same image had this name already. */
int store_take_in(struct store *store, struct intake *intake, bool *ret_replaced,
                  struct error *err);

/* True when a blob of this size is there; its content is not looked at. ret_fd may be NULL. */
bool store_has_blob(struct store *store, const char *digest, uint64_t size, int *ret_fd);

/* The descriptor of a reference, texts copied. -ENOENT (ERROR_NOT_FOUND). */
struct resolved {
        char digest[DIGEST_TEXT_MAX];
        char media_type[128];
        uint64_t size;
        enum image_origin origin;
};
/* Another repository of the same registry under which this store knows the blob: the registry may
 * mount it from there. "" = none. */
void store_find_sibling(struct store *store, const struct image_ref *ref, const char *digest,
                        char *out, size_t n);

int store_resolve(struct store *store, const struct image_ref *ref, struct resolved *ret,
                  struct error *err);
