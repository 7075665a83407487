/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C at any point of a command's life: it ends in order, and says nothing of what the user
 * knows. */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "tests/system/act.h"

/* How far apart the points of a start are that are tried, and how many. */
#define STEP_NS (4 * NSEC_PER_MSEC)
#define STEPS 30

/* 0: the signal was taken as the wish to end. 128 + SIGINT: it came before gadgetctl could hear
 * it. */
static void assert_ended(struct run *run, unsigned int step) {
        int code = run_exit(run);

        if ((code != 0 && code != 128 + SIGINT) || run_err(run)[0] != '\0')
                run_fail(run, "SIGINT after %u steps: exit %d", step, code);
}

static void interrupt_everywhere(struct env *env, const char *gadget, uint64_t step_ns) {
        for (unsigned int step = 0; step < STEPS; step++) {
                struct timespec delay = { .tv_nsec = (long)(step * step_ns) };
                struct run *run = env_run(env, "run", gadget, "-o", "json", NULL);

                /* Not to wait for anything: to be somewhere else each time. */
                nanosleep(&delay, NULL);
                run_signal(run, SIGINT);
                assert_ended(run, step);
        }
}

static void test_run(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        interrupt_everywhere(env, "trace_open", STEP_NS);
        env_stop(env);
}

static void test_run_with_private_daemon(void **state) {
        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        interrupt_everywhere(*state, "trace_open", STEP_NS);
}

/* The compiler is interrupted as well. */
static void test_run_directory(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        interrupt_everywhere(env, TEST_SOURCE_DIR "/gadgets/trace_open", 3 * STEP_NS);
        env_stop(env);
}

/* Other commands did not do what they were for: not 0. */
static void test_build(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        for (unsigned int step = 0; step < 20; step++) {
                struct timespec delay = { .tv_nsec = (long)(step * STEP_NS) };
                struct run *run = env_run(env, "build", TEST_SOURCE_DIR "/gadgets/trace_open", "-t",
                                          "interrupted", NULL);

                nanosleep(&delay, NULL);
                run_signal(run, SIGINT);
                assert_int_equal(run_exit(run), 128 + SIGINT);
                assert_string_equal(run_err(run), "");
        }
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_run),
        ENV_TEST(test_run_with_private_daemon),
        ENV_TEST(test_run_directory),
        ENV_TEST(test_build),
};

TEST_MAIN("interrupt", tests)
