/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, payloads and bundles; every byte of what is signed counts. */
#include "image/signature.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "image/digest.h"
#include "tests/lib/needs.h"

#define REFERENCE "registry.example/team/open:1"

struct pair {
        char private_pem[2048];
        char public_pem[1024];
        struct signing_key *private;
        struct signing_key *public;
};

static void write_pem(EVP_PKEY *pkey, struct pair *pair) {
        BIO *bio = BIO_new(BIO_s_mem());

        assert_int_equal(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
        pair->private_pem[BIO_read(bio, pair->private_pem, sizeof(pair->private_pem) - 1)] = '\0';
        assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
        pair->public_pem[BIO_read(bio, pair->public_pem, sizeof(pair->public_pem) - 1)] = '\0';
        BIO_free(bio);
}

static void pair_init(struct pair *pair, const char *kind) {
        EVP_PKEY *pkey = str_eq(kind, "ed25519") ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                                 : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
        struct error err = { 0 };

        assert_non_null(pkey);
        *pair = (struct pair){ 0 };
        write_pem(pkey, pair);
        EVP_PKEY_free(pkey);
        if (!str_eq(kind, "P-256") && !str_eq(kind, "ed25519"))
                return;
        assert_int_equal(
                signing_key_read_private(BYTES(pair->private_pem, strlen(pair->private_pem)),
                                         &pair->private, &err),
                0);
        assert_int_equal(signing_key_read_public(BYTES(pair->public_pem, strlen(pair->public_pem)),
                                                 &pair->public, &err),
                         0);
}

static void pair_done(struct pair *pair) {
        signing_key_free(pair->private);
        signing_key_free(pair->public);
}

static const char *const kinds[] = { "P-256", "ed25519" };

static void test_simple(void **state) {
        char digest[DIGEST_TEXT_MAX], other[DIGEST_TEXT_MAX], sig[SIGNATURE_TEXT_MAX];

        digest_of("index", 5, digest);
        digest_of("another", 7, other);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                cleanup_free char *payload = NULL;
                struct error err = { 0 };
                struct pair pair, stranger;
                struct bytes b;
                size_t n;

                pair_init(&pair, kinds[i]);
                pair_init(&stranger, kinds[i]);
                assert_int_equal(signature_payload(REFERENCE, digest, &payload, &n), 0);
                b = BYTES(payload, n);
                assert_int_equal(signature_make(pair.private, b, sig), 0);
                assert_int_equal(signature_verify_simple(pair.public, b, sig, digest, NULL, &err),
                                 0);
                assert_int_equal(
                        signature_verify_simple(pair.public, b, sig, digest, REFERENCE, &err), 0);
                assert_int_equal(signature_verify_simple(pair.public, b, sig, other, NULL, &err),
                                 -EKEYREJECTED);
                assert_int_equal(err.code, ERROR_UNTRUSTED);
                assert_int_equal(
                        signature_verify_simple(pair.public, b, sig, digest, "x/y:1", &err),
                        -EKEYREJECTED);
                assert_int_equal(
                        signature_verify_simple(stranger.public, b, sig, digest, NULL, &err),
                        -EKEYREJECTED);
                assert_int_equal(signature_verify_simple(pair.public, b, "", digest, NULL, &err),
                                 -EKEYREJECTED);
                assert_int_equal(
                        signature_verify_simple(pair.public, b, "!!!!", digest, NULL, &err),
                        -EKEYREJECTED);
                for (size_t at = 0; at < n; at++) {
                        payload[at] ^= 1;
                        assert_int_equal(
                                signature_verify_simple(pair.public, b, sig, digest, NULL, &err),
                                -EKEYREJECTED);
                        payload[at] ^= 1;
                }
                pair_done(&pair);
                pair_done(&stranger);
        }
}

static void test_signed_but_no_image_signature(void **state) {
        static const char *const payloads[] = {
                "{}",
                "{\"critical\":{\"type\":\"other\",\"image\":{\"docker-manifest-digest\":"
                "\"DIGEST\"}}}",
                "[1]",
                "{\"critical\":1,\"critical\":2}",
        };
        char digest[DIGEST_TEXT_MAX], sig[SIGNATURE_TEXT_MAX];
        struct pair pair;

        digest_of("index", 5, digest);
        pair_init(&pair, "P-256");
        for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
                struct bytes b = BYTES(payloads[i], strlen(payloads[i]));
                struct error err = { 0 };

                assert_int_equal(signature_make(pair.private, b, sig), 0);
                assert_true(signature_verify_simple(pair.public, b, sig, digest, NULL, &err) < 0);
                assert_true(err.msg[0]);
        }
        pair_done(&pair);
}

static void test_bundle(void **state) {
        char digest[DIGEST_TEXT_MAX], other[DIGEST_TEXT_MAX];

        digest_of("index", 5, digest);
        digest_of("another", 7, other);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                cleanup_free char *bundle = NULL;
                struct error err = { 0 };
                struct pair pair, stranger;
                size_t n;

                pair_init(&pair, kinds[i]);
                pair_init(&stranger, kinds[i]);
                assert_int_equal(
                        signature_make_bundle(pair.private, REFERENCE, digest, &bundle, &n), 0);
                assert_int_equal(
                        signature_verify_bundle(pair.public, BYTES(bundle, n), digest, &err), 0);
                assert_int_equal(
                        signature_verify_bundle(pair.public, BYTES(bundle, n), other, &err),
                        -EKEYREJECTED);
                assert_int_equal(
                        signature_verify_bundle(stranger.public, BYTES(bundle, n), digest, &err),
                        -EKEYREJECTED);
                for (size_t len = 0; len < n; len++)
                        assert_true(signature_verify_bundle(pair.public, BYTES(bundle, len), digest,
                                                            &err) < 0);
                pair_done(&pair);
                pair_done(&stranger);
        }
}

static void test_keys_refused(void **state) {
        static const char encrypted[] =
                "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neA==\n-----END ENCRYPTED SIGSTORE "
                "PRIVATE KEY-----\n";
        struct signing_key *key = NULL;
        struct error err = { 0 };
        struct pair pair;

        pair_init(&pair, "P-384");
        assert_int_equal(signing_key_read_public(BYTES(pair.public_pem, strlen(pair.public_pem)),
                                                 &key, &err),
                         -EINVAL);
        assert_non_null(strstr(err.msg, "P-256"));
        assert_int_equal(
                signing_key_read_private(BYTES(encrypted, sizeof(encrypted) - 1), &key, &err),
                -EINVAL);
        assert_non_null(strstr(err.msg, "encrypted"));
        assert_int_equal(signing_key_read_public(BYTES("x", 1), &key, &err), -EINVAL);
        assert_int_equal(signing_key_read_public(BYTES(NULL, 0), &key, &err), -EINVAL);
}

static void test_key_id_is_that_of_the_pair(void **state) {
        char private_id[DIGEST_TEXT_MAX], public_id[DIGEST_TEXT_MAX];
        struct pair pair;

        pair_init(&pair, "ed25519");
        assert_int_equal(signing_key_id(pair.private, private_id), 0);
        assert_int_equal(signing_key_id(pair.public, public_id), 0);
        assert_string_equal(private_id, public_id);
        assert_true(digest_is_valid(public_id));
        pair_done(&pair);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_signed_but_no_image_signature),
        cmocka_unit_test(test_bundle),
        cmocka_unit_test(test_keys_refused),
        cmocka_unit_test(test_key_id_is_that_of_the_pair),
};

TEST_MAIN("signature", tests)
