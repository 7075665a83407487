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

/* What the kernel has of the gadget, by type: "show" tells. */
static bool has_map_type(struct env *env, const char *name, const char *type) {
        json_t *shown = env_ctl_json(env, "show", name, "-o", "json", NULL), *item;
        json_t *types = row_get(shown, "permissions.maps");
        bool has = false;
        size_t i;

        json_array_foreach(types, i, item) has |= str_eq(json_string_value(item), type);
        json_decref(shown);
        return has;
}

/* GADGET_TRACER_MAP() where a kernel has no ring buffers: the same rows by the other way. */
static void test_ring_buffer_by_perf(void **state) {
        static const char *const buffers[] = { "--perf-buffers=false", "--perf-buffers" };
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        signal(SIGUSR1, SIG_IGN);
        for (size_t i = 0; i < ARRAY_SIZE(buffers); i++) {
                char filter[64];
                struct run *run;
                json_t *rows;

                snprintf(filter, sizeof(filter), "sig==SIGUSR1,proc.pid==%d", getpid());
                env_ctl(env, 0, "run", "trace_signal", "--detach", "--name", "t", "--host",
                        "--filter", filter, buffers[i], NULL);
                assert_int_equal(has_map_type(env, "t", "perf_event_array"), i);
                assert_int_equal(has_map_type(env, "t", "ringbuf"), !i);
                for (int k = 0; k < N; k++)
                        kill(getpid(), SIGUSR1);
                run = env_run(env, "attach", "t", "--tail", "all", "-o", "json", NULL);
                env_ctl(env, 0, "stop", "t", NULL);
                assert_int_equal(run_exit(run), 0);
                rows = run_rows(run);
                assert_int_equal(json_array_size(rows), N);
                json_decref(rows);
        }
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

/* Sums field `count` over all arrays of the data source: over rows, or over a histogram's slots. */
static json_int_t sum_counts(struct run *run, const char *source, const char *slots) {
        const char *at = run_out(run);
        json_int_t total = 0;

        for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
                json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL), *row, *slot;
                const char *name = json_string_value(row_get(line, "datasource"));
                size_t i, k;

                if (!name)
                        run_fail(run, "a line names no data source");
                json_array_foreach(row_get(line, "rows"), i, row) {
                        if (!str_eq(name, source))
                                break;
                        if (!slots)
                                total += row_int(row, "count");
                        json_array_foreach(slots ? row_get(row, slots) : NULL, k, slot) total +=
                                row_int(slot, "count");
                }
                json_decref(line);
        }
        return total;
}

/* getsid(0) to getsid(99): events, a map of two entries and a histogram, from one object, each
 * named in JSON; the histogram is drawn at the interval. */
static void test_design_document(void **state) {
        static const char *const drawn[] = {
                "    0 -> 1   : 2  |**                                      |\n",
                "    8 -> 15  : 8  |********                                |\n",
                "   64 -> 127 : 36 |****************************************|\n",
        };
        struct env *env = *state;
        struct run *json, *text;
        char pid[16], row[96];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(pid, sizeof(pid), "%d", getpid());
        env_ctl(env, 0, "run", TEST_BUILD_DIR "/tests/gadgets/types/design.bpf.o", "--detach",
                "--name", "t", "--host", "--only_pid", pid, "--interval", "2s", NULL);
        json = env_run(env, "attach", "t", "--tail", "all", "-o", "json", NULL);
        text = env_run(env, "attach", "t", "--tail", "all", NULL);
        for (int i = 0; i < N; i++)
                (void)getsid(i);
        snprintf(row, sizeof(row),
                 "{\"datasource\":\"numbers\",\"number\":%d,\"text\":\"a number\"}", N - 1);
        run_wait_out(json, row);
        run_wait_out(json, "\"numbers_by_size\",\"rows\":[{\"key\":7,");
        run_wait_out(text, "numbers_by_size\nKEY: 7\n");
        env_ctl(env, 0, "stop", "t", NULL);
        assert_int_equal(run_exit(json), 0);
        assert_int_equal(run_exit(text), 0);
        assert_int_equal(sum_counts(json, "calls", NULL), N);
        assert_int_equal(sum_counts(json, "numbers_by_size", "slots"), N);
        /* Unless the calls fell into two intervals. */
        if (strstr(run_out(json), "{\"start\":64,\"end\":127,\"count\":36}"))
                for (size_t i = 0; i < ARRAY_SIZE(drawn); i++)
                        assert_non_null(strstr(run_out(text), drawn[i]));
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_design_document),     ENV_TEST(test_perf_event_array),
        ENV_TEST(test_ring_buffer_by_perf), ENV_TEST(test_iterator_type),
        ENV_TEST(test_maps_by_prefix),
};
TEST_MAIN("gadget-kinds", tests)
