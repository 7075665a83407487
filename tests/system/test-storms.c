/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that come and go faster than anybody can look, and a gadgetd that comes back to those
 * that stayed. With the real gadget-watch. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/box.h"
#include "tests/system/act.h"

#define SHORT_LIVES 500
#define AT_ONCE 25
#define BOXES 60

static int open_path(const void *path) {
        return open(path, O_RDONLY | O_CLOEXEC) < 0 ? 0 : -EEXIST;
}

/* In namespaces of its own for as long as an open() takes; some make more of themselves. */
static pid_t start_short_life(unsigned int i) {
        pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

        if (pid == 0) {
                (void)open_path("/nonexistent/short");
                if (i % 5 == 0 && unshare(CLONE_NEWNS) == 0)
                        (void)open_path("/nonexistent/short");
                _exit(0);
        }
        return pid;
}

static bool is_listed(struct env *env, uint64_t mntns) {
        json_t *list = env_ctl_json(env, "containers", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) found |= row_int(item, "mntns") == (json_int_t)mntns;
        json_decref(list);
        return found;
}

static bool shows(struct run *run, struct box *box, const char *path) {
        assert_int_equal(box_call(box, open_path, path, strlen(path) + 1, NULL), 0);
        return strstr(run_out(run), path) != NULL;
}

/* Nothing ends, nothing is left, and the next container is seen as if nothing had been. */
static void test_storm(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *after = NULL;
        uint64_t gone[BOXES];
        pid_t watch;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_open", "--name", "t", "-o", "json", "--containers", NULL);
        env_wait_state(env, "t", "running");
        watch = env_child(env, run_pid(env->daemon), "gadget-watch");
        assert_true(watch > 0);
        for (unsigned int i = 0; i < SHORT_LIVES; i += AT_ONCE) {
                pid_t pids[AT_ONCE];

                for (unsigned int k = 0; k < AT_ONCE; k++)
                        assert_true((pids[k] = start_short_life(i + k)) > 0);
                for (unsigned int k = 0; k < AT_ONCE; k++)
                        assert_int_equal(wait_child(pids[k], WAIT_DEFAULT, NULL), 0);
        }
        /* With cgroups, which are noticed: some die while they are looked at. */
        for (unsigned int i = 0; i < BOXES; i++) {
                struct box *box;

                assert_int_equal(box_new(&box), 0);
                gone[i] = box_namespace(box, "mnt");
                if (i % 2 == 0)
                        assert_int_equal(box_call(box, open_path, "/nonexistent/box", 17, NULL), 0);
                box_free(box);
        }
        assert_int_equal(box_new(&after), 0);
        assert_true(WAIT_UNTIL(is_listed(env, box_namespace(after, "mnt")), WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(shows(run, after, "/nonexistent/after"), WAIT_DEFAULT));
        for (unsigned int i = 0; i < BOXES; i++)
                if (gone[i] != box_namespace(after, "mnt"))
                        assert_true(WAIT_UNTIL(!is_listed(env, gone[i]), WAIT_DEFAULT));
        assert_int_equal(env_child(env, run_pid(env->daemon), "gadget-watch"), watch);
        env_wait_state(env, "t", "running");
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

/* What ran before gadgetd did is found, each time. */
static void test_restart(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *box = NULL;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&box), 0);
        for (unsigned int i = 0; i < 3; i++) {
                char path[64];

                snprintf(path, sizeof(path), "/nonexistent/restart/%u", i);
                env_start(env, NULL);
                run = env_run(env, "run", "trace_open", "--name", "t", "-o", "json", "--containers",
                              NULL);
                env_wait_state(env, "t", "running");
                /* It was there before the gadget: no first event is missed. */
                assert_int_equal(box_call(box, open_path, path, strlen(path) + 1, NULL), 0);
                (void)run_wait_row(run, "fname", path);
                assert_true(is_listed(env, box_namespace(box, "mnt")));
                env_stop(env);
        }
}

/* The same when gadgetd and gadget-watch are killed: runtimes' starts are not held up, and the next
 * gadgetd goes on. */
static void test_killed(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *box = NULL, *during = NULL;
        struct run *run;
        pid_t watch;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&box), 0);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_open", "--name", "t", "-o", "json", "--containers", NULL);
        env_wait_state(env, "t", "running");
        watch = env_child(env, run_pid(env->daemon), "gadget-watch");
        assert_int_equal(kill(watch, SIGKILL), 0);
        assert_true(WAIT_UNTIL(shows(run, box, "/nonexistent/without"), WAIT_DEFAULT));
        assert_int_equal(box_new(&during), 0);
        assert_true(
                WAIT_UNTIL(env_child(env, run_pid(env->daemon), "gadget-watch") > 0, WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(is_listed(env, box_namespace(during, "mnt")), WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(shows(run, during, "/nonexistent/during"), WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(shows(run, box, "/nonexistent/still"), WAIT_DEFAULT));
        env_stop(env);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                ENV_TEST(test_storm),
                ENV_TEST(test_restart),
                ENV_TEST(test_killed),
        };

        return test_main("storms", tests, ARRAY_SIZE(tests), NULL, NULL);
}
