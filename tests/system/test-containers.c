/* SPDX-License-Identifier: Apache-2.0 */
/* Real containers by runc: listed, chosen by name, seen from their first exec on. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/env.h"

#define STARTS 200
#define STARTS_WITHOUT 50

/* A bundle whose container executes /nothing. */
static void make_bundle(struct env *env, const char *name, const char *argument) {
        char json[2048], command[1024];
        int n;

        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/%s/rootfs", name), 0755, NULL), 0);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/%s/rootfs/proc", name), 0755, NULL),
                         0);
        snprintf(command, sizeof(command), "cp %s/tests/system/nothing %s", TEST_BUILD_DIR,
                 env_path(env, "/%s/rootfs/nothing", name));
        assert_int_equal(system(command), 0);
        n = snprintf(json, sizeof(json),
                     "{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
                     "\"args\":[\"/nothing\"%s],\"cwd\":\"/\"},\"root\":{\"path\":\"rootfs\"},"
                     "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
                     "\"source\":\"proc\"}],\"linux\":{\"cgroupsPath\":\"/gadget-test-%d\","
                     "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
                     "{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}]}}",
                     argument, getpid());
        assert_int_equal(write_file_atomic(AT_FDCWD, env_path(env, "/%s/config.json", name), json,
                                           (size_t)n, 0644),
                         0);
}

static void runc(struct env *env, const char *verb, const char *bundle, const char *id) {
        char command[1024];
        int r;

        snprintf(command, sizeof(command),
                 "cd %s && runc --root %s %s %s >/dev/null 2>&1 </dev/null",
                 env_path(env, "/%s", bundle), env_path(env, "/runc"), verb, id);
        r = system(command);
        assert_int_equal(r, 0);
}

static uint64_t run_many(struct env *env, unsigned int n, const char *prefix) {
        uint64_t begin = now_ns();

        for (unsigned int i = 0; i < n; i++) {
                char id[32];

                snprintf(id, sizeof(id), "%s-%u", prefix, i);
                runc(env, "run", "once", id);
        }
        return (now_ns() - begin) / n;
}

static bool has_container(struct env *env, const char *name, bool is_listed) {
        json_t *list = env_ctl_json(env, "containers", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) {
                if (!str_eq(row_str(item, "name"), name))
                        continue;
                found = true;
                assert_string_equal(row_str(item, "runtime"), "runc");
                assert_string_equal(row_str(item, "id"), name);
                assert_true(row_int(item, "pid") > 1);
                assert_true(row_int(item, "mntns") > 0);
        }
        json_decref(list);
        return found == is_listed;
}

/* One that was there before gadgetd, and one that comes later. */
static void test_listed(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        make_bundle(env, "stays", ",\"x\"");
        env_start(env, NULL);
        assert_true(has_container(env, "gt-late", false));
        runc(env, "run -d", "stays", "gt-late");
        assert_true(WAIT_UNTIL(has_container(env, "gt-late", true), WAIT_DEFAULT));
        runc(env, "delete -f", "stays", "gt-late");
        assert_true(WAIT_UNTIL(has_container(env, "gt-late", false), WAIT_DEFAULT));
        env_stop(env);
}

/* gadgetd keeps the way into a container as long as that lives, and no longer: its file system
 * could not be unmounted. */
static void test_ways_in(void **state) {
        struct env *env = *state;
        size_t before;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        make_bundle(env, "stays", ",\"x\"");
        env_start(env, "--no-spare", NULL);
        assert_true(has_container(env, "gt-fds", false));
        before = env_daemon_fds(env);
        runc(env, "run -d", "stays", "gt-fds");
        assert_true(WAIT_UNTIL(has_container(env, "gt-fds", true), WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(env_daemon_fds(env) == before + 2, WAIT_DEFAULT));
        runc(env, "delete -f", "stays", "gt-fds");
        assert_true(WAIT_UNTIL(has_container(env, "gt-fds", false), WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(env_daemon_fds(env) == before, WAIT_DEFAULT));
        env_stop(env);
}

static size_t count_rows(struct run *run, const char *prefix) {
        json_t *rows = run_rows(run), *row;
        size_t i, n = 0;

        json_array_foreach(rows, i, row) {
                const char *name = row_str(row, "runtime.containerName");

                if (strncmp(name, prefix, strlen(prefix)) != 0)
                        run_fail(run, "a row of container '%s'", name);
                assert_string_equal(row_str(row, "runtime.runtimeName"), "runc");
                assert_string_equal(row_str(row, "file"), "/nothing");
                n++;
        }
        json_decref(rows);
        return n;
}

/* Each container's first exec is seen, those of others are not, and what has another name in the
 * same namespace id is told apart. */
static void test_first_exec(void **state) {
        struct env *env = *state;
        uint64_t with, without;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        make_bundle(env, "once", "");
        without = run_many(env, STARTS_WITHOUT, "gt-without");
        env_start(env, NULL);
        env_ctl(env, 0, "run", "trace_exec", "-d", "--name", "t", "-c", "gt-with-*", NULL);
        run = env_attach(env, "t");
        with = run_many(env, STARTS, "gt-with");
        run_many(env, 5, "gt-other");
        if (!WAIT_UNTIL(count_rows(run, "gt-with-") >= STARTS, WAIT_DEFAULT))
                run_fail(run, "%zu of %d first execs were seen", count_rows(run, "gt-with-"),
                         STARTS);
        assert_int_equal(count_rows(run, "gt-with-"), STARTS);
        printf("a start takes %llu us without gadgetd, %llu us while a gadget chooses by name\n",
               (unsigned long long)(without / 1000), (unsigned long long)(with / 1000));
        assert_true(with < without + 100 * NSEC_PER_MSEC);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

/* What its owner puts into a bundle holds nothing up: a file past the limit is not read, and the
 * name is the one on the runtime's command line. */
static void test_large_bundle(void **state) {
        const size_t size = LIMIT_OCI_FILE_MAX + 1;
        struct env *env = *state;
        struct run *run;
        char *spaces;
        int fd;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        make_bundle(env, "once", "");
        spaces = malloc(size);
        assert_non_null(spaces);
        memset(spaces, ' ', size);
        fd = open(env_path(env, "/once/config.json"), O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, spaces, size), 0);
        close(fd);
        free(spaces);
        env_start(env, NULL);
        env_ctl(env, 0, "run", "trace_exec", "-d", "--name", "t", "-c", "gt-large-*", NULL);
        run = env_attach(env, "t");
        run_many(env, 3, "gt-large");
        assert_true(WAIT_UNTIL(count_rows(run, "gt-large-") == 3, WAIT_DEFAULT));
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

static void test_wrong_selection(void **state) {
        char names[LIMIT_SELECTION_MAX + 2] = { 0 };
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        memset(names, 'a', sizeof(names) - 1);
        env_ctl(env, 1, "run", "trace_exec", "-c", names, NULL);
        run = env_ctl(env, 1, "run", "trace_exec", "-c", "a,,b", NULL);
        run_wait_err(run, "empty word");
        env_stop(env);
}

#define TEST(_function) cmocka_unit_test_setup_teardown(_function, env_setup, env_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_listed),       TEST(test_ways_in),         TEST(test_first_exec),
                TEST(test_large_bundle), TEST(test_wrong_selection),
        };

        return test_main("containers", tests, ARRAY_SIZE(tests), NULL, NULL);
}
