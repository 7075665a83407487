/* SPDX-License-Identifier: Apache-2.0 */
/* What a gadget's author works with: gadgetctl test, and recordings of a real gadget. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/lib/env.h"

/* The tests that our gadgets bring with them. */
static void test_own_gadgets(void **state) {
        static const char *const gadgets[] = { TEST_GADGETS };
        struct env *env = *state;

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(gadgets); i++) {
                char dir[512];
                struct run *run;

                snprintf(dir, sizeof(dir), "%s/gadgets/%s", TEST_SOURCE_DIR, gadgets[i]);
                run = env_ctl(env, 0, "test", dir, gadgets[i], NULL);
                assert_non_null(strstr(run_out(run), "ok   "));
                assert_null(strstr(run_out(run), "FAIL"));
        }
}

static void write_test(struct env *env, const char *text) {
        const char *path = env_path(env, "/g/test/t.yaml");
        int fd;

        mkdir(env_path(env, "/g"), 0755);
        mkdir(env_path(env, "/g/test"), 0755);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static void expect_failure(struct env *env, const char *text, const char *out, const char *err) {
        struct run *run;

        write_test(env, text);
        run = env_ctl(env, 1, "test", env_path(env, "/g"), "trace_open", NULL);
        if (out && !strstr(run_out(run), out))
                run_fail(run, "does not print '%s'", out);
        if (err && !strstr(run_err(run), err))
                run_fail(run, "does not say '%s'", err);
}

/* A test that does not hold fails, and says which line; one that cannot hold says why. */
static void test_failures(void **state) {
        struct env *env = *state;

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        expect_failure(env,
                       "command: [cat, /etc/hostname]\ntimeout: 500ms\nexpect:\n"
                       "- event: { proc.pid: $PID, fname: /never/opened }\n",
                       "     line 4: 0 rows match, one or more expected\n", NULL);
        expect_failure(env,
                       "command: [cat, /etc/hostname, /etc/hostname]\nexpect:\n"
                       "- event: { proc.pid: $PID, fname: /etc/hostname }\n  count: 1\n",
                       "     line 3: 2 rows match, 1 expected\n", NULL);
        expect_failure(env, "command: [cat, /etc/hostname]\nexpect:\n- event: { fnme: /x }\n", NULL,
                       "has no field 'fnme'; did you mean 'fname'?");
        expect_failure(env, "expect:\n- event: { fname: { like: x } }\n", NULL,
                       "matchers are is, not, min, max, matches and contains");
        expect_failure(env, "expected: []\n", NULL, "t.yaml:1:1: only params, command, timeout");
        expect_failure(env, "command: [cat]\n", NULL, "expect is missing");
        expect_failure(env, "command: [/nonexistent/x]\nexpect:\n- event: { fname: /x }\n", NULL,
                       "command '/nonexistent/x': No such file");
        expect_failure(env, "params: { no-such: 1 }\nexpect:\n- event: { fname: /x }\n", NULL,
                       "no-such");
        expect_failure(env, "[", NULL, "t.yaml:");
}

/* The same rows in another form, without root and without gadgetd. */
static void test_record_and_replay(void **state) {
        struct env *env = *state;
        struct run *run, *replayed;
        char pid[16], file[128];

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        snprintf(file, sizeof(file), "%s", env_path(env, "/recording"));
        run = env_run(env, "run", "trace_open", "--pid", pid, "--record", file, "--name", "r", "-o",
                      "json", NULL);
        env_wait_state(env, "r", "running");
        for (int i = 0; i < 3; i++) {
                char path[64];

                snprintf(path, sizeof(path), "/nonexistent/record-%d", i);
                assert_int_equal(open(path, O_RDONLY | O_CLOEXEC), -1);
        }
        run_wait_row(run, "fname", "/nonexistent/record-2");
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        env_stop(env);
        assert_int_equal(chmod(file, 0644), 0);
        assert_int_equal(chmod(env->root, 0755), 0);
        replayed = env_run_as(env, 65534, "replay", file, "-o", "json", NULL);
        assert_int_equal(run_exit(replayed), 0);
        assert_string_equal(run_out(replayed), run_out(run));
        replayed =
                env_run_as(env, 65534, "replay", file, "-o", "csv", "--fields", "fname,error",
                           "--filter", "fname~^/nonexistent/record-[12]", "--sort", "-fname", NULL);
        assert_int_equal(run_exit(replayed), 0);
        assert_string_equal(run_out(replayed), "fname,error\n/nonexistent/record-2,ENOENT\n"
                                               "/nonexistent/record-1,ENOENT\n");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_own_gadgets, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_failures, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_record_and_replay, env_setup, env_teardown),
};

TEST_MAIN("authors", tests)
