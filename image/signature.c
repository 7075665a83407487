/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and signatures by libcrypto; payloads and bundles as bounded JSON. Runs in gadgetd
 * (verifying) and gadgetctl (signing). */
#include "image/signature.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "image/digest.h"
#include "image/json.h"

#define SIMPLE_SIGNING_TYPE "cosign container image signature"
#define INTOTO_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define INTOTO_STATEMENT "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://sigstore.dev/cosign/sign/v1"
#define PAYLOAD_VALUES_MAX 256

struct signing_key {
        EVP_PKEY *pkey;
};

/* --- keys --- */

static int key_check_kind(EVP_PKEY *pkey, struct error *err) {
        char group[64] = "";
        size_t n = 0;

        if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519)
                return 0;
        if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
            EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n) == 1 &&
            (str_eq(group, "prime256v1") || str_eq(group, "P-256")))
                return 0;
        return error_set(err, ERROR_INVALID, -EINVAL,
                         "the key is neither ECDSA P-256 nor Ed25519 (it is %s%s%s)",
                         EVP_PKEY_get0_type_name(pkey) ?: "of an unknown kind", group[0] ? " " : "",
                         group);
}

static int key_wrap(EVP_PKEY *take_pkey, struct signing_key **ret, struct error *err) {
        struct signing_key *key;
        int r;

        r = key_check_kind(take_pkey, err);
        key = r < 0 ? NULL : calloc(1, sizeof(*key));
        if (!key) {
                EVP_PKEY_free(take_pkey);
                return r < 0 ? r : error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        }
        key->pkey = take_pkey;
        *ret = key;
        return 0;
}

/* An encrypted key is not asked about: there is no terminal here. */
static int on_passphrase_wanted(char *buf, int size, int is_writing, void *userdata) {
        return -1;
}

static int key_read(struct bytes pem, bool is_private, struct signing_key **ret,
                    struct error *err) {
        EVP_PKEY *pkey;
        BIO *bio;

        if (pem.len == 0 || pem.len > SIGNATURE_KEY_MAX)
                return error_set(err, ERROR_INVALID, -EINVAL, "a key is 1 to %u bytes of PEM",
                                 SIGNATURE_KEY_MAX);
        if (is_private && memmem(pem.data, pem.len, "ENCRYPTED", 9))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "the key is encrypted; give a plain PKCS#8 PEM, as "
                                 "'openssl pkey -in KEY -out PLAIN' makes it");
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        if (!bio)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        pkey = is_private ? PEM_read_bio_PrivateKey(bio, NULL, on_passphrase_wanted, NULL)
                          : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
        BIO_free(bio);
        if (!pkey)
                return error_set(err, ERROR_INVALID, -EINVAL, "no %s key in PEM form",
                                 is_private ? "private" : "public");
        return key_wrap(pkey, ret, err);
}

int signing_key_read_private(struct bytes pem, struct signing_key **ret, struct error *err) {
        return key_read(pem, true, ret, err);
}

int signing_key_read_public(struct bytes pem, struct signing_key **ret, struct error *err) {
        return key_read(pem, false, ret, err);
}

struct signing_key *signing_key_free(struct signing_key *key) {
        if (key)
                EVP_PKEY_free(key->pkey);
        free(key);
        return NULL;
}

int signing_key_id(const struct signing_key *key, char *out) {
        unsigned char *der = NULL;
        int n = i2d_PUBKEY(key->pkey, &der);
        int r;

        if (n <= 0)
                return -EINVAL;
        r = digest_of(der, (size_t)n, out);
        OPENSSL_free(der);
        return r;
}

/* --- raw signatures --- */

/* Ed25519 hashes by itself; ECDSA signs the SHA-256 of the data. */
static const EVP_MD *key_digest(const struct signing_key *key) {
        return EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
}

int signature_make(const struct signing_key *key, struct bytes data, char ret[SIGNATURE_TEXT_MAX]) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        unsigned char raw[SIGNATURE_TEXT_MAX / 2];
        size_t n = sizeof(raw);
        bool is_made;

        is_made = ctx && EVP_DigestSignInit(ctx, NULL, key_digest(key), NULL, key->pkey) == 1 &&
                  EVP_DigestSign(ctx, raw, &n, data.data, data.len) == 1;
        EVP_MD_CTX_free(ctx);
        if (!is_made)
                return -EKEYREJECTED;
        EVP_EncodeBlock((unsigned char *)ret, raw, (int)n);
        return 0;
}

/* Strict base64 of at most out_max bytes: padded, no spaces. Bytes, or -EBADMSG. */
static ssize_t base64_decode(const char *text, uint8_t *out, size_t out_max) {
        size_t n = strlen(text), padding = 0;
        int got;

        if (n == 0 || n % 4 || n / 4 * 3 > out_max ||
            strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != n)
                return -EBADMSG;
        while (padding < 2 && text[n - 1 - padding] == '=')
                padding++;
        got = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);
        return got < 0 ? -EBADMSG : got - (ssize_t)padding;
}

