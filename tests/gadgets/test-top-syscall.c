/* SPDX-License-Identifier: Apache-2.0 */
/* top_syscall: calls of this test, counted exactly over all arrays that are read. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define N 1000

/* Sums a field over the rows of all arrays printed so far. */
static json_int_t sum(struct run *run, const char *syscall_name, const char *field,
                      size_t *ret_arrays) {
        const char *at = run_out(run);
        json_int_t total = 0;

        *ret_arrays = 0;
        for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
                json_t *rows = json_loadb(at, (size_t)(end - at), 0, NULL), *row;
                size_t i;

                if (!json_is_array(rows))
                        run_fail(run, "a line is no array");
                (*ret_arrays)++;
                json_array_foreach(rows, i, row) if (str_eq(row_str(row, "syscall"), syscall_name))
                        total += row_int(row, field);
                json_decref(rows);
        }
        return total;
}

static struct run *start(struct env *env, const char *interval, const char *keep) {
        char filter[64];

        snprintf(filter, sizeof(filter), "pid==%d", getpid());
        return env_run(env, "run", "top_syscall", "--name", "top", "--host", "--filter", filter,
                       "--max-entries", "0", "--interval", interval, keep, "-o", "json", NULL);
}

/* Somebody reads what the gadget sends. */
static bool is_attached(struct env *env) {
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL);
        json_t *item = json_array_get(list, 0);
        bool is = item && row_int(item, "attached") == 1;

        json_decref(list);
        return is;
}

static void test_counts_add_up(void **state) {
        struct env *env = *state;
        size_t n_arrays;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = start(env, "100ms", "--keep=false");
        assert_true(WAIT_UNTIL((syscall(SYS_getpgid, 0), strstr(run_out(run), "SYS_GETPGID")),
                               WAIT_DEFAULT));
        for (int i = 0; i < N; i++)
                syscall(SYS_getppid);
        for (int i = 0; i < 10; i++)
                syscall(SYS_close, -1);
        assert_true(WAIT_UNTIL(sum(run, "SYS_GETPPID", "calls", &n_arrays) >= N, WAIT_DEFAULT));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        /* Entries are taken as they are read, so no call is counted twice. */
        assert_int_equal(sum(run, "SYS_GETPPID", "calls", &n_arrays), N);
        assert_int_equal(sum(run, "SYS_GETPPID", "errors", &n_arrays), 0);
        assert_true(n_arrays >= 2);
        env_stop(env);
}

/* Without an interval everything comes once, at the end. */
static void test_once_at_the_stop(void **state) {
        struct env *env = *state;
        size_t n_arrays;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = start(env, "0", "--keep=false");
        assert_true(WAIT_UNTIL(is_attached(env), WAIT_DEFAULT));
        for (int i = 0; i < N; i++)
                syscall(SYS_getppid);
        run_signal(run, SIGINT);
        if (run_exit(run) != 0)
                run_fail(run, "it failed");
        assert_int_equal(sum(run, "SYS_GETPPID", "calls", &n_arrays), N);
        assert_int_equal(n_arrays, 1);
        env_stop(env);
}

/* Kept entries go on counting, so each array has at least what the last one had. */
static void test_kept_entries(void **state) {
        struct env *env = *state;
        size_t n_arrays;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = start(env, "50ms", "--keep=true");
        assert_true(WAIT_UNTIL((syscall(SYS_getpgid, 0), strstr(run_out(run), "SYS_GETPGID")),
                               WAIT_DEFAULT));
        for (int i = 0; i < N; i++)
                syscall(SYS_getppid);
        assert_true(WAIT_UNTIL(sum(run, "SYS_GETPPID", "calls", &n_arrays) >= 3 * N, WAIT_DEFAULT));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        assert_int_equal(sum(run, "SYS_GETPPID", "calls", &n_arrays) % N, 0);
        env_stop(env);
}

/* What a child does when it is told to, and nothing else: 1 + 6 * N + 1 calls of 8 kinds. */
#define CHILD_CALLS (6 * N + 2)
static void act_in_child(int fd) {
        char c;

        (void)!read(fd, &c, 1);
        for (int i = 0; i < N; i++) {
                syscall(SYS_getppid);
                syscall(SYS_getuid);
                syscall(SYS_geteuid);
                syscall(SYS_getgid);
                syscall(SYS_getegid);
                syscall(SYS_getpgid, 0);
        }
        (void)!write(fd, &c, 1);
        for (;;)
                pause();
}

/* More keys than the map has room for: those that have none are counted. */
static void test_too_many_keys(void **state) {
        json_int_t calls = 0, lost;
        struct env *env = *state;
        char pid_text[16], c = 'x';
        const char *told;
        struct run *run;
        json_t *rows, *row;
        int fds[2];
        size_t i;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        pid = fork();
        if (pid == 0)
                act_in_child(fds[1]);
        snprintf(pid_text, sizeof(pid_text), "%d", pid);
        run = env_run(env, "run", "top_syscall", "--host", "--pid", pid_text, "--max-keys", "4",
                      "--interval", "0", "--max-entries", "0", "-o", "json", NULL);
        assert_true(WAIT_UNTIL(is_attached(env), WAIT_DEFAULT));
        assert_int_equal(write(fds[0], &c, 1), 1);
        assert_int_equal(read(fds[0], &c, 1), 1);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(fds[0]);
        close(fds[1]);
        rows = json_loads(run_out(run), 0, NULL);
        assert_int_equal(json_array_size(rows), 4);
        json_array_foreach(rows, i, row) calls += row_int(row, "calls");
        json_decref(rows);
        told = strstr(run_err(run), "syscalls: ");
        assert_non_null(told);
        assert_int_equal(sscanf(told, "syscalls: %lld rows lost", &lost), 1);
        /* The last of them may still be under way when the gadget stops. */
        assert_in_range(calls + lost, CHILD_CALLS - 1, CHILD_CALLS);
        assert_true(lost >= 3 * N);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_too_many_keys),
        ENV_TEST(test_counts_add_up),
        ENV_TEST(test_once_at_the_stop),
        ENV_TEST(test_kept_entries),
};
TEST_MAIN("gadget-top-syscall", tests)
