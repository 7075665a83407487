/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs of a store: files named by the digest of their content. Whoever reads one gets bytes that
 * were just compared with that name; whoever writes one leaves the whole blob or nothing, also when
 * the power fails.
 */
#pragma once

#include "base/error.h"
#include "image/digest.h"
#include "image/manifest.h"

/* The content, NUL-terminated behind its `size` bytes; the caller frees. -EBADMSG (ERROR_INVALID)
 * when the blob is missing or damaged, -EFBIG (ERROR_LIMIT) when it is larger than max. */
int blob_read(int root_fd, const struct descriptor *d, uint64_t max, uint8_t **ret,
              struct error *err);

/* blob_read() and document_parse(), errors naming the digest. */
int blob_read_document(int root_fd, const struct descriptor *d, struct document *ret,
                       struct error *err);

/*
 * A blob on its way in: a temporary file that carries a lock, so that collecting garbage leaves it
 * alone, and vanishes with the writer unless it is committed. Commit under the store's lock, or the
 * new blob may be collected before the index names it.
 */
struct blob_writer {
        int root_fd; /* borrowed */
        int fd;
        char temp[32];
        struct hasher hasher;
        uint64_t size;
        uint64_t flushed; /* up to here it is on its way to the disk, */
        uint64_t settled; /* and up to here it has arrived */
};
int blob_writer_init(struct blob_writer *w, int root_fd, const char *algorithm, struct error *err);
int blob_writer_add(struct blob_writer *w, const void *data, size_t n, struct error *err);
/* want: the digest that it must have, or NULL; -EBADMSG when it has another. ret_digest may be
 * NULL. */
int blob_writer_commit(struct blob_writer *w, const char *want, char *ret_digest,
                       struct error *err);
/* The two halves of a commit, for one that waits for the lock in between: compares the digest ...
 */
int blob_writer_verify(struct blob_writer *w, const char *want, char *ret_digest,
                       struct error *err);
/* ... and gives the file its name. digest: what blob_writer_verify() found. */
int blob_writer_place(struct blob_writer *w, const char *digest, struct error *err);
void blob_writer_done(struct blob_writer *w);
#define cleanup_blob_writer cleanup(blob_writer_done)

/* Writes content unless the store has it, undamaged, already. The second form keeps the algorithm
 * of `want`, which the content must have (-EBADMSG). */
int blob_put_as(int root_fd, const char *want, struct bytes content, struct error *err);
int blob_put(int root_fd, struct bytes content, char ret_digest[DIGEST_TEXT_MAX],
             struct error *err);

/* An fd of the file, nothing checked; -errno. */
int blob_open(int root_fd, const char *digest);

/* blobs/ALGORITHM/HEX into out. digest is valid. */
#define BLOB_PATH_MAX (DIGEST_TEXT_MAX + 8)
void blob_path(const char *digest, char out[BLOB_PATH_MAX]);

/* Temporary files of blobs and of index.json begin so. */
#define STORE_TEMP_PREFIX ".tmp-"
