/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts of containers are held for a moment while a gadget filters, and never longer: not when
 * gadgetd or gadget-watch is killed or stopped, and not by what a container's owner writes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/lib/env.h"

/* Of a start that nothing holds: it takes some 20 ms, on a machine that does more than this. */
#define AT_ONCE (3 * NSEC_PER_SEC)

/* runtime.sh VERB runc DIR ARGUMENTS; returns how long it took. */
static uint64_t runc(struct env *env, const char *verb, const char *arguments) {
        char command[1024];
        uint64_t begin = now_ns();
        int r;

        snprintf(command, sizeof(command), "%s/tests/runtimes/runtime.sh %s runc %s %s",
                 TEST_SOURCE_DIR, verb, env_path(env, "/runc"), arguments);
        r = system(command);
        assert_int_equal(r, 0);
        return now_ns() - begin;
}

static void begin(struct env *env) {
        cleanup_close int fd = -1;
        char yaml[256];
        int n;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        runc(env, "up", TEST_BUILD_DIR "/tests/system/nothing");
        n = snprintf(yaml, sizeof(yaml), "containers:\n  state-roots: [%s]\n",
                     env_path(env, "/states"));
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "%s", GADGET_CONFDIR), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, "gadgetd.yaml", yaml, (size_t)n, 0644), 0);
        env_start(env, "--no-spare", NULL);
}

static struct run *trace(struct env *env) {
        env_ctl(env, 0, "run", "trace_exec", "-d", "--name", "t", "-c", "gt-*", NULL);
        return env_attach(env, "t");
}

static pid_t watcher(struct env *env) {
        return env_child(env, run_pid(env->daemon), "gadget-watch");
}

/* Rows of this container, which must be of its entrypoint. */
static size_t count_rows(struct run *run, const char *name) {
        json_t *rows = run_rows(run), *row;
        size_t i, n = 0;

        json_array_foreach(rows, i, row) {
                if (!str_eq(row_str(row, "runtime.containerName"), name))
                        continue;
                assert_string_equal(row_str(row, "file"), "/nothing");
                n++;
        }
        json_decref(rows);
        return n;
}

static void expect_start(struct env *env, struct run *run, const char *name, const char *how) {
        char arguments[128];

        snprintf(arguments, sizeof(arguments), "%s %s", name, how);
        assert_true(runc(env, "run", arguments) < AT_ONCE);
        if (!WAIT_UNTIL(count_rows(run, name) == 1, WAIT_DEFAULT))
                run_fail(run, "%zu rows of '%s'", count_rows(run, name), name);
}

static bool is_ready(struct env *env, pid_t old) {
        pid_t pid = watcher(env);

        return pid > 0 && pid != old && strstr(run_err(env->daemon), "is started again");
}

/* Nobody answers the kernel while the watcher is stopped, so gadgetd ends it, and starts another
 * one that knows as much. */
static void test_stopped_watcher(void **state) {
        struct env *env = *state;
        struct run *run, *list;
        pid_t old;

        begin(env);
        run = trace(env);
        expect_start(env, run, "gt-before", "");
        old = watcher(env);
        assert_true(old > 0);
        assert_int_equal(kill(old, SIGSTOP), 0);
        assert_true(runc(env, "run", "gt-meanwhile") < AT_ONCE);
        assert_true(WAIT_UNTIL(is_ready(env, old), WAIT_DEFAULT));
        list = env_ctl(env, 0, "containers", NULL); /* answered when it has looked at all */
        assert_true(run_out_size(list) > 0);
        expect_start(env, run, "gt-after", "");
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

static void test_killed(void **state) {
        struct env *env = *state;
        struct run *run;
        pid_t old;

        begin(env);
        run = trace(env);
        expect_start(env, run, "gt-before", "");
        old = watcher(env);
        assert_int_equal(kill(old, SIGKILL), 0);
        assert_true(runc(env, "run", "gt-meanwhile") < AT_ONCE);
        assert_true(WAIT_UNTIL(is_ready(env, old), WAIT_DEFAULT));
        run_signal(env->daemon, SIGKILL);
        assert_true(runc(env, "run", "gt-without") < AT_ONCE);
        assert_int_equal(run_exit(env->daemon), 128 + SIGKILL);
        assert_int_equal(run_exit(run), 3);
        env_start(env, NULL);
        env_wait_state(env, "t", "gone");
        env_stop(env);
}

/* 100 MB, 5000 levels, control characters: the name is that of the command line, and the first exec
 * is seen as ever. */
static void test_hostile_bundles(void **state) {
        struct env *env = *state;
        struct run *run;

        begin(env);
        run = trace(env);
        expect_start(env, run, "gt-large", "large");
        expect_start(env, run, "gt-deep", "deep");
        expect_start(env, run, "gt-rude", "rude");
        expect_start(env, run, "gt-last", "");
        assert_null(strstr(run_out(run), "\\u001b"));
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

static void make_state(struct env *env, const char *name, const char *text, size_t size) {
        cleanup_close int fd = -1;

        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/states/%s", name), 0755, NULL), 0);
        fd = open(env_path(env, "/states/%s/state.json", name), O_WRONLY | O_CREAT | O_CLOEXEC,
                  0644);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

/* The same where states lie: a pipe that nobody writes into, a pid that is not theirs, more of them
 * than there is time for. */
static void test_hostile_states(void **state) {
        static char deep[300000];
        struct env *env = *state;
        struct run *run;
        char name[32];

        begin(env);
        memset(deep, '[', sizeof(deep) - 1);
        make_state(env, "large", "{", 100u << 20);
        make_state(env, "deep", deep, sizeof(deep) - 1);
        make_state(env, "init", "{\"id\":\"gt-init\",\"init_process_pid\":1}", 37);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/states/pipe"), 0755, NULL), 0);
        assert_int_equal(mkfifo(env_path(env, "/states/pipe/state.json"), 0644), 0);
        for (unsigned int i = 0; i < 500; i++) {
                snprintf(name, sizeof(name), "s%u", i);
                make_state(env, name, "{\"id\":\"x\"}", 1000000);
        }
        run = trace(env);
        for (unsigned int i = 0; i < 5; i++) {
                snprintf(name, sizeof(name), "gt-%u", i);
                expect_start(env, run, name, "");
        }
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

/* A file system that never answers where states lie: whoever opens something there sleeps until it
 * is killed. */
static void test_stuck_states(void **state) {
        struct env *env = *state;
        cleanup_close int fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        char options[64];
        struct run *run;

        test_needs(NEED_ROOT);
        if (fuse_fd < 0)
                test_unmet("fuse", strerror(errno));
        begin(env);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/states"), 0755, NULL), 0);
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse_fd);
        assert_int_equal(mount("stuck", env_path(env, "/states"), "fuse", 0, options), 0);
        run = env_run(env, "containers", NULL);
        for (unsigned int i = 0; i < 5; i++)
                assert_true(runc(env, "run", i % 2 ? "gt-odd" : "gt-even") < AT_ONCE);
        assert_int_equal(run_exit(run), 1);
        run_wait_err(env->daemon, "SIGALRM");
        env_stop(env);
        assert_int_equal(umount2(env_path(env, "/states"), MNT_DETACH), 0);
}

#define TEST(_function) cmocka_unit_test_setup_teardown(_function, env_setup, env_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_stopped_watcher), TEST(test_killed),       TEST(test_hostile_bundles),
                TEST(test_hostile_states),  TEST(test_stuck_states),
        };

        return test_main("gate", tests, ARRAY_SIZE(tests), NULL, NULL);
}
