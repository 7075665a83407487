/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob that is being downloaded: a file in the store that is named by the digest it shall have,
 * so that a transfer that was cut is resumed by the next one. A fetcher writes it; nothing of it is
 * believed. partial_copy() brings it into a file that only we can write, and the digest of that
 * copy is compared, so whatever the fetcher still does to it later does not matter.
 */
#pragma once

#include "image/blob.h"

#define PARTIAL_PREFIX ".part-"
#define PARTIAL_KEEP_S (24 * 60 * 60)
#define PARTIAL_NAME_MAX (sizeof(PARTIAL_PREFIX) + DIGEST_TEXT_MAX)

struct partial {
        int root_fd; /* borrowed */
        int fd;
        char name[PARTIAL_NAME_MAX]; /* "" = has none, goes with the fd */
};

/* Opens what is there or makes it. Where another process downloads the same blob, a nameless file
 * takes its place. ret_size: bytes that are there already, at most max. */
int partial_open(int root_fd, const char *digest, uint64_t max, struct partial *ret,
                 uint64_t *ret_size, struct error *err);

/* Closes; the file stays for a resumption, or goes. Idempotent. */
void partial_close(struct partial *partial, bool keep);

/* Reads up to `budget` bytes from *position on into w (NULL = only into `hasher`) and moves
 * *position. 1 = the end was reached. */
int partial_copy(int fd, uint64_t *position, size_t budget, struct blob_writer *w,
                 struct hasher *hasher, struct error *err);
