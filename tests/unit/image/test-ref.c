/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/needs.h"

#include <stdio.h>

#include "image/ref.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX64
#define SHA512 "sha512:" HEX64 HEX64
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_good_references(void **state) {
        static const struct {
                const char *text, *host, *path, *tag, *digest, *canonical;
        } cases[] = {
                { "trace_open", "", "trace_open", "latest", "", "trace_open:latest" },
                { "trace_open:v1.2", "", "trace_open", "v1.2", "", "trace_open:v1.2" },
                { "trace_open:_x", "", "trace_open", "_x", "", "trace_open:_x" },
                { "team/trace_open", "", "team/trace_open", "latest", "",
                  "team/trace_open:latest" },
                { "a__b.c---d", "", "a__b.c---d", "latest", "", "a__b.c---d:latest" },
                { "ghcr.io/x/y:1", "ghcr.io", "x/y", "1", "", "ghcr.io/x/y:1" },
                { "localhost/x", "localhost", "x", "latest", "", "localhost/x:latest" },
                { "localhost:5000", "", "localhost", "5000", "", "localhost:5000" },
                { "localhost:5000/t/open:1", "localhost:5000", "t/open", "1", "",
                  "localhost:5000/t/open:1" },
                { "HOST/x", "HOST", "x", "latest", "", "HOST/x:latest" },
                { "[::1]:5000/x", "[::1]:5000", "x", "latest", "", "[::1]:5000/x:latest" },
                { "10.0.0.1/x", "10.0.0.1", "x", "latest", "", "10.0.0.1/x:latest" },
                { "x@" SHA256, "", "x", "", SHA256, "x@" SHA256 },
                { "x:1@" SHA256, "", "x", "1", SHA256, "x@" SHA256 },
                { "r.io:1/x/y:1@" SHA512, "r.io:1", "x/y", "1", SHA512, "r.io:1/x/y@" SHA512 },
                { "r.io/" HEX64, "r.io", HEX64, "latest", "", "r.io/" HEX64 ":latest" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char canonical[LIMIT_IMAGE_REF_MAX + 1];
                struct error err = { 0 };
                struct image_ref ref;

                if (image_ref_parse(cases[i].text, &ref, &err) < 0)
                        fail_msg("%s", error_text(&err));
                assert_string_equal(ref.host, cases[i].host);
                assert_string_equal(ref.path, cases[i].path);
                assert_string_equal(ref.tag, cases[i].tag);
                assert_string_equal(ref.digest, cases[i].digest);
                image_ref_format(&ref, canonical, sizeof(canonical));
                assert_string_equal(canonical, cases[i].canonical);
        }
}

static void test_bad_references(void **state) {
        static const struct {
                const char *text, *why;
        } cases[] = {
                { "", "is empty" },
                { "Trace", "lower-case" },
                { "trace open", "lower-case" },
                { "-x", "lower-case" },
                { "x-", "lower-case" },
                { "x___y", "lower-case" },
                { "x..y", "lower-case" },
                { "../../etc/passwd", "HOST" },
                { "a/../b", "lower-case" },
                { "a//b", "lower-case" },
                { "a/", "lower-case" },
                { "/a", "lower-case" },
                { "x:", "a tag is" },
                { "x:.t", "a tag is" },
                { "x:-t", "a tag is" },
                { "x:a/../b", "HOST" },
                { "x:" A50 A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a tag is" },
                { "x@", "no digest" },
                { "x@sha256:abc", "no digest" },
                { "x@sha256:" HEX64 "0", "no digest" },
                { "x@sha256:../../../../../../../../../../../../../../../../../../etc/passwd",
                  "no digest" },
                { "x@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
                  "no digest" },
                { "x@md5:0123456789abcdef0123456789abcdef", "no digest" },
                { "x@" SHA256 "@" SHA256, "no digest" },
                { HEX64, "64 hexadecimal" },
                { "host.:1/x", "HOST" },
                { "-h.io/x", "HOST" },
                { "h.io:0/x", "HOST" },
                { "h.io:65536/x", "HOST" },
                { "h.io:+1/x", "HOST" },
                { "h.io:0x50/x", "HOST" },
                { "h.io:/x", "HOST" },
                { "[::1/x", "HOST" },
                { "[]:1/x", "HOST" },
                { "user@h.io/x", "no digest" },
                { "http://h.io/x", "HOST" },
                { "x\ny", "lower-case" },
                { "x\x1b[31m", "lower-case" },
                { A50 A50 A50 A50 A50 "aaaaaa", "255" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_ref ref = { .path = "untouched" };
                struct error err = { 0 };

                if (image_ref_parse(cases[i].text, &ref, &err) != -EINVAL)
                        fail_msg("'%s' was accepted", cases[i].text);
                assert_int_equal(err.code, ERROR_INVALID);
                if (!strstr(err.msg, cases[i].why))
                        fail_msg("'%s': '%s' does not say '%s'", cases[i].text, err.msg,
                                 cases[i].why);
                assert_string_equal(ref.path, "untouched");
        }
}

static void test_length_limit(void **state) {
        char text[LIMIT_IMAGE_REF_MAX + 2];
        struct image_ref ref;
        struct error err;

        (void)state;
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        assert_int_equal(image_ref_parse(text, &ref, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "too long"));
}

/* Whatever parses prints as something that parses to the same. */
static void test_mutations_are_canonical(void **state) {
        static const char *const seeds[] = { "r.io:5000/team/trace_open:v1@" SHA256, "a/b-c:1",
                                             "[::1]:1/x" };
        char text[LIMIT_IMAGE_REF_MAX + 1], first[LIMIT_IMAGE_REF_MAX + 1],
                second[LIMIT_IMAGE_REF_MAX + 1];
        unsigned int n_accepted = 0;

        (void)state;
        for (size_t s = 0; s < ARRAY_SIZE(seeds); s++)
                for (size_t i = 0; i < strlen(seeds[s]); i++)
                        for (int c = 0; c < 256; c++) {
                                struct image_ref ref, again;

                                snprintf(text, sizeof(text), "%s", seeds[s]);
                                text[i] = (char)c;
                                if (image_ref_parse(text, &ref, NULL) < 0)
                                        continue;
                                n_accepted++;
                                image_ref_format(&ref, first, sizeof(first));
                                assert_int_equal(image_ref_parse(first, &again, NULL), 0);
                                image_ref_format(&again, second, sizeof(second));
                                assert_string_equal(first, second);
                                assert_null(strstr(first, "/."));
                        }
        assert_true(n_accepted > 1000);
}

static void test_repository(void **state) {
        struct image_ref ref;
        char text[300];

        (void)state;
        assert_int_equal(image_ref_parse("r.io:1/a/b:2", &ref, NULL), 0);
        image_ref_repository(&ref, text, sizeof(text));
        assert_string_equal(text, "r.io:1/a/b");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_references), cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_length_limit),    cmocka_unit_test(test_mutations_are_canonical),
        cmocka_unit_test(test_repository),
};
TEST_MAIN("image-ref", tests)
