/* SPDX-License-Identifier: Apache-2.0 */
/* trace_signal: signals that this test sends to itself and to a child, counted exactly. */
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define N 100

static size_t count(struct run *run, const char *sig, json_int_t from) {
        json_t *rows = run_rows(run), *row;
        size_t n = 0, i;

        json_array_foreach(rows, i, row) if (strcmp(row_str(row, "sig"), sig) == 0 &&
                                             row_int(row, "proc.pid") == from) n++;
        json_decref(rows);
        return n;
}

static void on_signal(int number) {}

/* Programs are attached before gadgetctl says so; the first signal that is seen shows that they
 * are. */
static struct run *start(struct env *env, const char *filter) {
        struct run *run;

        signal(SIGUSR2, on_signal);
        signal(SIGUSR1, on_signal);
        run = env_run(env, "run", "trace_signal", "--host", "--filter", filter, "-o", "json", NULL);
        assert_true(WAIT_UNTIL((kill(getpid(), SIGUSR2), strstr(run_out(run), "SIGUSR2")),
                               WAIT_DEFAULT));
        return run;
}

static void test_exactly_as_many_as_sent(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *row;
        char filter[64];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(filter, sizeof(filter), "sig~^SIGUSR[12]$,proc.pid==%d", getpid());
        run = start(env, filter);
        for (int i = 0; i < N; i++)
                kill(getpid(), SIGUSR1);
        assert_int_equal(tgkill(getpid(), gettid(), SIGUSR1), 0);
        kill(getpid(), SIGUSR2);
        row = run_wait_row(run, "origin", "TKILL");
        assert_string_equal(row_str(row, "sig"), "SIGUSR1");
        assert_string_equal(row_str(row, "result"), "DELIVERED");
        assert_int_equal(row_int(row, "tpid"), getpid());
        assert_int_equal(row_int(row, "proc.pid"), getpid());
        assert_string_equal(row_str(row, "tcomm"), row_str(row, "proc.comm"));
        assert_true(json_is_false(row_get(row, "to_process")));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        assert_int_equal(count(run, "SIGUSR1", getpid()), N + 1);
        env_stop(env);
}

/* Pending already, ignored, and one that the kernel sends. */
static void test_results_and_origins(void **state) {
        struct env *env = *state;
        struct run *run;
        sigset_t set;
        json_t *row;
        pid_t child;
        int status;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = start(env, "sig!=SIGCHLD");
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        kill(getpid(), SIGUSR1);
        kill(getpid(), SIGUSR1);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        row = run_wait_row(run, "result", "ALREADY_PENDING");
        assert_string_equal(row_str(row, "sig"), "SIGUSR1");
        signal(SIGWINCH, SIG_IGN);
        kill(getpid(), SIGWINCH);
        row = run_wait_row(run, "result", "IGNORED");
        assert_true(row_int(row, "sig_raw") > 0);
        child = fork();
        if (child == 0) {
                signal(SIGILL, SIG_DFL);
                __builtin_trap();
        }
        assert_int_equal(wait_child(child, WAIT_DEFAULT, &status), 0);
        assert_true(WIFSIGNALED(status));
        row = run_wait_row(run, "sig", "SIGILL");
        assert_true(row_int(row, "origin_raw") > 0);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_exactly_as_many_as_sent),
        ENV_TEST(test_results_and_origins),
};
TEST_MAIN("gadget-trace-signal", tests)
