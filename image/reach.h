/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blobs that a document leads to. Documents are not interpreted: whatever they call a "digest",
 * at any depth, is in the set. So no blob is lost through a kind of reference that is not known
 * here (subject, referrers, layers of images that are no gadgets).
 */
#pragma once

#include <jansson.h>

#include "image/digest.h"

struct reach {
        char (*digests)[DIGEST_TEXT_MAX]; /* sorted */
        size_t n;
        size_t cap;
};

/* Starts from index.json's document or an entry of it. A manifest that is not in the store leads
 * nowhere; -EBADMSG or the like when one is there but cannot be read, since it might lead anywhere.
 */
int reach_from(int root_fd, const json_t *value, struct reach *ret);
void reach_done(struct reach *reach);
#define cleanup_reach cleanup(reach_done)

bool reach_has(const struct reach *reach, const char *digest);
