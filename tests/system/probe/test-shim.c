/* SPDX-License-Identifier: Apache-2.0 */
/* Stock libbpf in a worker's place: loads, attaches and reads through the broker; every event of
 * this process arrives once. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/file.h"
#include "tests/lib/leaks.h"
#include "tests/lib/needs.h"
#include "tests/lib/wait.h"
#include "tests/system/probe/play.h"

#define CALLS 1000

static struct leaks *leaks;
static struct buf object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX);
static struct buf plain_object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX); /* needs no BTF of the kernel */

static uint64_t read_bell(struct play *play) {
        uint64_t n = 0;

        if (wait_readable(play->bell_fd, WAIT_DEFAULT) == 0)
                assert_int_equal(read(play->bell_fd, &n, sizeof(n)), sizeof(n));
        return n;
}

static struct play *start(bool inspect, const char *kernel_btf) {
        struct play_options options = {
                .broker = TEST_BUILD_DIR "/broker/gadget-broker",
                .worker = TEST_BUILD_DIR "/tests/system/probe/shim",
                .inspect = inspect,
                .kernel_btf = kernel_btf,
        };
        struct play *play;
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", getpid());
        options.image = pid;
        options.object = kernel_btf ? BYTES(plain_object.data, plain_object.len)
                                    : BYTES(object.data, object.len);
        assert_int_equal(play_new(&options, &play), 0);
        (void)play_wait(play, &play->is_ready, 5 * NSEC_PER_SEC);
        if (!play->is_ready)
                fail_msg("not ready: %s\n%s\n%.*s", play->fault, play->fault_detail ?: "",
                         (int)play->log.len, (const char *)play->log.data);
        if (!inspect)
                assert_int_equal(read_bell(play), 1);
        return play;
}

static bool has(const struct buf *b, const char *word) {
        return memmem(b->data, b->len, word, strlen(word)) != NULL;
}

static void expect_end(struct play *play, bool is_clean) {
        assert_int_equal(play_wait(play, &play->is_stopped, WAIT_DEFAULT), 0);
        assert_int_equal(play_wait(play, &play->is_closed, WAIT_DEFAULT), 0);
        if (is_clean && play->is_faulted)
                fail_msg("%s\n%s", play->fault, play->fault_detail ?: "");
        assert_int_equal(play->stopped.is_clean, is_clean);
        play_free(play);
}

static void expect_no_leak(void) {
        char text[4096] = "";

        if (leaks_check(leaks, WAIT_DEFAULT, text, sizeof(text)) < 0)
                fail_msg("%s", text);
}

static void expect_all_events(struct play *play) {
        for (int i = 0; i < CALLS; i++)
                (void)syscall(SYS_getppid);
        assert_int_equal(play_stop(play, false), 0);
        assert_int_equal(play_wait(play, &play->is_stopped, WAIT_DEFAULT), 0);
        if (play->is_faulted)
                fail_msg("%s", play->fault);
        assert_int_equal(read_bell(play), CALLS);
}

static void test_load_attach_stop(void **state) {
        struct play *play;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_BPF_TP_BTF);
        test_needs(NEED_BPF_ITER);
        play = start(false, NULL);
        assert_true(has(&play->permissions, "tracepoint/syscalls/sys_enter_getppid"));
        assert_true(has(&play->permissions, "raw_tp/sys_enter"));
        assert_true(has(&play->permissions, "tp_btf/sys_exit"));
        assert_true(has(&play->permissions, "iter/task"));
        assert_true(has(&play->permissions, "bpf_ringbuf_output"));
        assert_true(has(&play->permissions, "hash_of_maps"));
        /* libbpf's questions to the kernel are no permissions of the gadget. */
        assert_false(has(&play->permissions, "bpf_ktime_get_coarse_ns"));
        assert_false(has(&play->permissions, "socket_filter"));
        expect_all_events(play);
        expect_end(play, true);
        expect_no_leak();
}

static void test_inspect(void **state) {
        struct play *play;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        play = start(true, NULL);
        assert_true(has(&play->permissions, "tracepoint/syscalls/sys_enter_getppid"));
        assert_false(has(&play->permissions, "raw_tp/sys_enter"));
        expect_end(play, true);
        expect_no_leak();
}

static void test_without_btf(void **state) {
        struct play *play;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        play = start(false, "/nonexistent/btf");
        expect_all_events(play);
        expect_end(play, true);
        expect_no_leak();
}

static void test_worker_is_killed(void **state) {
        struct play *play;
        uint64_t begin;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        play = start(false, NULL);
        begin = now_ns();
        assert_int_equal(kill(play->worker_pid, SIGKILL), 0);
        assert_int_equal(play_wait(play, &play->is_faulted, WAIT_DEFAULT), 0);
        assert_true(now_ns() - begin < 100 * NSEC_PER_MSEC);
        assert_non_null(strstr(play->fault, "killed by SIGKILL"));
        expect_end(play, false);
        expect_no_leak();
}

/* The worker dies with its broker, and the kernel takes everything back. */
static void test_broker_is_killed(void **state) {
        struct play *play;
        pid_t worker;
        int status;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        play = start(false, NULL);
        worker = play->worker_pid;
        assert_int_equal(kill(play->broker_pid, SIGKILL), 0);
        assert_int_equal(play_wait(play, &play->is_closed, WAIT_DEFAULT), 0);
        /* We are its reaper now (leaks_new). It was killed, or found its channel closed just
         * before. */
        assert_true(WAIT_UNTIL(waitpid(worker, &status, WNOHANG) == worker, WAIT_DEFAULT));
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 1);
        play_free(play);
        expect_no_leak();
}

