/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker adds to rows, value by value, through the whole chain. */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define OBJECT TEST_BUILD_DIR "/tests/gadgets/enriched-" TEST_ARCH ".bpf.o"
#define DEFINITION TEST_BUILD_DIR "/tests/gadgets/enriched.yaml"

/* The gadget with these arguments; ours is the pid that it watches. Returns its first row. */
static json_t *first_row(struct env *env, struct run **ret_run, const char *const *more) {
        const char *args[16] = { "run",   OBJECT, "--definition", DEFINITION, "--host",
                                 "--pid", NULL,   "-o",           "json" };
        json_t *rows, *row;
        struct run *run;
        char pid[16];
        size_t n = 9;

        snprintf(pid, sizeof(pid), "%d", getpid());
        args[6] = pid;
        for (size_t i = 0; more && more[i]; i++)
                args[n++] = more[i];
        *ret_run = run = env_run_argv(env, args);
        assert_true(WAIT_UNTIL((syscall(SYS_getppid), strchr(run_out(run), '\n')), WAIT_DEFAULT));
        rows = run_rows(run);
        assert_non_null(rows);
        row = json_incref(json_array_get(rows, 0));
        json_decref(rows);
        return row;
}

static void stop(struct run *run, json_t *row) {
        json_decref(row);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
}

static uint64_t own_netns(void) {
        struct stat st;

        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        return st.st_ino;
}

static void test_names(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        row = first_row(env, &run, NULL);
        assert_int_equal(row_int(row, "loopback_ifindex"), 1);
        assert_string_equal(row_str(row, "loopback_ifname"), "lo");
        assert_int_equal(row_int(row, "interface_raw"), 1);
        assert_string_equal(row_str(row, "interface"), "lo");
        assert_int_equal(row_int(row, "nowhere"), 1);
        assert_string_equal(row_str(row, "owner_name"), "root");
        assert_null(row_get(row, "owner_user"));
        assert_int_equal(row_int(row, "team_raw"), 0);
        assert_string_equal(row_str(row, "team"), "root");
        assert_string_equal(row_str(row, "host"), "www.example.com");
        assert_null(row_get(row, "host_raw"));
        assert_string_equal(row_str(row, "plain"), "a\\.b.host");
        assert_string_equal(row_str(row, "garbage"), "ok!...");
        stop(run, row);
        env_stop(env);
}

/* The kernel that runs says what its values are called. */
static void test_kernel_enums(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        row = first_row(env, &run, (const char *[]){ "--filter", "type==PIDTYPE_TGID", NULL });
        assert_int_equal(row_int(row, "type_raw"), 1);
        assert_string_equal(row_str(row, "type"), "PIDTYPE_TGID");
        assert_string_equal(row_str(row, "own"), "MINE");
        assert_string_equal(row_str(row, "flags"), "TTU_SPLIT_HUGE_PMD|TTU_IGNORE_MLOCK");
        stop(run, row);
        env_stop(env);
}

/* Numbers of interfaces mean what they mean in the host's network namespace only. */
static void test_interfaces_of_namespaces(void **state) {
        struct env *env = *state;
        struct run *run;
        char netns[24];
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(netns, sizeof(netns), "%llu", (unsigned long long)own_netns());
        row = first_row(env, &run, (const char *[]){ "--netns", netns, NULL });
        assert_string_equal(row_str(row, "interface"), "lo");
        stop(run, row);
        row = first_row(env, &run, (const char *[]){ "--netns", "1", NULL });
        assert_string_equal(row_str(row, "interface"), "");
        assert_string_equal(row_str(row, "loopback_ifname"), "");
        assert_string_equal(row_str(row, "owner_name"), "root");
        stop(run, row);
        env_stop(env);
}

/* The system call is the outermost thing that a kernel stack has. */
#if defined(__aarch64__)
#define OUTERMOST "el0_svc"
#else
#define OUTERMOST "do_syscall_64; entry_SYSCALL_64_after_hwframe"
#endif

static void test_kernel_stack(void **state) {
        struct env *env = *state;
        const char *stack;
        struct run *run;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        row = first_row(env, &run, NULL);
        stack = row_str(row, "kstack");
        if (!strstr(stack, "; " OUTERMOST) || strstr(stack, "[unknown]"))
                fail_msg("the kernel's stack is '%s'", stack);
        assert_true(row_int(row, "kstack_raw") < 16384);
        assert_string_equal(row_str(row, "lost_kstack"), "[no stack: EEXIST]");
        assert_string_equal(row_str(row, "no_kstack"), "");
        stop(run, row);
        env_stop(env);
}

/* Filters see what rows show. */
static void test_filters(void **state) {
        static const char *const passing[] = { "host==www.example.com", "interface~^l", "kstack~; ",
                                               "owner_name==root" };
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(passing); i++) {
                struct run *run;
                json_t *row =
                        first_row(env, &run, (const char *[]){ "--filter", passing[i], NULL });

                assert_string_equal(row_str(row, "host"), "www.example.com");
                stop(run, row);
        }
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_names),
        ENV_TEST(test_kernel_enums),
        ENV_TEST(test_interfaces_of_namespaces),
        ENV_TEST(test_kernel_stack),
        ENV_TEST(test_filters),
};
TEST_MAIN("gadget-enriched", tests)
