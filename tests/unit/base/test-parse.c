/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include "tests/lib/needs.h"

struct u64_case {
        const char *text;
        int r;
        uint64_t value;
};

static void test_u64(void **state) {
        static const struct u64_case cases[] = {
                { "0", 0, 0 },
                { "42", 0, 42 },
                { "007", 0, 7 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "0xffffffffffffffff", 0, UINT64_MAX },
                { "0xAb", 0, 0xab },
                { "18446744073709551616", -ERANGE, 0 },
                { "99999999999999999999999", -ERANGE, 0 },
                { "0x10000000000000000", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "0x", -EINVAL, 0 },
                { "0X10", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
                { "1 ", -EINVAL, 0 },
                { "+1", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "1k", -EINVAL, 0 },
                { "a", -EINVAL, 0 },
                { "99999999999999999999999x", -ERANGE, 0 },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t value = 4711;

                assert_int_equal(parse_u64(cases[i].text, 0, UINT64_MAX, &value), cases[i].r);
                assert_int_equal(value, cases[i].r == 0 ? cases[i].value : 4711);
        }
}

static void test_u64_range(void **state) {
        uint64_t value;

        assert_int_equal(parse_u64("5", 5, 7, &value), 0);
        assert_int_equal(parse_u64("7", 5, 7, &value), 0);
        assert_int_equal(parse_u64("4", 5, 7, &value), -ERANGE);
        assert_int_equal(parse_u64("8", 5, 7, &value), -ERANGE);
}

static void test_i64(void **state) {
        int64_t value = 0;

        assert_int_equal(parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &value), 0);
        assert_true(value == INT64_MIN);
        assert_int_equal(parse_i64("9223372036854775807", INT64_MIN, INT64_MAX, &value), 0);
        assert_true(value == INT64_MAX);
        assert_int_equal(parse_i64("-0x10", INT64_MIN, INT64_MAX, &value), 0);
        assert_true(value == -16);
        assert_int_equal(parse_i64("-0", INT64_MIN, INT64_MAX, &value), 0);
        assert_true(value == 0);
        assert_int_equal(parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &value), -ERANGE);
        assert_int_equal(parse_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &value), -ERANGE);
        assert_int_equal(parse_i64("-6", -5, 5, &value), -ERANGE);
        assert_int_equal(parse_i64("6", -5, 5, &value), -ERANGE);
        assert_int_equal(parse_i64("--1", -5, 5, &value), -EINVAL);
        assert_int_equal(parse_i64("-", -5, 5, &value), -EINVAL);
        assert_int_equal(parse_i64("", -5, 5, &value), -EINVAL);
}

static void test_u32(void **state) {
        uint32_t value = 0;

        assert_int_equal(parse_u32("4294967295", 0, UINT32_MAX, &value), 0);
        assert_int_equal(value, UINT32_MAX);
        assert_int_equal(parse_u32("4294967296", 0, UINT32_MAX, &value), -ERANGE);
        assert_int_equal(parse_u32("x", 0, UINT32_MAX, &value), -EINVAL);
}

static void test_bool(void **state) {
        static const char *const yes[] = { "true", "yes", "1" }, *const no[] = { "false", "no",
                                                                                 "0" };
        static const char *const neither[] = { "", "True", "y", "on", "2", "true " };
        bool value;

        for (unsigned int i = 0; i < ARRAY_SIZE(yes); i++) {
                value = false;
                assert_int_equal(parse_bool(yes[i], &value), 0);
                assert_true(value);
                value = true;
                assert_int_equal(parse_bool(no[i], &value), 0);
                assert_false(value);
        }
        for (unsigned int i = 0; i < ARRAY_SIZE(neither); i++)
                assert_int_equal(parse_bool(neither[i], &value), -EINVAL);
}

