/* SPDX-License-Identifier: Apache-2.0 */
/* A gadgetd in a pid namespace of its own, as in a container without the host's: the kernel lets it
 * see no process of the host, and it says so. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/pid-namespace.h"
#include "tests/lib/env.h"

#define TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define NOTE "note: gadgetd runs in a pid namespace of its own"
#define WARNING "gadgetd runs in a pid namespace of its own: snapshots"
#define LISTED "only processes of that namespace are listed"
#define NAMELESS "addresses of programs get no names"

/* gadgetctl with a private gadgetd, both in the namespace. */
static struct run *run_inside(struct env *env, const char *gadget, const char *timeout) {
        struct run *run =
                env_exec(env, "unshare", "--pid", "--fork", "--mount-proc",
                         env_path(env, "%s/gadgetctl", GADGET_BINDIR), "--root", env->root, "run",
                         gadget, "--host", "-o", "json", "--timeout", timeout, NULL);

        assert_int_equal(run_exit(run), 0);
        return run;
}

static void need_host(void) {
        if (!pid_namespace_is_host())
                test_unmet("host-pids", "this is a pid namespace of its own");
}

static bool has_process(const json_t *rows, const char *comm, json_int_t pid) {
        json_t *row;
        size_t i;

        json_array_foreach(rows, i,
                           row) if ((!comm || str_eq(row_str(row, "proc.comm"), comm)) &&
                                    (pid == 0 || row_int(row, "proc.pid") == pid)) return true;
        return false;
}

/* Why no mounted /proc helps: whoever makes an iterator would have to be in the host's namespace,
 * and there is no way up. */
static int try_the_way_up(int host_fd, int host_pidfd) {
        if (pid_namespace_is_host())
                return 1;
        if (setns(host_fd, CLONE_NEWPID) == 0 || errno != EINVAL)
                return 2;
        if (setns(host_pidfd, CLONE_NEWPID) == 0 || errno != EINVAL)
                return 3;
        return 0;
}

static void test_no_way_up(void **state) {
        cleanup_close int fd = -1, pidfd = -1;
        int status = -1;
        pid_t pid;

        (void)state;
        test_needs(NEED_ROOT);
        need_host();
        fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
        pidfd = pidfd_open(getpid(), 0);
        assert_true(fd >= 0 && pidfd >= 0);
        pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWPID) < 0)
                        _exit(10);
                pid = fork();
                if (pid == 0)
                        _exit(try_the_way_up(fd, pidfd));
                waitpid(pid, &status, 0);
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 11);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_snapshot_says_what_it_covers(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        need_host();
        run = run_inside(env, "snapshot_process", "10s");
        assert_non_null(strstr(run_err(run), WARNING));
        assert_non_null(strstr(run_err(run), "hostPID: true"));
        assert_non_null(strstr(run_err(run), NOTE));
        assert_non_null(strstr(run_err(run), LISTED));
        assert_null(strstr(run_err(run), NAMELESS));
        rows = json_loads(run_out(run), 0, NULL);
        assert_true(has_process(rows, "gadget-worker", 0));
        assert_false(has_process(rows, NULL, getpid()));
        json_decref(rows);
}

static void test_stacks_say_what_they_lack(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        need_host();
        run = run_inside(env, "profile_cpu", "100ms");
        assert_non_null(strstr(run_err(run), NAMELESS));
        assert_null(strstr(run_err(run), LISTED));
}

/* What has neither has no note; and in the host's namespace there is nothing to say. */
static void test_others_are_silent(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        need_host();
        run = run_inside(env, "snapshot_socket", "10s");
        assert_non_null(strstr(run_err(run), WARNING));
        assert_null(strstr(run_err(run), NOTE));
        env_start(env, NULL);
        run = env_ctl(env, 0, "run", "snapshot_process", "--host", "-o", "json", NULL);
        assert_null(strstr(run_err(run), "namespace"));
        assert_null(strstr(run_err(env->daemon), "namespace"));
        rows = json_loads(run_out(run), 0, NULL);
        assert_true(has_process(rows, NULL, getpid()));
        json_decref(rows);
        env_stop(env);
}

/* unshare waits for the only child it has, and takes no signal itself. */
static void end_child(struct run *run) {
        char path[64];
        int child = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", run_pid(run), run_pid(run));
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%d", &child), 1);
        fclose(f);
        assert_int_equal(kill(child, SIGTERM), 0);
        assert_int_equal(run_exit(run), 0);
}

/* A daemon's clients are told, too, and by the list of instances. */
static void test_clients_of_a_daemon(void **state) {
        struct env *env = *state;
        struct run *daemon, *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        need_host();
        daemon = env_exec(env, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                          env_path(env, "%s/gadgetd", GADGET_BINDIR), "--root", env->root, NULL);
        run_wait_err(daemon, WARNING);
        run_wait_err(daemon, "gadgetd " GADGET_VERSION " runs on");
        run = env_ctl(env, 0, "run", "--detach", "profile_cpu", "--host", NULL);
        assert_non_null(strstr(run_err(run), NOTE));
        run = env_ctl(env, 0, "list", NULL);
        assert_non_null(strstr(run_out(run), NAMELESS));
        end_child(daemon);
}

static const struct CMUnitTest tests[] = {
        TEST(test_no_way_up),
        TEST(test_snapshot_says_what_it_covers),
        TEST(test_stacks_say_what_they_lack),
        TEST(test_others_are_silent),
        TEST(test_clients_of_a_daemon),
};
TEST_MAIN("pid-namespace", tests)
