/* SPDX-License-Identifier: Apache-2.0 */
/* Whether policy admits an image: asked at every run, so that a stricter policy stops what is in
 * the store already. */
#pragma once

#include "image/intake.h"

struct supervisor;
struct image;

struct trust {
        char policy[DIGEST_TEXT_MAX]; /* id: the digest of the effective policy with its keys */
        char why[256];                /* what admitted it */
};

/* name: canonical reference. -EKEYREJECTED (ERROR_UNTRUSTED) names the rule that refuses and the
 * line or flag that would allow it. */
int trust_check(struct supervisor *sup, const char *name, const char *digest, bool is_bundled,
                enum image_origin origin, struct trust *ret, struct error *err);

/* The same for an image about to run, and notes who admitted it. */
int trust_admit(struct supervisor *sup, const struct image *image, bool allow_unsigned,
                struct error *err);
