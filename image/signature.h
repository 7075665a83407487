/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key-based signatures over image digests, with no registry and no network: ECDSA P-256 with
 * SHA-256, and Ed25519 (libcrypto). Three carriers are read and written, those of cosign: a
 * simple-signing payload whose signature stands in an annotation, a sigstore bundle with a message
 * signature, a sigstore bundle with a DSSE envelope around an in-toto statement. Formats:
 * github.com/sigstore/cosign specs/SIGNATURE_SPEC.md, github.com/sigstore/protobuf-specs, and
 * github.com/secure-systems-lab/dsse protocol.md.
 *
 * What is signed is checked first, what it says afterwards: nothing of a payload is believed before
 * its signature held.
 */
#pragma once

#include "base/error.h"

#define MEDIA_TYPE_SIMPLE_SIGNING "application/vnd.dev.cosign.simplesigning.v1+json"
#define MEDIA_TYPE_BUNDLE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define ARTIFACT_TYPE_COSIGN_SIGNATURE "application/vnd.dev.cosign.artifact.sig.v1+json"
#define ANNOTATION_COSIGN_SIGNATURE "dev.cosignproject.cosign/signature"

#define SIGNATURE_PAYLOAD_MAX                                                                      \
        (64u << 10)                   /* payload or bundle; larger is refused before it is read */
#define SIGNATURE_KEY_MAX (16u << 10) /* PEM */
#define SIGNATURE_TEXT_MAX 256        /* base64 of a signature */

struct signing_key; /* a private or a public key */

/* PEM: PKCS#8 or SEC 1, not encrypted. -EINVAL for a key of another kind or curve, and for an
 * encrypted sigstore key, naming how to convert it. */
int signing_key_read_private(struct bytes pem, struct signing_key **ret, struct error *err);
int signing_key_read_public(struct bytes pem, struct signing_key **ret, struct error *err);
struct signing_key *signing_key_free(struct signing_key *key);
DEFINE_CLEANUP(struct signing_key, signing_key_free)

/* "sha256:..." of the key's DER form: names the key in policy and in output. out[DIGEST_TEXT_MAX].
 */
int signing_key_id(const struct signing_key *key, char *out);

/* The payload that cosign signs for this reference and digest; the caller frees. */
int signature_payload(const char *reference, const char *digest, char **ret, size_t *ret_n);

/* Base64 of the signature over data, NUL-terminated. */
int signature_make(const struct signing_key *key, struct bytes data, char ret[SIGNATURE_TEXT_MAX]);

/* 0 when the signature holds, -EKEYREJECTED when not. */
int signature_check(const struct signing_key *key, struct bytes data, const char *base64);

/* Verifies a simple-signing payload and its annotation: signature, then that it names `digest`, and
 * `reference` unless NULL. */
int signature_verify_simple(const struct signing_key *key, struct bytes payload, const char *base64,
                            const char *digest, const char *reference, struct error *err);

/* The same for a bundle of either form. */
int signature_verify_bundle(const struct signing_key *key, struct bytes bundle, const char *digest,
                            struct error *err);

/* A bundle with a DSSE envelope whose statement has `digest` as its subject; the caller frees. */
int signature_make_bundle(const struct signing_key *key, const char *reference, const char *digest,
                          char **ret, size_t *ret_n);
