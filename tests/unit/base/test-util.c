/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"

#include <fcntl.h>

#include "base/clock.h"
#include "tests/lib/needs.h"

static void test_min_max_nest(void **state) {
        int n = 0;

        assert_int_equal(MIN(3, MAX(1, MIN(7, 2))), 2);
        assert_int_equal(MAX(MIN(1, 2), MIN(3, 4)), 3);
        /* Arguments are evaluated once. */
        assert_int_equal(MAX(n++, -1), 0);
        assert_int_equal(n, 1);
}

static void test_align(void **state) {
        assert_int_equal(ALIGN_UP(0, 8), 0);
        assert_int_equal(ALIGN_UP(1, 8), 8);
        assert_int_equal(ALIGN_UP(8, 8), 8);
        assert_int_equal(ALIGN_UP(9, 8), 16);
}

static void test_strings(void **state) {
        assert_true(str_eq("a", "a"));
        assert_false(str_eq("a", "ab"));
        assert_string_equal(str_after("gadget_iter_x", "gadget_iter_"), "x");
        assert_string_equal(str_after("abc", ""), "abc");
        assert_null(str_after("gad", "gadget"));
}

static void test_ownership(void **state) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken;
        char *p = strdup("x"), *q;

        taken = TAKE_FD(fd);
        assert_int_equal(fd, -1);
        errno = EDOM;
        close_fd(&taken);
        close_fd(&taken);
        assert_int_equal(taken, -1);
        assert_int_equal(errno, EDOM);

        q = TAKE_PTR(p);
        assert_null(p);
        assert_string_equal(q, "x");
        freep(&q);
}

struct outer {
        int before;
        int inner;
};

static void test_container_of(void **state) {
        struct outer outer = { 1, 2 };
        int *inner = &outer.inner;

        assert_ptr_equal(container_of(inner, struct outer, inner), &outer);
}

static void test_clock(void **state) {
        uint64_t a = now_ns(), b = now_ns();

        assert_true(a > 0 && b >= a);
        assert_true(clock_ns(CLOCK_REALTIME) > UINT64_C(1600000000) * NSEC_PER_SEC);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_min_max_nest), cmocka_unit_test(test_align),
        cmocka_unit_test(test_strings),      cmocka_unit_test(test_ownership),
        cmocka_unit_test(test_container_of), cmocka_unit_test(test_clock),
};
TEST_MAIN("base-util", tests)
