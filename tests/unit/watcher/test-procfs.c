/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/procfs.h"

#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "tests/lib/needs.h"

static void test_namespace(void **state) {
        struct stat st;
        uint64_t id = 0;

        (void)state;
        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
        assert_int_equal(proc_namespace(0, "mnt", &id), 0);
        assert_int_equal(id, st.st_ino);
        assert_int_equal(proc_namespace(getpid(), "mnt", &id), 0);
        assert_int_equal(id, st.st_ino);
        assert_true(proc_namespace(INT_MAX, "mnt", &id) < 0);
}

/* A name may look like the end of one. */
static void test_parent(void **state) {
        char name[16] = { 0 };
        uint64_t started, now = clock_ns(CLOCK_REALTIME);
        pid_t parent;

        (void)state;
        assert_int_equal(prctl(PR_GET_NAME, name), 0);
        assert_int_equal(prctl(PR_SET_NAME, ") R 1 ("), 0);
        assert_int_equal(proc_parent(getpid(), &parent, &started), 0);
        assert_int_equal(prctl(PR_SET_NAME, name), 0);
        assert_int_equal(parent, getppid());
        assert_true(started <= now + NSEC_PER_SEC && now - started < 60 * NSEC_PER_SEC);
        assert_true(proc_parent(INT_MAX, &parent, NULL) < 0);
}

static void test_arguments(void **state) {
        char text[4096], path[4096];

        (void)state;
        assert_true(proc_arguments(getpid(), text, sizeof(text)) > 0);
        assert_non_null(strstr(text, "test-watcher-procfs"));
        assert_int_equal(proc_link(getpid(), "exe", path, sizeof(path)), 0);
        assert_non_null(strstr(path, "test-watcher-procfs"));
        assert_int_equal(proc_cgroup(getpid(), path, sizeof(path)), 0);
        assert_int_equal(path[0], '/');
}

static void test_ways_in(void **state) {
        struct stat st, root;
        uint64_t id = 0, dev, ino;
        int fd;

        (void)state;
        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        fd = proc_open_netns(getpid(), &id);
        assert_true(fd >= 0);
        assert_int_equal(id, st.st_ino);
        close(fd);
        fd = proc_open_root(getpid());
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(stat("/", &root), 0);
        assert_int_equal(st.st_ino, root.st_ino);
        assert_int_equal(st.st_dev, root.st_dev);
        close(fd);
        assert_int_equal(proc_root(getpid(), &dev, &ino), 0);
        assert_int_equal(dev, root.st_dev);
        assert_int_equal(ino, root.st_ino);
        assert_true(proc_open_netns(INT_MAX, &id) < 0);
        assert_true(proc_open_root(INT_MAX) < 0);
        assert_true(proc_root(INT_MAX, &dev, &ino) < 0);
}

/* Its arguments are elsewhere than those of an exec, and it does not sleep. */
static void test_no_exec(void **state) {
        char text[64];

        (void)state;
        assert_true(proc_exec_arguments(getpid(), text, sizeof(text)) < 0);
        assert_true(proc_exec_arguments(INT_MAX, text, sizeof(text)) < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_namespace), cmocka_unit_test(test_parent),
                cmocka_unit_test(test_arguments), cmocka_unit_test(test_ways_in),
                cmocka_unit_test(test_no_exec),
        };

        return test_main("watcher-procfs", tests, ARRAY_SIZE(tests), NULL, NULL);
}
