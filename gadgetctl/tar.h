/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough of ustar for OCI archives: regular files with short names. Other entries are skipped
 * when reading; nothing is ever written to a path that an archive names. */
#pragma once

#include "base/error.h"

#define TAR_BLOCK 512u
#define TAR_NAME_MAX 256

int tar_put_header(int fd, const char *name, uint64_t size);
int tar_put_padding(int fd, uint64_t size); /* behind a file of this size */
int tar_put_end(int fd);

struct tar_entry {
        char name[TAR_NAME_MAX]; /* without a leading "./" */
        uint64_t offset;         /* of the content */
        uint64_t size;
};
/* The next regular file at *position, which moves behind it. 1 = ret is set, 0 = the end. */
int tar_next(int fd, uint64_t *position, struct tar_entry *ret, struct error *err);