int signature_check(const struct signing_key *key, struct bytes data, const char *base64) {
        uint8_t raw[SIGNATURE_TEXT_MAX];
        EVP_MD_CTX *ctx;
        ssize_t n;
        bool holds;

        n = base64_decode(base64, raw, sizeof(raw));
        if (n < 0)
                return -EKEYREJECTED;
        ctx = EVP_MD_CTX_new();
        holds = ctx && EVP_DigestVerifyInit(ctx, NULL, key_digest(key), NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, raw, (size_t)n, data.data, data.len) == 1;
        EVP_MD_CTX_free(ctx);
        return holds ? 0 : -EKEYREJECTED;
}

/* --- simple signing --- */

int signature_payload(const char *reference, const char *digest, char **ret, size_t *ret_n) {
        cleanup_json json_t *root =
                json_pack("{s:{s:{s:s},s:{s:s},s:s},s:n}", "critical", "identity",
                          "docker-reference", reference, "image", "docker-manifest-digest", digest,
                          "type", SIMPLE_SIGNING_TYPE, "optional");

        return root ? json_print(root, ret, ret_n) : -ENOMEM;
}

static const char *text_at(const json_t *object, const char *a, const char *b) {
        return json_string_value(json_object_get(json_object_get(object, a), b));
}

static int not_signed(struct error *err) {
        return error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED,
                         "the signature was not made by this key");
}

int signature_verify_simple(const struct signing_key *key, struct bytes payload, const char *base64,
                            const char *digest, const char *reference, struct error *err) {
        cleanup_json json_t *root = NULL;
        const json_t *critical;
        const char *named, *identity, *type;
        int r;

        if (payload.len > SIGNATURE_PAYLOAD_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG, "signature payload larger than %u bytes",
                                 SIGNATURE_PAYLOAD_MAX);
        if (signature_check(key, payload, base64) < 0)
                return not_signed(err);
        r = json_parse(payload, PAYLOAD_VALUES_MAX, &root, err);
        if (r < 0)
                return error_prefix(err, r, "signature payload");
        critical = json_object_get(root, "critical");
        named = text_at(critical, "image", "docker-manifest-digest");
        identity = text_at(critical, "identity", "docker-reference");
        type = json_string_value(json_object_get(critical, "type"));
        if (!type || !str_eq(type, SIMPLE_SIGNING_TYPE))
                return error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED,
                                 "the signed payload is no image signature");
        if (!named || !str_eq(named, digest))
                return error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED,
                                 "the signature is for '%.140s', not for '%s'", named ?: "nothing",
                                 digest);
        if (reference && (!identity || !str_eq(identity, reference)))
                return error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED,
                                 "the signature is for '%.200s', not for '%s'", identity ?: "",
                                 reference);
        return 0;
}

/* --- bundles --- */

/* The bytes that a DSSE signature covers. */
static int pre_authentication(struct buf *out, const char *type, struct bytes payload) {
        buf_printf(out, "DSSEv1 %zu %s %zu ", strlen(type), type, payload.len);
        return buf_append(out, payload.data, payload.len);
}

static int statement_check(struct bytes payload, const char *digest, struct error *err) {
        cleanup_json json_t *root = NULL;
        const json_t *subject;
        const char *type, *hex;
        size_t i;
        int r;

        r = json_parse(payload, PAYLOAD_VALUES_MAX, &root, err);
        if (r < 0)
                return error_prefix(err, r, "signed statement");
        type = json_string_value(json_object_get(root, "_type"));
        if (!type || !str_after(type, "https://in-toto.io/Statement/"))
                return error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED,
                                 "the signed statement is no in-toto statement");
        json_array_foreach(json_object_get(root, "subject"), i, subject) {
                hex = text_at(subject, "digest", "sha256");
                if (hex && str_after(digest, "sha256:") && str_eq(hex, digest + strlen("sha256:")))
                        return 0;
        }
        return error_set(err, ERROR_UNTRUSTED, -EKEYREJECTED,
                         "the signed statement does not name '%s'", digest);
}

static int verify_envelope(const struct signing_key *key, const json_t *envelope,
                           const char *digest, struct error *err) {
        const char *payload64 = json_string_value(json_object_get(envelope, "payload"));
        const char *type = json_string_value(json_object_get(envelope, "payloadType"));
        const json_t *signatures = json_object_get(envelope, "signatures");
        cleanup_buf struct buf covered = BUF_INIT(2 * SIGNATURE_PAYLOAD_MAX);
        cleanup_free uint8_t *payload = NULL;
        const json_t *signature;
        ssize_t n;
        size_t i;

        if (!payload64 || !type || !str_eq(type, INTOTO_PAYLOAD_TYPE))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "the bundle's envelope holds no in-toto statement");
        payload = malloc(strlen(payload64) + 1);
        if (!payload)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        n = base64_decode(payload64, payload, strlen(payload64) + 1);
        if (n < 0)
                return error_set(err, ERROR_INVALID, -EINVAL, "the bundle's payload is not base64");
        if (pre_authentication(&covered, type, BYTES(payload, (size_t)n)) < 0)
                return error_set(err, ERROR_LIMIT, -EFBIG, "the bundle's payload is too large");
        json_array_foreach(signatures, i, signature) {
                const char *sig = json_string_value(json_object_get(signature, "sig"));

                if (sig && signature_check(key, BYTES(covered.data, covered.len), sig) == 0)
                        return statement_check(BYTES(payload, (size_t)n), digest, err);
        }
        return not_signed(err);
}

