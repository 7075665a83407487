/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/needs.h"

#include <stdio.h>

#include "image/digest.h"

/* FIPS 180's examples. */
#define ABC256 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC512                                                                                     \
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                  \
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define EMPTY256 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_known_digests(void **state) {
        char out[DIGEST_TEXT_MAX];

        (void)state;
        assert_int_equal(digest_of("abc", 3, out), 0);
        assert_string_equal(out, ABC256);
        assert_int_equal(digest_of(NULL, 0, out), 0);
        assert_string_equal(out, EMPTY256);
        assert_int_equal(digest_check(ABC256, "abc", 3), 0);
        assert_int_equal(digest_check(ABC512, "abc", 3), 0);
}

static void test_check_refuses(void **state) {
        (void)state;
        assert_int_equal(digest_check(ABC256, "abd", 3), -EBADMSG);
        assert_int_equal(digest_check(ABC512, "ab", 2), -EBADMSG);
        assert_int_equal(digest_check("sha256:", "abc", 3), -EINVAL);
        assert_int_equal(digest_check("", "abc", 3), -EINVAL);
}

static void test_grammar(void **state) {
        static const char *const bad[] = {
                "",
                "sha256",
                "sha256:",
                ":",
                "sha256:zz",
                "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
                "SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
                "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015add",
                "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a/",
                "sha256:../7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "sha256 :ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "sha25:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        };

        (void)state;
        assert_true(digest_is_valid(ABC256));
        assert_true(digest_is_valid(ABC512));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (digest_is_valid(bad[i]))
                        fail_msg("'%s' was accepted", bad[i]);
}

/* Every way to cut the input in three gives the same digest. */
static void test_hasher_in_pieces(void **state) {
        static const char text[] = "gadget images are untrusted input";
        char want[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];
        size_t n = strlen(text);

        (void)state;
        assert_int_equal(digest_of(text, n, want), 0);
        for (size_t a = 0; a <= n; a++)
                for (size_t b = a; b <= n; b++) {
                        cleanup_hasher struct hasher h = { 0 };

                        assert_int_equal(hasher_init(&h, "sha256"), 0);
                        assert_int_equal(hasher_add(&h, text, a), 0);
                        assert_int_equal(hasher_add(&h, text + a, b - a), 0);
                        assert_int_equal(hasher_add(&h, text + b, n - b), 0);
                        assert_int_equal(hasher_finish(&h, got), 0);
                        assert_string_equal(got, want);
                }
}

static void test_hasher_algorithms(void **state) {
        cleanup_hasher struct hasher h = { 0 };
        char got[DIGEST_TEXT_MAX];

        (void)state;
        assert_int_equal(hasher_init(&h, "md5"), -EINVAL);
        assert_int_equal(hasher_init(&h, ABC512), 0);
        assert_int_equal(hasher_add(&h, "abc", 3), 0);
        assert_int_equal(hasher_finish(&h, got), 0);
        assert_string_equal(got, ABC512);
        hasher_done(&h);
        hasher_done(&h);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_digests),     cmocka_unit_test(test_check_refuses),
        cmocka_unit_test(test_grammar),           cmocka_unit_test(test_hasher_in_pieces),
        cmocka_unit_test(test_hasher_algorithms),
};
TEST_MAIN("image-digest", tests)
