/* SPDX-License-Identifier: Apache-2.0 */
/* Ways into containers: whose they are, how long, and how many. */
#include "supervisor/container-fds.h"

#include <fcntl.h>

#include "supervisor/container.h"
#include "supervisor/instance.h"
#include "tests/lib/needs.h"

static int a_file(void) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static bool is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

/* As CONTAINER_ADDED comes, with both fds; those that are not kept are closed by the channel. */
static void take(struct containers *cs, struct container *c, uint64_t netns) {
        union message msg = { .container_added = {
                                      .netns = netns, .has_netns_fd = true, .has_root_fd = true } };
        int fds[CONTAINER_FDS_MAX] = { a_file(), a_file() };
        struct received received = { .msg = &msg, .fds = fds, .n_fds = ARRAY_SIZE(fds) };

        container_fds_take(cs, c, &received);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close_fd(&fds[i]);
}

static struct containers make(size_t fds_max) {
        struct containers cs = { .fds_max = fds_max };

        LIST_INIT(&cs.netns_list);
        return cs;
}

static void test_shared_once(void **state) {
        struct containers cs = make(100);
        struct container a = { .fds = CONTAINER_FDS_NONE }, b = a, c = a;
        int netns_fd, root_fd;

        (void)state;
        take(&cs, &a, 7);
        take(&cs, &b, 7);
        take(&cs, &c, 8);
        assert_ptr_equal(a.fds.netns, b.fds.netns);
        assert_int_equal(cs.n_fds, 2 + 3);
        netns_fd = a.fds.netns->fd;
        root_fd = a.fds.root_fd;
        container_fds_close(&cs, &a);
        assert_false(is_open(root_fd));
        assert_true(is_open(netns_fd));
        container_fds_close(&cs, &b);
        assert_false(is_open(netns_fd));
        /* It was seen before it had its own. */
        take(&cs, &c, 9);
        assert_int_equal(c.fds.netns->id, 9);
        assert_int_equal(cs.n_fds, 2);
        container_fds_close(&cs, &c);
        assert_int_equal(cs.n_fds, 0);
        container_fds_close(&cs, &c);
        assert_int_equal(cs.n_fds, 0);
}

static void test_instances_get_what_they_want(void **state) {
        struct containers cs = make(100);
        struct container c = { .fds = CONTAINER_FDS_NONE };
        struct instance in = { 0 };
        struct msg_container_set set = { 0 };
        int fds[CONTAINER_FDS_MAX];

        (void)state;
        take(&cs, &c, 7);
        assert_int_equal(container_fds_get(&c, &in, &set, fds), 0);
        assert_false(set.has_netns_fd || set.has_root_fd);
        in.wants_roots = true;
        assert_int_equal(container_fds_get(&c, &in, &set, fds), 1);
        assert_true(!set.has_netns_fd && set.has_root_fd && fds[0] == c.fds.root_fd);
        in.wants_netns = true;
        assert_int_equal(container_fds_get(&c, &in, &set, fds), 2);
        assert_true(set.has_netns_fd && fds[0] == c.fds.netns->fd && fds[1] == c.fds.root_fd);
        container_fds_close(&cs, &c);
        assert_int_equal(container_fds_get(&c, &in, &set, fds), 0);
}

/* Clients and instances need descriptors as well: further containers go without. */
static void test_no_more_than_fit(void **state) {
        struct containers cs = make(3);
        struct container a = { .fds = CONTAINER_FDS_NONE }, b = a, c = a;

        (void)state;
        take(&cs, &a, 7);
        take(&cs, &b, 8);
        assert_int_equal(cs.n_fds, 3);
        assert_non_null(b.fds.netns);
        assert_int_equal(b.fds.root_fd, -1);
        assert_true(cs.is_short_of_fds);
        take(&cs, &c, 7); /* which is open */
        assert_ptr_equal(c.fds.netns, a.fds.netns);
        assert_int_equal(cs.n_fds, 3);
        take(&cs, &a, 7); /* in place of its old ones */
        assert_true(a.fds.root_fd >= 0);
        container_fds_close(&cs, &a);
        container_fds_close(&cs, &b);
        container_fds_close(&cs, &c);
        assert_int_equal(cs.n_fds, 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_once),
        cmocka_unit_test(test_instances_get_what_they_want),
        cmocka_unit_test(test_no_more_than_fit),
};
TEST_MAIN("supervisor-container-fds", tests)
