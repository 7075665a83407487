/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/container.h"

#include <fcntl.h>

#include "broker/broker.h"
#include "tests/lib/needs.h"

static void set(struct broker *b, uint64_t mntns, const char *name, bool is_gone) {
        const struct msg_container_set msg = { .mntns = mntns, .name = name, .is_gone = is_gone };

        assert_int_equal(containers_set(b, &msg, NULL), 0);
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

/* As gadgetd tells of a container in this network namespace; the fd is of a file. */
static void set_netns(struct broker *b, uint64_t mntns, uint64_t netns, bool has_ended) {
        const struct msg_container_set msg = { .mntns = mntns,
                                               .netns = netns,
                                               .has_netns_fd = !has_ended,
                                               .has_root_fd = !has_ended,
                                               .has_ended = has_ended };
        int fds[CONTAINER_FDS_MAX] = { -1, -1 };

        for (size_t i = 0; i < ARRAY_SIZE(fds) && !has_ended; i++)
                fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(containers_set(b, &msg, fds), 0);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close_fd(&fds[i]);
}

static size_t count_fds(void) {
        size_t n = 0;

        for (int fd = 0; fd < 4096; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* A namespace that two containers share is there once, until both have ended; so are the fds. */
static void test_netns(void **state) {
        struct broker b = { .is_host_wide = true, .wants = WANT_NETNS | WANT_ROOTS };
        size_t before = count_fds();

        (void)state;
        set_netns(&b, 1, 30, false);
        set_netns(&b, 2, 20, false);
        set_netns(&b, 3, 20, false);
        assert_int_equal(b.netns.n, 2);
        assert_int_equal(netns_next(&b, 0)->id, 20);
        assert_int_equal(netns_next(&b, 20)->id, 30);
        assert_null(netns_next(&b, 30));
        assert_int_equal(count_fds(), before + 5);
        set_netns(&b, 2, 20, true);
        assert_int_equal(b.netns.n, 2);
        set_netns(&b, 3, 20, true);
        assert_int_equal(netns_next(&b, 0)->id, 30);
        /* It moves: it was seen while it was being made. */
        set_netns(&b, 1, 40, false);
        assert_int_equal(b.netns.n, 1);
        assert_int_equal(netns_next(&b, 0)->id, 40);
        assert_int_equal(count_fds(), before + 2);
        containers_done(&b);
        assert_int_equal(b.netns.n, 0);
        netns_done(&b);
        assert_int_equal(count_fds(), before);
}

static void test_netns_limit(void **state) {
        struct broker b = { .is_host_wide = true, .wants = WANT_NETNS };

        (void)state;
        for (uint64_t i = 1; i <= LIMIT_NETNS_MAX + 1; i++) {
                int fd = -1;

                /* One that nothing leads into is none. */
                assert_false(netns_use(&b, i, &fd));
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
                assert_int_equal(netns_use(&b, i, &fd), i <= LIMIT_NETNS_MAX);
                close_fd(&fd);
        }
        assert_int_equal(b.netns.n, LIMIT_NETNS_MAX);
        assert_true(b.netns.is_full);
        netns_done(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_row_each),
                cmocka_unit_test(test_limit),
                cmocka_unit_test(test_netns),
                cmocka_unit_test(test_netns_limit),
        };

        return test_main("broker-container", tests, ARRAY_SIZE(tests), NULL, NULL);
}
