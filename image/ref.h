/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image references: [HOST[:PORT]/]PATH[:TAG][@ALGO:HEX], in the grammar of distribution/reference.
 * Parsed strictly before any path or URL is made of them (CVE-2024-3727).
 */
#pragma once

#include "base/error.h"
#include "gadget/api.h"
#include "image/digest.h"

struct image_ref {
        char host[256];               /* "" = none given */
        char path[256];               /* "trace_open", "team/trace_open" */
        char tag[129];                /* "latest" when neither tag nor digest was given */
        char digest[DIGEST_TEXT_MAX]; /* "sha256:<64 hex>" or "sha512:<128 hex>", "" = none */
};

int image_ref_parse(const char *text, struct image_ref *ret, struct error *err);

/* HOST/PATH:TAG, or HOST/PATH@DIGEST when there is a digest; canonical. With a tag it is what the
 * store's ref.name annotation holds. */
void image_ref_format(const struct image_ref *ref, char *out, size_t n);

/* HOST/PATH alone: what two references must share to be of one repository. */
void image_ref_repository(const struct image_ref *ref, char *out, size_t n);
