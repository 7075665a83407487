/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker and worker that wait for the next run: confined before they have seen a gadget, taken
 * by a run, replaced after it, and missed by nobody when they die. env's teardown looks for what is
 * left of them.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/file.h"
#include "ipc/mp.h"
#include "tests/lib/peer.h"
#include "tests/system/act.h"

struct pids {
        pid_t broker;
        pid_t worker;
};

/* What daemon.stats says; 0 = there is none yet. */
static pid_t spare_pid(struct env *env) {
        struct peer *peer = peer_new(env_connect(env));
        struct rep_object reply;
        struct mp_reader reader;
        uint64_t pid = 0;
        uint32_t n;

        assert_int_equal(peer_call(peer, METHOD_DAEMON_STATS, NULL, &reply, NULL), 0);
        reader = mp_reader_of(reply.object);
        assert_int_equal(mp_read_map(&reader, &n), 0);
        for (; n > 0 && pid == 0; n--) {
                struct bytes key;

                assert_int_equal(mp_read_str(&reader, &key), 0);
                if (bytes_eq(key, "spare_pid"))
                        assert_int_equal(mp_read_uint(&reader, &pid), 0);
                else
                        assert_int_equal(mp_skip(&reader), 0);
        }
        peer_free(peer);
        return (pid_t)pid;
}

static struct pids wait_spare(struct env *env) {
        struct pids pids = { 0 };

        if (!WAIT_UNTIL((pids.broker = spare_pid(env)) > 0, WAIT_DEFAULT))
                run_fail(env->daemon, "no spare comes");
        /* It is called so from its exec on, which PREPARED does not wait for. */
        assert_true(WAIT_UNTIL((pids.worker = env_child(env, pids.broker, "gadget-worker")) > 0,
                               WAIT_DEFAULT));
        return pids;
}

static struct env *start(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        return env;
}

static pid_t broker_of(struct env *env, const char *name) {
        json_t *shown = act_show(env, name);
        pid_t pid = (pid_t)row_int(shown, "broker_pid");

        json_decref(shown);
        return pid;
}

static void run_once(struct env *env, const char *name, pid_t *ret_broker) {
        struct run *run = env_run(env, "run", "trace_open", "--name", name, "-o", "json", NULL);

        act_open_until_row(run, name);
        *ret_broker = broker_of(env, name);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
}

static void test_run_takes_it(void **state) {
        struct env *env = start(state);
        struct pids spare = wait_spare(env);
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL);
        pid_t broker;

        assert_int_equal(json_array_size(list), 0);
        json_decref(list);
        run_once(env, "first", &broker);
        assert_int_equal(broker, spare.broker);
        assert_true(wait_spare(env).broker != spare.broker);
        env_stop(env);
}

/* The second comes before there is another. */
static void test_two_at_once(void **state) {
        struct env *env = start(state);
        struct pids spare = wait_spare(env);
        struct run *a, *b;

        a = env_run(env, "run", "trace_open", "--name", "a", "-o", "json", NULL);
        b = env_run(env, "run", "trace_open", "--name", "b", "-o", "json", NULL);
        act_open_until_row(a, "a");
        act_open_until_row(b, "b");
        assert_true((broker_of(env, "a") == spare.broker) != (broker_of(env, "b") == spare.broker));
        env_ctl(env, 0, "stop", "a", NULL);
        env_ctl(env, 0, "stop", "b", NULL);
        env_stop(env);
}

static void read_proc(pid_t pid, const char *name, char *text, size_t n) {
        cleanup_buf struct buf buf = BUF_INIT(n - 1);
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        assert_true(read_file_at(AT_FDCWD, path, &buf) >= 0);
        memcpy(text, buf.data, buf.len);
        text[buf.len] = '\0';
}

/* What a worker may never do it may not do while it waits either. */
static void test_is_confined(void **state) {
        static const char *const lines[] = { "\nCapBnd:\t0000000000000000\n",
                                             "\nCapEff:\t0000000000000000\n", "\nNoNewPrivs:\t1\n",
                                             "\nSeccomp:\t2\n" };
        struct env *env = start(state);
        struct pids spare = wait_spare(env);
        char text[16384];

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                assert_true(WAIT_UNTIL((read_proc(spare.worker, "status", text, sizeof(text)),
                                        strstr(text, lines[i])),
                                       WAIT_DEFAULT));
        assert_null(strstr(text, "\nUid:\t0\t"));
        read_proc(spare.worker, "cgroup", text, sizeof(text));
        assert_non_null(strstr(text, "/gadgetd/"));
        assert_non_null(strstr(text, "/worker\n"));
        read_proc(spare.worker, "maps", text, sizeof(text));
        assert_null(strstr(text, "memfd:"));
        env_stop(env);
}

static void kill_spare(void **state, bool is_worker) {
        struct env *env = start(state);
        struct pids spare = wait_spare(env);
        pid_t broker;

        assert_int_equal(kill(is_worker ? spare.worker : spare.broker, SIGKILL), 0);
        assert_true(WAIT_UNTIL(spare_pid(env) != spare.broker, WAIT_DEFAULT));
        run_once(env, "next", &broker);
        assert_true(broker != spare.broker);
        assert_true(wait_spare(env).broker != spare.broker);
        assert_true(kill(spare.worker, 0) < 0 && kill(spare.broker, 0) < 0);
        env_stop(env);
}

static void test_worker_killed(void **state) {
        kill_spare(state, true);
}

static void test_broker_killed(void **state) {
        kill_spare(state, false);
}

/* Nobody is left who would clean up after it: it does so itself. */
static void test_gadgetd_killed(void **state) {
        struct env *env = start(state);
        struct pids spare = wait_spare(env);

        run_signal(env->daemon, SIGKILL);
        assert_int_equal(run_exit(env->daemon), 128 + SIGKILL);
        /* We are their reaper now. */
        assert_true(WAIT_UNTIL(waitpid(spare.broker, NULL, WNOHANG) != 0, WAIT_DEFAULT));
        assert_true(
                WAIT_UNTIL(kill(spare.worker, 0) < 0 || waitpid(spare.worker, NULL, WNOHANG) != 0,
                           WAIT_DEFAULT));
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_run_takes_it),  ENV_TEST(test_two_at_once),   ENV_TEST(test_is_confined),
        ENV_TEST(test_worker_killed), ENV_TEST(test_broker_killed), ENV_TEST(test_gadgetd_killed),
};

TEST_MAIN("spare", tests)
