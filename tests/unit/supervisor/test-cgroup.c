/* SPDX-License-Identifier: Apache-2.0 */
/* Which hierarchies are found in mountinfo files of different hosts. */
#include "supervisor/cgroup.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "tests/lib/needs.h"

static char dir[64];

static int setup(void **state) {
        (void)state;
        snprintf(dir, sizeof(dir), "/tmp/gadget-cgroup-XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state) {
        (void)state;
        return remove_tree(AT_FDCWD, dir);
}

static struct cgroup_layout read_layout(const char *mountinfo) {
        struct cgroup_layout layout;
        char path[128];
        cleanup_close int fd = -1;

        snprintf(path, sizeof(path), "%s/mountinfo", dir);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(write_all(fd, mountinfo, strlen(mountinfo)), 0);
        assert_int_equal(cgroup_layout_read(path, &layout), 0);
        return layout;
}

/* A cgroup2 mount whose controllers are in a file, as the kernel has it. */
static struct cgroup_layout read_v2(const char *controllers, const char *more_lines) {
        cleanup_close int fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        char text[512];

        assert_int_equal(
                write_file_atomic(fd, "cgroup.controllers", controllers, strlen(controllers), 0600),
                0);
        snprintf(text, sizeof(text),
                 "%s41 31 0:38 / %s rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
                 more_lines, dir);
        return read_layout(text);
}

static const char v1_lines[] =
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "36 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory\n"
        "40 31 0:36 / /sys/fs/cgroup/my\\040pids rw - cgroup cgroup rw,pids\n";

static void test_v1(void **state) {
        struct cgroup_layout layout = read_layout(v1_lines);

        (void)state;
        assert_int_equal(layout.n, 2);
        assert_string_equal(layout.hierarchies[0].mount, "/sys/fs/cgroup/memory");
        assert_true(layout.hierarchies[0].has_memory);
        assert_false(layout.hierarchies[0].has_pids);
        assert_false(layout.hierarchies[0].is_v2);
        assert_string_equal(layout.hierarchies[1].mount, "/sys/fs/cgroup/my pids");
        assert_true(layout.hierarchies[1].has_pids);
}

static void test_v2(void **state) {
        struct cgroup_layout layout = read_v2("cpuset cpu io memory hugetlb pids rdma\n", "");

        (void)state;
        assert_int_equal(layout.n, 1);
        assert_string_equal(layout.hierarchies[0].mount, dir);
        assert_true(layout.hierarchies[0].is_v2);
        assert_true(layout.hierarchies[0].has_memory);
        assert_true(layout.hierarchies[0].has_pids);
}

/* The controllers stayed in v1: the empty v2 is of no use. */
static void test_hybrid(void **state) {
        struct cgroup_layout layout = read_v2("hugetlb\n", v1_lines);

        (void)state;
        assert_int_equal(layout.n, 2);
        assert_false(layout.hierarchies[0].is_v2);
}

/* "memory" is no part of "memoryless": words are compared whole. */
static void test_words(void **state) {
        struct cgroup_layout layout = read_v2("memoryless pid\n", "");

        (void)state;
        assert_int_equal(layout.n, 1);
        assert_false(layout.hierarchies[0].has_memory);
        assert_false(layout.hierarchies[0].has_pids);
}

static void test_mounted_twice(void **state) {
        struct cgroup_layout layout =
                read_layout("36 31 0:32 / /a rw - cgroup cgroup rw,memory\n37 31 0:32 / /b rw - "
                            "cgroup cgroup rw,memory\n"
                            "38 31 0:33 / /c rw - cgroup cgroup rw,pids\n");

        (void)state;
        assert_int_equal(layout.n, 2);
        assert_string_equal(layout.hierarchies[0].mount, "/a");
        assert_string_equal(layout.hierarchies[1].mount, "/c");
}

static void test_none(void **state) {
        (void)state;
        assert_int_equal(read_layout("").n, 0);
        assert_int_equal(read_layout("nonsense\n1 2 3\n - \n").n, 0);
        assert_int_equal(read_layout("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n").n, 0);
}

/* Where nothing can be limited an instance has an empty cgroup, and everything works on it. */
static void test_empty_cgroup(void **state) {
        struct cgroup_layout layout = { .n = 0 };
        const struct cgroup_limits limits = { 1 << 20, 4 };
        struct error err = {};
        struct cgroup cgroup;

        (void)state;
        assert_int_equal(cgroup_create(&layout, "0123", &limits, &cgroup, &err), 0);
        assert_int_equal(cgroup.n, 0);
        cgroup_kill(&cgroup);
        assert_int_equal(cgroup_remove(&cgroup), 0);
        cgroup_done(&cgroup);
}

/* On this machine: limits are in force where they were asked for, and nothing stays. */
static void test_real(void **state) {
        const struct cgroup_limits limits = { 64 << 20, 3 };
        struct cgroup_layout layout;
        struct error err = {};
        struct cgroup cgroup;
        bool seen = false;

        (void)state;
        test_needs(NEED_ROOT);
        test_needs(NEED_CGROUP);
        assert_int_equal(cgroup_layout_read("/proc/self/mountinfo", &layout), 0);
        cgroup_layout_open(&layout);
        assert_true(layout.n > 0);
        assert_int_equal(cgroup_create(&layout, "gadget-test", &limits, &cgroup, &err), 0);
        for (size_t i = 0; i < layout.n; i++) {
                cleanup_buf struct buf text = BUF_INIT(64);

                if (!layout.hierarchies[i].has_pids)
                        continue;
                assert_int_equal(read_file_at(cgroup.fds[i], "worker/pids.max", &text), 0);
                assert_memory_equal(text.data, "3\n", 2);
                seen = true;
        }
        assert_true(seen);
        assert_int_equal(cgroup_remove(&cgroup), 0);
        for (size_t i = 0; i < layout.n; i++)
                assert_int_equal(faccessat(layout.hierarchies[i].fd, "gadget-test", F_OK, 0), -1);
        cgroup_done(&cgroup);
        cgroup_layout_done(&layout);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_v1),
                cmocka_unit_test(test_v2),
                cmocka_unit_test(test_hybrid),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_mounted_twice),
                cmocka_unit_test(test_none),
                cmocka_unit_test(test_empty_cgroup),
                cmocka_unit_test(test_real),
        };

        return test_main("supervisor-cgroup", tests, ARRAY_SIZE(tests), setup, teardown);
}
