/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image-policy.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "tests/lib/needs.h"

static char path[64];

static int read_text(const char *text, struct image_policy *ret, struct error *err) {
        int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        close(fd);
        return image_policy_read(path, ret, err);
}

static void test_patterns(void **state) {
        assert_true(image_pattern_matches("*", "a/b:1"));
        assert_true(image_pattern_matches("h/*/x", "h/a/b/x"));
        assert_true(image_pattern_matches("h/a*", "h/a"));
        assert_false(image_pattern_matches("h/a", "h/ab"));
        assert_false(image_pattern_matches("h/*x", "h/xy"));
        assert_true(image_pattern_matches("a*b*c", "aXbYbZc"));
}

static void test_first_match_decides(void **state) {
        cleanup_image_policy struct image_policy policy = { .path = NULL };
        struct error err = { 0 };

        assert_int_equal(
                read_text("keys:\n  k: /k.pub\nimages:\n- match: \"h/a/*\"\n  signed-by: k\n"
                          "- match: \"h/*\"\n  unsigned: allow\n- match: x\n  digest: "
                          "[\"sha256:1\", \"sha256:2\"]\n",
                          &policy, &err),
                0);
        assert_int_equal(policy.n_rules, 3);
        assert_int_equal(image_policy_find(&policy, "h/a/b:1")->line, 4);
        assert_true(image_policy_find(&policy, "h/b:1")->allows_unsigned);
        assert_int_equal(image_policy_find(&policy, "x:latest")->n_digests, 2);
        assert_null(image_policy_find(&policy, "y:latest"));
        assert_non_null(image_policy_key(&policy, "k"));
}

/* What is misspelt is an error with its line, never a rule that is not there. */
static void test_mistakes_are_named(void **state) {
        static const struct {
                const char *text;
                const char *says;
        } mistakes[] = {
                { "image:\n- match: x\n", "line 1: unknown key 'image'" },
                { "images:\n- match: x\n  signedby: k\n", "line 3: unknown key 'signedby'" },
                { "images:\n- match: x\n  signed-by: k\n", "not under 'keys'" },
                { "images:\n- unsigned: allow\n", "without 'match'" },
                { "images:\n- match: x\n  unsigned: yes\n", "allow or refuse" },
                { "images: x\n", "should be a list" },
                { "images: [\n", "line 2" },
                { "keys:\n  k: /k\nimages:\n- {match: x, unsigned: allow, signed-by: k}\n",
                  "contradict" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
                struct image_policy policy;
                struct error err = { 0 };

                assert_int_equal(read_text(mistakes[i].text, &policy, &err), -EINVAL);
                if (!strstr(err.msg, mistakes[i].says))
                        fail_msg("'%s' does not say '%s'", err.msg, mistakes[i].says);
        }
}

static void test_missing_file_is_the_default(void **state) {
        cleanup_image_policy struct image_policy policy = { .path = NULL };
        cleanup_free char *text = NULL;

        assert_int_equal(image_policy_read("/nonexistent/policy.yaml", &policy, NULL), 0);
        assert_true(policy.is_default);
        assert_int_equal(image_policy_print(&policy, &text), 0);
        assert_string_equal(text, "default: bundled, built, signed\n");
}

static int setup(void **state) {
        int fd;

        snprintf(path, sizeof(path), "/tmp/gadget-policy-XXXXXX");
        fd = mkstemp(path);
        close(fd);
        return fd < 0;
}

static int teardown(void **state) {
        return unlink(path);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_missing_file_is_the_default),
        cmocka_unit_test_setup_teardown(test_first_match_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mistakes_are_named, setup, teardown),
};

TEST_MAIN("image-policy", tests)
