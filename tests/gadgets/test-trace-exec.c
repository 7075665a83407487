/* SPDX-License-Identifier: Apache-2.0 */
/* trace_exec through the whole chain: children that execute what this test tells them to, and every
 * field of their rows. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)

/* Forks a child that executes argv (or fails to) and ends; returns its pid. */
static pid_t spawn(const char *path, const char *const *argv, uid_t uid) {
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (uid &&
                    (setresgid(uid + 1, uid + 1, uid + 1) < 0 || setresuid(uid, uid, uid) < 0))
                        _exit(1);
                execv(path, (char *const *)argv);
                _exit(77);
        }
        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        return pid;
}

static struct run *trace(struct env *env, const char *more) {
        const char *const warm[] = { "true", "warm", NULL };
        struct run *run;

        env_start(env, NULL);
        run = env_run(env, "run", "trace_exec", "-o", "json", more, NULL);
        if (!WAIT_UNTIL(({
                                spawn("/bin/true", warm, 0);
                                if (!run_is_alive(run))
                                        run_fail(run, "ended early");
                                strstr(run_out(run), "warm") != NULL;
                        }),
                        WAIT_DEFAULT))
                run_fail(run, "sees nothing");
        return run;
}

static json_t *row_of(struct run *run, pid_t pid) {
        char text[16];

        snprintf(text, sizeof(text), "%d", pid);
        return run_wait_row(run, "proc.pid", text);
}

/* The arguments of a row are exactly these. */
static void assert_args(const json_t *row, const char *const *argv) {
        const json_t *args = row_get(row, "args");
        size_t n = 0;

        for (; argv[n]; n++)
                assert_string_equal(json_string_value(json_array_get(args, n)), argv[n]);
        assert_int_equal(json_array_size(args), n);
}

static void end(struct env *env, struct run *run) {
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        env_stop(env);
}

static uint32_t own_loginuid(void) {
        uint32_t uid = UINT32_MAX;
        FILE *f = fopen("/proc/self/loginuid", "re");

        if (f && fscanf(f, "%u", &uid) != 1)
                uid = UINT32_MAX;
        if (f)
                fclose(f);
        return uid;
}

static void test_every_field(void **state) {
        const char *const argv[] = { "true", "one", "two words", "", "last", NULL };
        struct env *env = *state;
        uint64_t begun;
        struct stat st;
        struct run *run;
        json_t *row;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        run = trace(env, NULL);
        begun = clock_ns(CLOCK_REALTIME);
        pid = spawn("/bin/true", argv, 4242);
        row = row_of(run, pid);
        assert_string_equal(row_str(row, "proc.comm"), "true");
        assert_int_equal(row_int(row, "proc.tid"), pid);
        assert_int_equal(row_int(row, "proc.creds.uid"), 4242);
        assert_int_equal(row_int(row, "proc.creds.gid"), 4243);
        assert_int_equal(row_int(row, "proc.parent.pid"), getpid());
        assert_string_equal(row_str(row, "proc.parent.comm"), "test-trace-exec");
        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
        assert_int_equal(row_int(row, "proc.mntns_id"), st.st_ino);
        assert_int_equal(row_int(row, "error_raw"), 0);
        assert_string_equal(row_str(row, "error"), "");
        assert_string_equal(row_str(row, "file"), "/bin/true");
        assert_int_equal(row_int(row, "args_size"),
                         sizeof("true") + sizeof("one") + sizeof("two words") + 1 + sizeof("last"));
        assert_int_equal(row_int(row, "loginuid"), own_loginuid());
        assert_true((uint64_t)row_int(row, "timestamp_raw") + 50 * NSEC_PER_MSEC >= begun);
        assert_args(row, argv);
        end(env, run);
}

/* A script's arguments begin with its interpreter, as in /proc/PID/cmdline. */
static void test_script(void **state) {
        struct env *env = *state;
        const char *path;
        struct run *run;
        cleanup_close int dir = -1;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        run = trace(env, NULL);
        dir = open(env->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(write_file_atomic(dir, "script", "#!/bin/sh\nexit 0\n", 17, 0755), 0);
        path = env_path(env, "/script");
        row = row_of(run, spawn(path, (const char *const[]){ path, "argument", NULL }, 0));
        assert_args(row, (const char *const[]){ "/bin/sh", path, "argument", NULL });
        end(env, run);
}

/* Failures are left out, unless asked for. */
static void test_failures(void **state) {
        const char *const argv[] = { "nope", "because", NULL };
        struct env *env = *state;
        struct run *run;
        json_t *row;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        run = trace(env, "--ignore-failed=false");
        pid = spawn("/nonexistent/nope", argv, 0);
        row = row_of(run, pid);
        assert_int_equal(row_int(row, "error_raw"), ENOENT);
        assert_string_equal(row_str(row, "error"), "ENOENT");
        assert_string_equal(row_str(row, "file"), "/nonexistent/nope");
        assert_args(row, argv);
        assert_string_equal(row_str(row, "proc.comm"), "test-trace-exec");
        end(env, run);
}

static void test_failures_are_left_out_by_default(void **state) {
        const char *const nope[] = { "nope", "left-out", NULL }, *const yes[] = { "true",
                                                                                  "comes-after",
                                                                                  NULL };
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        run = trace(env, NULL);
        spawn("/nonexistent/nope", nope, 0);
        row_of(run, spawn("/bin/true", yes, 0));
        assert_null(strstr(run_out(run), "left-out"));
        end(env, run);
}

/* Hundreds of children, each seen once. */
static void test_none_is_missed(void **state) {
        enum { N = 300 };
        struct env *env = *state;
        char text[32];
        struct run *run;
        json_t *rows, *row;
        unsigned int seen = 0;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        run = trace(env, NULL);
        for (unsigned int n = 0; n < N; n++) {
                snprintf(text, sizeof(text), "number-%u-of-many", n);
                spawn("/bin/true", (const char *const[]){ "true", text, NULL }, 0);
        }
        row_of(run, spawn("/bin/true", (const char *const[]){ "true", "end", NULL }, 0));
        rows = run_rows(run);
        json_array_foreach(rows, i, row) {
                const char *arg = json_string_value(json_array_get(row_get(row, "args"), 1));

                seen += arg && strstr(arg, "-of-many") != NULL;
        }
        json_decref(rows);
        assert_int_equal(seen, N);
        end(env, run);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_every_field),    ENV_TEST(test_script),
        ENV_TEST(test_failures),       ENV_TEST(test_failures_are_left_out_by_default),
        ENV_TEST(test_none_is_missed),
};

TEST_MAIN("trace_exec", tests)
