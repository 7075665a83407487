/* SPDX-License-Identifier: Apache-2.0 */
/* profile_cpu: a program that does nothing but spin is found spinning. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define PROGRAM TEST_BUILD_DIR "/tests/gadgets/stack-program-pie"
#define SPIN "[0]program_spin; [1]main"
#define SAMPLES_MIN 50 /* half a second of one CPU */

static pid_t start_spinning(void) {
        int fds[2];
        pid_t pid;
        char c;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(fds[1], STDOUT_FILENO);
                execl(PROGRAM, PROGRAM, "spin", NULL);
                _exit(1);
        }
        close(fds[1]);
        assert_int_equal(read(fds[0], &c, 1), 1); /* it has come to main() */
        close(fds[0]);
        return pid;
}

static void end_spinning(pid_t pid) {
        int status;

        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
}

/* Time that the process has had, in ticks. */
static unsigned long ticks_of(pid_t pid) {
        unsigned long user = 0, kernel = 0;
        char path[32], text[512] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_non_null(fgets(text, sizeof(text), f));
        fclose(f);
        assert_int_equal(sscanf(strrchr(text, ')'),
                                ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                                &kernel),
                         2);
        return user + kernel;
}

/* Runs the gadget until the program has had `SAMPLES_MIN` ticks of 10 ms more; its rows. The
 * caller decrefs. */
static json_t *profile(struct env *env, pid_t pid, const char *more) {
        unsigned long begun;
        char text[16];
        struct run *run;
        json_t *rows;

        snprintf(text, sizeof(text), "%d", pid);
        env_ctl(env, 0, "run", "profile_cpu", "--detach", "--name", "p", "--host", "--pid", text,
                more, NULL);
        run = env_run(env, "attach", "p", "-o", "json", NULL);
        begun = ticks_of(pid);
        assert_true(WAIT_UNTIL(ticks_of(pid) - begun >= 2 * SAMPLES_MIN, WAIT_DEFAULT));
        env_ctl(env, 0, "stop", "p", NULL);
        assert_int_equal(run_exit(run), 0);
        rows = json_loads(run_out(run), 0, NULL);
        if (!json_is_array(rows))
                run_fail(run, "no array of rows");
        return rows;
}

static json_int_t count(const json_t *rows, pid_t pid, const char *stack) {
        json_int_t total = 0;
        json_t *row;
        size_t i;

        json_array_foreach(rows, i, row) {
                assert_int_equal(row_int(row, "pid"), pid);
                assert_string_equal(row_str(row, "comm"), "stack-program-p");
                if (!stack || str_after(row_str(row, "ustack.symbols"), stack))
                        total += row_int(row, "samples");
        }
        return total;
}

static void test_spinning(void **state) {
        struct env *env = *state;
        json_int_t all;
        json_t *rows;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        pid = start_spinning();
        rows = profile(env, pid, NULL);
        all = count(rows, pid, NULL);
        assert_true(all >= SAMPLES_MIN);
        assert_true(count(rows, pid, SPIN) > all / 2);
        /* The most frequent stack comes first. */
        assert_non_null(str_after(row_str(json_array_get(rows, 0), "ustack.symbols"), SPIN));
        json_decref(rows);
        end_spinning(pid);
        env_stop(env);
}

static void test_without_user_stacks(void **state) {
        struct env *env = *state;
        json_t *rows, *row;
        pid_t pid;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        pid = start_spinning();
        rows = profile(env, pid, "--kernel-stacks-only");
        assert_true(count(rows, pid, NULL) >= SAMPLES_MIN);
        json_array_foreach(rows, i, row) assert_string_equal(row_str(row, "ustack.symbols"), "");
        /* It was not in the kernel when it was found, mostly. */
        assert_string_equal(row_str(json_array_get(rows, 0), "kstack"), "");
        json_decref(rows);
        end_spinning(pid);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_spinning),
        ENV_TEST(test_without_user_stacks),
};
TEST_MAIN("gadget-profile-cpu", tests)
