/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures that lie beside images in a store, as cosign lays them out: the tag sha256-HEX.sig
 * with simple-signing payloads, and the tag sha256-HEX, an index of manifests with sigstore bundles
 * (the fallback of OCI's referrers). Nothing is verified here.
 */
#pragma once

#include "image/ref.h"
#include "image/signature.h"
#include "image/store.h"

struct stored_signature {
        struct bytes payload;  /* with */
        const char *signature; /* its signature, base64; or */
        struct bytes bundle;
};
typedef int (*signature_func)(void *userdata, const struct stored_signature *signature);

/* Calls func for each, at most LIMIT_SIGNATURES_MAX; ends with func's result when that is not 0.
 * They are looked for in every repository of the store: what they say of the digest is checked by
 * whoever believes them. */
int store_each_signature(struct store *store, const char *digest, signature_func func,
                         void *userdata);

/* True for a name that holds signatures: listings leave it out. */
bool is_signature_name(const char *name);

/* The digest that such a name is about, "" = it is another name. */
void signature_subject(const char *name, char *out, size_t n);

/* The entry of a tag that names the digest, SIGNATURE_TAG or REFERRERS_TAG after it: of ref's own
 * repository, or of another, under which the image was signed or pulled. ret_tag: the tag.
 * -ENOENT. */
#define SIGNATURE_TAG ".sig"
#define REFERRERS_TAG ""
struct resolved;
int store_find_signatures(struct store *store, const struct image_ref *ref, const char *digest,
                          const char *suffix, char ret_tag[129], struct resolved *ret);

/* Adds one beside the image, keeping those that are there. */
int store_add_signature(struct store *store, const struct image_ref *ref, const char *digest,
                        const struct stored_signature *signature, struct error *err);

/* Notes that a policy admitted the entry: its id, and the history that inspect shows. */
int store_note_admission(struct store *store, const struct image_ref *ref, const char *policy,
                         const char *why, struct error *err);