/* A message signature covers the artifact, which for an image is the bytes whose digest is given;
 * they are not at hand here, so the digest is checked as prehashed input. Only ECDSA can do that.
 */
static int verify_message(const struct signing_key *key, const json_t *message, const char *digest,
                          struct error *err) {
        const char *sig64 = json_string_value(json_object_get(message, "signature"));
        uint8_t sig[SIGNATURE_TEXT_MAX], hash[32];
        EVP_PKEY_CTX *ctx;
        ssize_t n;
        bool holds;

        if (!sig64 || (n = base64_decode(sig64, sig, sizeof(sig))) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL, "the bundle has no signature");
        if (!key_digest(key))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "a message signature by Ed25519 cannot be checked by digest");
        for (size_t i = 0; i < sizeof(hash); i++) {
                unsigned int byte;

                if (sscanf(digest + strlen("sha256:") + 2 * i, "%2x", &byte) != 1)
                        return error_set(err, ERROR_INVALID, -EINVAL, "'%s' is no sha256 digest",
                                         digest);
                hash[i] = (uint8_t)byte;
        }
        ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
        holds = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
                EVP_PKEY_verify(ctx, sig, (size_t)n, hash, sizeof(hash)) == 1;
        EVP_PKEY_CTX_free(ctx);
        return holds ? 0 : not_signed(err);
}

int signature_verify_bundle(const struct signing_key *key, struct bytes bundle, const char *digest,
                            struct error *err) {
        cleanup_json json_t *root = NULL;
        const json_t *part;
        int r;

        if (bundle.len > SIGNATURE_PAYLOAD_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG, "bundle larger than %u bytes",
                                 SIGNATURE_PAYLOAD_MAX);
        if (!digest_is_valid(digest) || !str_after(digest, "sha256:"))
                return error_set(err, ERROR_INVALID, -EINVAL, "'%s' is no sha256 digest", digest);
        r = json_parse(bundle, PAYLOAD_VALUES_MAX, &root, err);
        if (r < 0)
                return error_prefix(err, r, "bundle");
        part = json_object_get(root, "dsseEnvelope");
        if (part)
                return verify_envelope(key, part, digest, err);
        part = json_object_get(root, "messageSignature");
        if (part)
                return verify_message(key, part, digest, err);
        return error_set(err, ERROR_INVALID, -EINVAL,
                         "the bundle holds neither an envelope nor a message signature");
}

static int make_statement(const char *reference, const char *digest, char **ret, size_t *ret_n) {
        cleanup_json json_t *root =
                json_pack("{s:s,s:[{s:s,s:{s:s}}],s:s,s:{}}", "_type", INTOTO_STATEMENT, "subject",
                          "name", reference, "digest", "sha256", digest + strlen("sha256:"),
                          "predicateType", PREDICATE_TYPE, "predicate");

        return root ? json_print(root, ret, ret_n) : -ENOMEM;
}

int signature_make_bundle(const struct signing_key *key, const char *reference, const char *digest,
                          char **ret, size_t *ret_n) {
        cleanup_buf struct buf covered = BUF_INIT(2 * SIGNATURE_PAYLOAD_MAX);
        cleanup_free char *statement = NULL, *statement64 = NULL;
        char sig[SIGNATURE_TEXT_MAX], hint[DIGEST_TEXT_MAX];
        cleanup_json json_t *root = NULL;
        size_t n;
        int r;

        if (!str_after(digest, "sha256:"))
                return -EINVAL;
        r = make_statement(reference, digest, &statement, &n);
        if (r < 0)
                return r;
        r = pre_authentication(&covered, INTOTO_PAYLOAD_TYPE, BYTES(statement, n));
        if (r < 0)
                return r;
        r = signature_make(key, BYTES(covered.data, covered.len), sig) ?: signing_key_id(key, hint);
        if (r < 0)
                return r;
        statement64 = malloc(n / 3 * 4 + 8);
        if (!statement64)
                return -ENOMEM;
        EVP_EncodeBlock((unsigned char *)statement64, (const unsigned char *)statement, (int)n);
        root = json_pack("{s:s,s:{s:{s:s}},s:{s:s,s:s,s:[{s:s}]}}", "mediaType", MEDIA_TYPE_BUNDLE,
                         "verificationMaterial", "publicKey", "hint", hint, "dsseEnvelope",
                         "payload", statement64, "payloadType", INTOTO_PAYLOAD_TYPE, "signatures",
                         "sig", sig);
        return root ? json_print(root, ret, ret_n) : -ENOMEM;
}
