/* SPDX-License-Identifier: Apache-2.0 */
/* Content digests (sha256, sha512 by libcrypto) in OCI's text form. */
#pragma once

#include "base/util.h"

#define DIGEST_TEXT_MAX 140

/* "sha256:..." of data into out[DIGEST_TEXT_MAX]. */
int digest_of(const void *data, size_t n, char *out);

/* 0 when data has the digest `text`, -EBADMSG when not, -EINVAL when text is no digest. */
int digest_check(const char *text, const void *data, size_t n);
