/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of docs/LIBRARY.md, compiled against the staged installation by pkg-config, and run.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "tests/lib/env.h"

/* Shell with the directory of the examples as $D and the stage's libgadget; "$@" follows. */
static struct run *shell(struct env *env, const char *script, const char *arg1, const char *arg2) {
        static const char prelude[] =
                "D=$0; export PKG_CONFIG_SYSROOT_DIR=" TEST_BUILD_DIR "/stage;"
                "export PKG_CONFIG_PATH=$PKG_CONFIG_SYSROOT_DIR" TEST_LIBDIR "/pkgconfig;"
                "export LD_LIBRARY_PATH=$PKG_CONFIG_SYSROOT_DIR" TEST_LIBDIR ";";
        char text[2048];

        snprintf(text, sizeof(text), "%s export GADGETD_SOCKET=$D/run/gadgetd/gadgetd.sock; %s",
                 prelude, script);
        return env_exec(env, "/bin/sh", "-c", text, env->root, arg1, arg2, NULL);
}

static void extract(struct env *env) {
        struct run *run = env_exec(env, TEST_SOURCE_DIR "/tests/library/extract",
                                   TEST_SOURCE_DIR "/docs/LIBRARY.md", env->root, NULL);

        assert_int_equal(run_exit(run), 0);
        assert_string_equal(run_out(run), "4\n");
}

static void compile(struct env *env, const char *name) {
        struct run *run = shell(env,
                                "cc -Wall -Wextra -Werror -o $D/$1 $D/$1.c "
                                "$(pkg-config --cflags --libs libgadget)",
                                name, NULL);

        if (run_exit(run) != 0)
                run_fail(run, "%s of docs/LIBRARY.md does not compile", name);
}

static void fail_to_open(const char *path) {
        assert_int_equal(open(path, O_RDONLY | O_CLOEXEC), -1);
}

static void test_image(void **state) {
        struct env *env = *state;
        struct run *run;
        char pid[16];

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        extract(env);
        compile(env, "failed-opens");
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        run = shell(env, "exec $D/failed-opens $1 2", pid, NULL);
        run_wait_out(run, "running ");
        fail_to_open("/nonexistent/library-1");
        fail_to_open("/nonexistent/library-2");
        assert_int_equal(run_exit(run), 0);
        assert_non_null(strstr(run_out(run), "\n/nonexistent/library-1: ENOENT (2)\n"
                                             "/nonexistent/library-2: ENOENT (2)\n"));
}

static void test_object(void **state) {
        struct env *env = *state;
        struct run *run;
        char pid[16];

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        extract(env);
        compile(env, "object");
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        run = shell(env, "exec $D/object $1 $2", TEST_OBJECT, pid);
        run_wait_out(run, "running\n");
        fail_to_open("/nonexistent/library");
        assert_int_equal(run_exit(run), 0);
        assert_string_equal(run_out(run), "running\nstopped after rows: yes, lost: 0\n");
}

static void test_python(void **state) {
        struct env *env = *state;
        struct run *run;
        char pid[16];

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        extract(env);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        run = shell(env, "exec /usr/bin/python3 $D/rows.py $1 1", pid, NULL);
        run_wait_out(run, "running\n");
        fail_to_open("/nonexistent/python");
        assert_int_equal(run_exit(run), 0);
        assert_string_equal(run_out(run), "running\n/nonexistent/python 2\n");
}

/* gadgetd is killed, then stopped, which takes the gadget along, and comes back: so does the
 * gadget. Then it does not come back. */
static void test_patience(void **state) {
        struct env *env = *state;
        struct run *run;
        char pid[16];

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        extract(env);
        compile(env, "patient");
        /* The last ten seconds are long for a test. */
        assert_int_equal(run_exit(env_exec(env, "/bin/sed", "-i", "s/, 10000)/, 3000)/",
                                           env_path(env, "/patient.c"), NULL)),
                         0);
        compile(env, "patient");
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        run = shell(env, "exec $D/patient $1", pid, NULL);
        run_wait_out(run, "running\n");
        fail_to_open("/nonexistent/before");
        run_wait_out(run, "/nonexistent/before\n");

        for (int i = 0; i < 2; i++) {
                char name[32];

                if (i == 0) {
                        run_signal(env->daemon, SIGKILL);
                        assert_int_equal(run_exit(env->daemon), 128 + SIGKILL);
                } else {
                        env_stop(env);
                }
                env_start(env, NULL);
                snprintf(name, sizeof(name), "/nonexistent/after-%d", i);
                assert_true(
                        WAIT_UNTIL((fail_to_open(name), strstr(run_out(run), name)), WAIT_DEFAULT));
        }
        assert_non_null(strstr(strstr(run_out(run), "running again, as "), "\n/nonexistent/after"));
        env_stop(env);
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "has not come back"));
}

/* Nobody is chosen: nothing of the host is seen. */
static void test_selection(void **state) {
        struct env *env = *state;
        struct run *run;
        char pid[16];
        json_t *list;

        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        extract(env);
        compile(env, "patient");
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        run = shell(env, "exec $D/patient $1 $2", pid, "no-such-container");
        run_wait_out(run, "running\n");
        fail_to_open("/nonexistent/unseen");
        /* The daemon says so too; by the time it has answered, a row would have come. */
        list = env_ctl_json(env, "list", "-o", "json", NULL);
        assert_int_equal(row_int(json_array_get(list, 0), "rows"), 0);
        json_decref(list);
        assert_string_equal(run_out(run), "running\n");
        run_signal(run, SIGTERM);
        assert_int_equal(run_exit(run), 128 + SIGTERM);
        env_stop(env);
}

/* No gadgetd, an image that is not there, a file that is no object: each is said. */
static void test_errors(void **state) {
        struct env *env = *state;
        struct run *run;

        extract(env);
        compile(env, "failed-opens");
        compile(env, "object");
        run = shell(env, "exec $D/failed-opens 1 1", NULL, NULL);
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "gadgetd.sock"));
        env_start(env, NULL);
        run = shell(env, "exec $D/object /etc/hostname 1", NULL, NULL);
        assert_int_equal(run_exit(run), 1);
        assert_true(strlen(run_err(run)) > strlen("object: \n"));
        run = shell(env, "exec $D/failed-opens not-a-pid 1", NULL, NULL);
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "pid"));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_image, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_object, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_python, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_patience, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_selection, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_errors, env_setup, env_teardown),
};

TEST_MAIN("library", tests)