static void test_duration(void **state) {
        static const struct u64_case cases[] = {
                { "10s", 0, 10 * NSEC_PER_SEC },
                { "500ms", 0, 500 * NSEC_PER_MSEC },
                { "1m30s", 0, 90 * NSEC_PER_SEC },
                { "2h", 0, 7200 * NSEC_PER_SEC },
                { "1h1m1s1ms1us1ns", 0, 3661 * NSEC_PER_SEC + 1001001 },
                { "1us", 0, 1000 },
                { "1ns", 0, 1 },
                { "0", 0, 0 },
                { "3", 0, 3 * NSEC_PER_SEC },
                { "1.5", 0, 1500 * NSEC_PER_MSEC },
                { "0.000000001", 0, 1 },
                { "1.5h", 0, 5400 * NSEC_PER_SEC },
                { "18446744073", 0, 18446744073 * NSEC_PER_SEC },
                { "18446744074", -ERANGE, 0 },
                { "9999999h", -ERANGE, 0 },
                { "5124095h2096s", -ERANGE, 0 },
                { "99999999999999999999s", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "s", -EINVAL, 0 },
                { "1x", -EINVAL, 0 },
                { "1 s", -EINVAL, 0 },
                { "-1s", -EINVAL, 0 },
                { "1m30", -EINVAL, 0 },
                { "30s1m", -EINVAL, 0 },
                { "1s1s", -EINVAL, 0 },
                { "1.", -EINVAL, 0 },
                { ".5", -EINVAL, 0 },
                { "1.0000000001", -EINVAL, 0 },
                { "1d", -EINVAL, 0 },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t value = 4711;

                assert_int_equal(parse_duration(cases[i].text, &value), cases[i].r);
                assert_int_equal(value, cases[i].r == 0 ? cases[i].value : 4711);
        }
}

static void test_size(void **state) {
        static const struct u64_case cases[] = {
                { "0", 0, 0 },
                { "100", 0, 100 },
                { "64K", 0, 64 << 10 },
                { "4M", 0, 4 << 20 },
                { "1G", 0, 1 << 30 },
                { "0x10K", 0, 16 << 10 },
                { "17179869183G", 0, 17179869183ull << 30 },
                { "17179869184G", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "K", -EINVAL, 0 },
                { "1KB", -EINVAL, 0 },
                { "1T", -EINVAL, 0 },
                { "1 K", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t value = 4711;

                assert_int_equal(parse_size(cases[i].text, &value), cases[i].r);
                assert_int_equal(value, cases[i].r == 0 ? cases[i].value : 4711);
        }
}

static void test_leading(void **state) {
        static const struct {
                const char *text;
                unsigned int base;
                bool is_number;
                uint64_t value;
                const char *rest;
        } cases[] = {
                { "12 rest", 10, true, 12, " rest" },
                { "0", 10, true, 0, "" },
                { "12ab", 10, true, 12, "ab" },
                { "12aBz", 16, true, 0x12ab, "z" },
                { "ffffffffffffffff-", 16, true, UINT64_MAX, "-" },
                { "10000000000000000", 16, false, 0, "10000000000000000" },
                { "18446744073709551615", 10, true, UINT64_MAX, "" },
                { "18446744073709551616", 10, false, 0, "18446744073709551616" },
                { "", 10, false, 0, "" },
                { " 1", 10, false, 0, " 1" },
                { "-1", 10, false, 0, "-1" },
                { "x", 16, false, 0, "x" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *at = cases[i].text;
                uint64_t value = 0;

                assert_int_equal(parse_leading(&at, cases[i].base, &value), cases[i].is_number);
                assert_true(value == cases[i].value);
                assert_string_equal(at, cases[i].rest);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64),  cmocka_unit_test(test_u64_range),
        cmocka_unit_test(test_i64),  cmocka_unit_test(test_u32),
        cmocka_unit_test(test_bool), cmocka_unit_test(test_duration),
        cmocka_unit_test(test_size), cmocka_unit_test(test_leading),
};
TEST_MAIN("base-parse", tests)
