/* SPDX-License-Identifier: Apache-2.0 */
/* The tests' own tools: the leak check must see what it claims to see, a box must be a box, a wait
 * must end. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/box.h"
#include "tests/lib/leaks.h"
#include "tests/lib/needs.h"
#include "tests/lib/run.h"
#include "tests/lib/wait.h"

static int make_map(void) {
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.map_type = BPF_MAP_TYPE_ARRAY;
        attr.key_size = attr.value_size = 4;
        attr.max_entries = 1;
        memcpy(attr.map_name, "leaky", 5);
        return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static void test_leaks_sees_a_map(void **state) {
        cleanup_close int fd = -1;
        struct leaks *leaks;
        char text[2048];

        test_needs(NEED_ROOT);
        leaks = leaks_new();
        assert_non_null(leaks);
        fd = make_map();
        assert_true(fd >= 0);
        assert_int_equal(leaks_check(leaks, 0, text, sizeof(text)), -EBUSY);
        assert_non_null(strstr(text, "leaky"));
        close_fd(&fd);
        assert_int_equal(leaks_check(leaks, WAIT_DEFAULT, text, sizeof(text)), 0);
        leaks_free(leaks);
}

static void test_leaks_ignores_what_others_hold(void **state) {
        struct leaks *leaks;
        int pipe_fds[2];
        char text[2048];
        pid_t pid;

        test_needs(NEED_ROOT);
        leaks = leaks_new();
        assert_int_equal(pipe(pipe_fds), 0);
        pid = fork();
        if (pid == 0) {
                if (make_map() < 0 || write(pipe_fds[1], "x", 1) != 1)
                        _exit(1);
                pause();
        }
        assert_int_equal(read(pipe_fds[0], text, 1), 1);
        assert_int_equal(leaks_check(leaks, 0, text, sizeof(text)), -EBUSY);
        assert_non_null(strstr(text, "process"));
        assert_null(strstr(text, "leaky"));
        /* The check has killed it. */
        assert_int_equal(leaks_check(leaks, WAIT_DEFAULT, text, sizeof(text)), 0);
        leaks_free(leaks);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
}

static void test_leaks_sees_cgroup_and_mount(void **state) {
        char dir[] = "/tmp/gadget-lib-XXXXXX", text[4096], cgroup[128];
        const char *hierarchy = access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/unified" : "";
        struct leaks *leaks;

        test_needs(NEED_ROOT);
        leaks = leaks_new();
        snprintf(cgroup, sizeof(cgroup), "/sys/fs/cgroup%s/gadget-lib-%d", hierarchy, getpid());
        assert_non_null(mkdtemp(dir));
        assert_int_equal(mkdir(cgroup, 0755), 0);
        assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, NULL), 0);
        assert_int_equal(leaks_check(leaks, 0, text, sizeof(text)), -EBUSY);
        umount(dir);
        rmdir(dir);
        rmdir(cgroup);
        assert_non_null(strstr(text, dir));
        assert_non_null(strstr(text, cgroup));
        assert_int_equal(leaks_check(leaks, WAIT_DEFAULT, text, sizeof(text)), 0);
        leaks_free(leaks);
}

static int inside(const void *arg) {
        const int *add = arg;

        return getppid() == 1 ? *add + 1 : -1;
}

static void test_box_is_a_container(void **state) {
        cleanup(box_freep) struct box *box = NULL;
        pid_t pid = 0;
        struct stat st;
        int arg = 41;

        test_needs(NEED_ROOT);
        assert_int_equal(box_new(&box), 0);
        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
        assert_true(box_namespace(box, "mnt") != 0 && box_namespace(box, "mnt") != st.st_ino);
        assert_int_equal(box_call(box, inside, &arg, sizeof(arg), &pid), 42);
        assert_true(pid > 1 && pid != box_pid(box));
}

static void test_wait_ends(void **state) {
        uint64_t before = now_ns();
        int fds[2], status, n = 0;
        pid_t pid;

        assert_false(WAIT_UNTIL(false, 20 * NSEC_PER_MSEC));
        assert_true(now_ns() - before >= 20 * NSEC_PER_MSEC);
        assert_true(WAIT_UNTIL(++n == 3, WAIT_DEFAULT));
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(wait_readable(fds[0], NSEC_PER_MSEC), -ETIMEDOUT);
        pid = fork();
        if (pid == 0)
                _exit(read(fds[0], &n, 1) == 1 ? 7 : 1);
        assert_int_equal(wait_child(pid, NSEC_PER_MSEC, &status), -ETIMEDOUT);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        assert_int_equal(WEXITSTATUS(status), 7);
        close(fds[0]);
        close(fds[1]);
}

static void test_run_collects(void **state) {
        const char *const argv[] = { "sh", "-c",
                                     "echo '{\"a\":{\"b\":5},\"c\":\"x\"}'; echo oops >&2; exit 3",
                                     NULL };
        struct run *run = run_new(&(struct run_spec){ .argv = argv, .dir = "/tmp" });
        json_t *row = run_wait_row(run, "a.b", "5");

        assert_string_equal(row_str(row, "c"), "x");
        run_wait_err(run, "oops");
        assert_int_equal(run_exit(run), 3);
        run_free(run);
}

/* Every probe either is met or says why not. */
static void test_needs_have_reasons(void **state) {
        for (int need = 0; need < _NEED_MAX; need++) {
                const char *why = need_probe((enum need)need);

                print_message("need %-12s %s\n", need_name((enum need)need), why ? why : "met");
                assert_true(why == NULL || why[0] != '\0');
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaks_sees_a_map),
        cmocka_unit_test(test_leaks_ignores_what_others_hold),
        cmocka_unit_test(test_leaks_sees_cgroup_and_mount),
        cmocka_unit_test(test_box_is_a_container),
        cmocka_unit_test(test_wait_ends),
        cmocka_unit_test(test_run_collects),
        cmocka_unit_test(test_needs_have_reasons),
};

TEST_MAIN("lib", tests)
