/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a temporary directory, one for each test, and small images to put into it. */
#pragma once

#include "tests/lib/needs.h"

#include "image/store-internal.h"

struct store_fixture {
        char dir[64];  /* temporary, removed at the end */
        char path[80]; /* dir/store */
        int dir_fd;
        struct store *store;
};

/* cmocka set-up and teardown; state is the fixture. */
int store_fixture_setup(void **state);
int store_fixture_teardown(void **state);

/* Closes and opens the store again, as another process would see it. */
void store_fixture_reopen(struct store_fixture *f);

struct image_ref ref_of(const char *text);

/* Packs an image for amd64 and arm64 whose objects begin with `object`; the result of store_pack().
 */
int pack_sample(struct store *store, const char *name, const char *object, char *ret_digest,
                struct error *err);

/* The image must load, with the object of pack_sample(). */
void assert_loads(struct store *store, const char *name, const char *object);
void assert_not_found(struct store *store, const char *name);

/* Files in blobs/sha256. */
size_t count_blobs(const struct store_fixture *f);

/* Puts a document or other content into the store and, with a name, into index.json. */
void put_raw(struct store_fixture *f, const char *name, const char *media_type,
             struct bytes content, char ret_digest[DIGEST_TEXT_MAX]);
