/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of data sources that none of our gadgets has, through the whole chain: objects by the
 * design document's names, run from their files. */
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define OBJECT(_name) TEST_BUILD_DIR "/tests/unit/worker/" _name "-" TEST_ARCH ".bpf.o"
#define N 100

/* A perf event array: what is read where a kernel has no ring buffers. */
static void test_perf_event_array(void **state) {
        struct env *env = *state;
        json_t *rows, *row;
        struct run *run;
        char pid[16], last[24];
        json_int_t first;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(pid, sizeof(pid), "%d", getpid());
        run = env_run(env, "run", OBJECT("perf"), "--host", "--only_pid", pid, "-o", "json", NULL);
        assert_true(
                WAIT_UNTIL((syscall(SYS_getppid), strstr(run_out(run), "number")), WAIT_DEFAULT));
        for (int k = 0; k < N; k++)
                syscall(SYS_getppid);
        rows = run_rows(run);
        first = row_int(json_array_get(rows, 0), "number");
        json_decref(rows);
        snprintf(last, sizeof(last), "%lld", (long long)first + N);
        run_wait_row(run, "number", last);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        /* Each number is there once; CPUs take turns, so order is theirs. */
        rows = run_rows(run);
        assert_true(json_array_size(rows) > N);
        json_array_foreach(rows, i, row) assert_string_equal(row_str(row, "text"), "per CPU");
        json_decref(rows);
        env_stop(env);
}

static void test_iterator_type(void **state) {
        struct env *env = *state;
        bool is_here = false;
        struct run *run;
        json_t *rows, *row;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        run = env_ctl(env, 0, "run", OBJECT("iterator"), "--host", "-o", "json", NULL);
        rows = json_loads(run_out(run), 0, NULL);
        assert_true(json_is_array(rows));
        json_array_foreach(rows, i, row) if (row_int(row, "pid") == getpid()) {
                is_here = true;
                assert_string_equal(row_str(row, "comm"), "test-kinds");
        }
        assert_true(is_here);
        json_decref(rows);
        env_stop(env);
}

/* Four data sources in one object, all of them empty or zero: each shows that it is there. */
static void test_maps_by_prefix(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        run = env_ctl(env, 0, "run", OBJECT("kinds"), "--host", "--count", "1", "-o", "json", NULL);
        assert_non_null(strstr(run_out(run), "calls"));
        assert_non_null(strstr(run_out(run), "sizes"));
        assert_non_null(strstr(run_out(run), "table"));
        assert_non_null(strstr(run_out(run), "elements"));
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_perf_event_array),
        ENV_TEST(test_iterator_type),
        ENV_TEST(test_maps_by_prefix),
};
TEST_MAIN("gadget-kinds", tests)
