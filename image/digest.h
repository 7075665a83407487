/* SPDX-License-Identifier: Apache-2.0 */
/* Content digests (sha256, sha512 by libcrypto) in OCI's text form. */
#pragma once

#include "base/util.h"

#define DIGEST_TEXT_MAX 140

/* "sha256:<64 lower-case hex>" or "sha512:<128>"; nothing else is a digest. A valid one holds
 * nothing that a path or URL minds. */
bool digest_is_valid(const char *text);

/* "sha256:..." of data into out[DIGEST_TEXT_MAX]. */
int digest_of(const void *data, size_t n, char *out);

/* 0 when data has the digest `text`, -EBADMSG when not, -EINVAL when text is no digest. */
int digest_check(const char *text, const void *data, size_t n);

/* A digest of bytes that come piece by piece. */
struct hasher {
        void *ctx; /* EVP_MD_CTX */
        const char *algorithm;
};

/* algorithm: "sha256", "sha512", or a digest whose algorithm is meant. -EINVAL for another. */
int hasher_init(struct hasher *h, const char *algorithm);
int hasher_add(struct hasher *h, const void *data, size_t n);
int hasher_finish(struct hasher *h, char *out);
void hasher_done(struct hasher *h);
#define cleanup_hasher cleanup(hasher_done)
