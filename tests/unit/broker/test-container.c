/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/container.h"

#include "broker/broker.h"
#include "tests/lib/needs.h"

static void set(struct broker *b, uint64_t mntns, const char *name, bool is_gone) {
        const struct msg_container_set msg = { .mntns = mntns, .name = name, .is_gone = is_gone };

        assert_int_equal(containers_set(b, &msg), 0);
}

/* Nothing is sent before the worker runs; one namespace is one row, however often it is told of. */
static void test_one_row_each(void **state) {
        struct broker b = { .is_host_wide = true };

        (void)state;
        set(&b, 1, "a", false);
        set(&b, 2, "b", false);
        set(&b, 1, "c", false);
        assert_int_equal(b.containers.n, 2);
        assert_int_equal(b.containers.n_unsent, 2);
        set(&b, 2, NULL, true);
        assert_int_equal(b.containers.n_unsent, 2);
        containers_done(&b);
        assert_int_equal(b.containers.n, 0);
}

static void test_limit(void **state) {
        struct broker b = { .is_host_wide = true };

        (void)state;
        for (uint64_t i = 1; i <= LIMIT_CONTAINERS_MAX + 1; i++)
                set(&b, i, "x", false);
        assert_int_equal(b.containers.n, LIMIT_CONTAINERS_MAX);
        containers_done(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_row_each),
                cmocka_unit_test(test_limit),
        };

        return test_main("broker-container", tests, ARRAY_SIZE(tests), NULL, NULL);
}
