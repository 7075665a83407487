/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdio.h>

#include "tests/lib/needs.h"

static void test_set(void **state) {
        struct error err = { 0 };

        assert_int_equal(error_set(&err, ERROR_DENIED, -EPERM, "no '%s' for %d", "x", 3), -EPERM);
        assert_int_equal(err.code, ERROR_DENIED);
        assert_int_equal(err.errnum, EPERM);
        assert_string_equal(error_text(&err), "no 'x' for 3");
}

static void test_null_is_fine(void **state) {
        assert_int_equal(error_set(NULL, ERROR_DENIED, -EPERM, "x"), -EPERM);
        assert_int_equal(error_prefix(NULL, -EIO, "x"), -EIO);
        error_append(NULL, "x");
        assert_true(strlen(error_text(NULL)) > 0);
}

static void test_prefix(void **state) {
        struct error err = { 0 };

        error_set(&err, ERROR_INVALID, -EINVAL, "no mediaType");
        assert_int_equal(error_prefix(&err, -EINVAL, "image '%s'", "a:b"), -EINVAL);
        assert_string_equal(error_text(&err), "image 'a:b': no mediaType");
        assert_int_equal(err.code, ERROR_INVALID);
}

static void test_prefix_explains_a_bare_number(void **state) {
        static const struct {
                int errnum;
                enum error_code code;
        } cases[] = {
                { ENOENT, ERROR_NOT_FOUND }, { EACCES, ERROR_DENIED },
                { EINVAL, ERROR_INVALID },   { E2BIG, ERROR_LIMIT },
                { EIO, ERROR_INTERNAL },     { ENOSPC, ERROR_UNAVAILABLE },
                { EBADMSG, ERROR_INVALID },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = { 0 };
                char want[128];

                assert_int_equal(error_prefix(&err, -cases[i].errnum, "open '%s'", "f"),
                                 -cases[i].errnum);
                snprintf(want, sizeof(want), "open 'f': %s", strerror(cases[i].errnum));
                assert_string_equal(error_text(&err), want);
                assert_int_equal(err.code, cases[i].code);
                assert_int_equal(err.errnum, cases[i].errnum);
        }
}

static void test_append(void **state) {
        struct error err = { 0 };

        error_set(&err, ERROR_LIMIT, -E2BIG, "too large");
        error_append(&err, "at most %d", 4);
        assert_string_equal(error_text(&err), "too large; at most 4");

        err = (struct error){ .errnum = ENOENT };
        error_append(&err, "is it there?");
        assert_string_equal(error_text(&err), "No such file or directory; is it there?");
}

static void test_long_texts_are_cut(void **state) {
        struct error err = { 0 };
        char text[1000];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        error_set(&err, ERROR_INVALID, -EINVAL, "%s", text);
        assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
        error_append(&err, "hint");
        assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
        error_prefix(&err, -EINVAL, "%s", text);
        assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
        error_prefix(&err, -EINVAL, "short");
        assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
        assert_memory_equal(err.msg, "short: xxx", 10);
}

static void test_code_names_round_trip(void **state) {
        for (unsigned int i = 0; i < _ERROR_CODE_MAX; i++) {
                const char *name = error_code_name((enum error_code)i);

                assert_non_null(name);
                assert_int_equal(error_code_from_name(name), i);
        }
        assert_int_equal(error_code_from_name("no such code"), ERROR_INTERNAL);
        assert_string_equal(error_code_name((enum error_code)1000), "internal");
}

static void test_text_is_never_empty(void **state) {
        struct error err = { 0 };

        assert_true(strlen(error_text(&err)) > 0);
        err.errnum = 99999;
        assert_true(strlen(error_text(&err)) > 0);
        err.errnum = EEXIST;
        assert_string_equal(error_text(&err), "File exists");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_null_is_fine),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_prefix_explains_a_bare_number),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_code_names_round_trip),
        cmocka_unit_test(test_text_is_never_empty),
};
TEST_MAIN("base-error", tests)
