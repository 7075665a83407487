/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.yaml: who may run which image.
 *
 *     keys:
 *       acme: /etc/gadgetd/keys/acme.pub
 *     images:
 *       - match: registry.example/acme-*
 *         signed-by: [acme]
 *       - match: localhost:*
 *         unsigned: allow
 *       - match: tools/top:1
 *         digest: [sha256:...]
 *
 * The first rule whose pattern matches the reference decides, alone. Where none does: bundled
 * images, images that root built here, and images signed by any of the keys may run. This part says
 * what is asked for; whether a signature holds is found out by its caller.
 */
#pragma once

#include "base/error.h"

#define POLICY_RULES_MAX 1024
#define POLICY_LIST_MAX 64

struct policy_key {
        char *name;
        char *path;
        size_t line;
};

struct policy_rule {
        char *match;
        char **signed_by; /* names of keys */
        size_t n_signed_by;
        char **digests;
        size_t n_digests;
        bool allows_unsigned;
        size_t line;
};

struct image_policy {
        char *path;
        struct policy_key *keys;
        size_t n_keys;
        struct policy_rule *rules;
        size_t n_rules;
        bool is_default; /* there is no file */
};

/* A missing file is the default policy. What cannot be read admits nothing: the error names file
 * and line. */
int image_policy_read(const char *path, struct image_policy *ret, struct error *err);
void image_policy_done(struct image_policy *policy);
#define cleanup_image_policy cleanup(image_policy_done)

/* The first rule for this canonical reference (also tried without its tag or digest), or NULL. */
const struct policy_rule *image_policy_find(const struct image_policy *policy,
                                            const char *reference);

const struct policy_key *image_policy_key(const struct image_policy *policy, const char *name);

/* The policy in one text, the same for files that mean the same; what its id is the digest of. */
int image_policy_print(const struct image_policy *policy, char **ret);

/* "*" stands for any characters, all else for itself. */
bool image_pattern_matches(const char *pattern, const char *text);