/* gadgetd's end: the broker cleans up after both of them. */
static void test_gadgetd_is_gone(void **state) {
        char path[192], cgroup[128];
        struct play *play;
        int status;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        play = start(false, NULL);
        snprintf(path, sizeof(path), "%s/%s", play->dir, play->id);
        snprintf(cgroup, sizeof(cgroup), "%s", play->cgroups[0]);
        assert_int_equal(access(path, F_OK), 0);
        play_hang_up(play);
        assert_int_equal(wait_child(play->broker_pid, WAIT_DEFAULT, &status), 0);
        if (status != 0)
                fail_msg("the broker ended with status 0x%x", status);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(access(cgroup, F_OK), -1);
        play_free(play);
        expect_no_leak();
}

static void test_broker_sock_says_who_it_is(void **state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        char line[128] = "", expect[128];
        struct play *play;
        struct stat st;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        play = start(false, NULL);
        assert_true(snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s/broker.sock",
                             play->dir, play->id) < (int)sizeof(address.sun_path));
        assert_int_equal(stat(address.sun_path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(wait_readable(fd, WAIT_DEFAULT), 0);
        assert_true(recv(fd, line, sizeof(line) - 1, 0) > 0);
        snprintf(expect, sizeof(expect), "gadget-broker 1 %s\n", play->id);
        assert_string_equal(line, expect);
        assert_int_equal(play_stop(play, true), 0);
        expect_end(play, false);
}

/* --- what the kernel says of the two processes --- */

static void read_status(pid_t pid, struct buf *out) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        assert_int_equal(read_file_at(AT_FDCWD, path, out), 0);
}

static void expect_line(const struct buf *status, const char *line) {
        if (!has(status, line))
                fail_msg("no '%s' in:\n%.*s", line, (int)status->len, (const char *)status->data);
}

static bool same_namespace(pid_t pid, const char *name) {
        char path[64], mine[64], its[64];
        ssize_t n, m;

        snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
        n = readlink(path, mine, sizeof(mine));
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
        m = readlink(path, its, sizeof(its));
        assert_true(n > 0 && m > 0);
        return n == m && memcmp(mine, its, (size_t)n) == 0;
}

static size_t count_fds(pid_t pid) {
        char path[64];
        size_t n = 0;

        for (int fd = 0; fd < 1024; fd++) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
                n += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        }
        return n;
}

static void test_privileges(void **state) {
        static const char *const namespaces[] = { "user", "mnt", "pid",   "net",
                                                  "ipc",  "uts", "cgroup" };
        cleanup_buf struct buf worker = BUF_INIT(64 << 10), broker = BUF_INIT(64 << 10);
        struct play *play;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        play = start(false, NULL);
        read_status(play->worker_pid, &worker);
        expect_line(&worker, "\nUid:\t1900004000\t1900004000\t1900004000\t1900004000\n");
        expect_line(&worker, "\nGid:\t1900004000\t1900004000\t1900004000\t1900004000\n");
        expect_line(&worker, "\nGroups:\t \n");
        expect_line(&worker, "\nCapInh:\t0000000000000000\n");
        expect_line(&worker, "\nCapPrm:\t0000000000000000\n");
        expect_line(&worker, "\nCapEff:\t0000000000000000\n");
        expect_line(&worker, "\nCapBnd:\t0000000000000000\n");
        expect_line(&worker, "\nCapAmb:\t0000000000000000\n");
        expect_line(&worker, "\nNoNewPrivs:\t1\n");
        expect_line(&worker, "\nSeccomp:\t2\n");
        expect_line(&worker, "\nSeccomp_filters:\t2\n");
        expect_line(&worker, "\nThreads:\t1\n");
        for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
                assert_false(same_namespace(play->worker_pid, namespaces[i]));
        assert_true(count_fds(play->worker_pid) < 64);

        /* BPF, PERFMON, SYS_ADMIN, NET_RAW, NET_ADMIN. SYS_PTRACE only until it is known that the
         * gadget has no stacks; it executes nothing that the bounding set could give it to. */
        read_status(play->broker_pid, &broker);
        expect_line(&broker, "\nCapPrm:\t000000c000203000\n");
        expect_line(&broker, "\nCapEff:\t000000c000203000\n");
        expect_line(&broker, "\nCapBnd:\t000000c000283000\n");
        expect_line(&broker, "\nCapInh:\t0000000000000000\n");
        expect_line(&broker, "\nCapAmb:\t0000000000000000\n");
        expect_line(&broker, "\nGroups:\t \n");
        expect_line(&broker, "\nNoNewPrivs:\t1\n");
        expect_line(&broker, "\nSeccomp:\t2\n");
        assert_int_equal(play_stop(play, false), 0);
        expect_end(play, true);
}

static int setup(void **state) {
        leaks = leaks_new();
        return leaks && read_file_at(AT_FDCWD, TEST_OBJECT, &object) == 0 &&
                               read_file_at(AT_FDCWD, TEST_PLAIN_OBJECT, &plain_object) == 0
                       ? 0
                       : -1;
}

static int teardown(void **state) {
        leaks_free(leaks);
        buf_done(&object);
        buf_done(&plain_object);
        return 0;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_attach_stop),
        cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_without_btf),
        cmocka_unit_test(test_worker_is_killed),
        cmocka_unit_test(test_broker_is_killed),
        cmocka_unit_test(test_gadgetd_is_gone),
        cmocka_unit_test(test_broker_sock_says_who_it_is),
        cmocka_unit_test(test_privileges),
};
TEST_MAIN_SETUP("shim", tests, setup, teardown)
