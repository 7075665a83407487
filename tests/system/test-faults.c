/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGKILL to each process in each state of the instance table. The user is told the cause, a
 * neighbour's rows run on without a gap, and (env's teardown) nothing is left: no process, cgroup,
 * mount, BPF program, map or link. States that pass too quickly are held: by a worker or broker
 * that does nothing (STARTING), or by one that is stopped (STOPPING).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "gadget/api.h"
#include "tests/lib/peer.h"
#include "tests/system/act.h"

#define INERT TEST_BUILD_DIR "/tests/system/inert"

struct pids {
        pid_t broker;
        pid_t worker;
};

static struct pids pids_of(struct env *env, const char *name) {
        json_t *shown = act_show(env, name);
        struct pids pids = { .broker = (pid_t)row_int(shown, "broker_pid"),
                             .worker = (pid_t)row_int(shown, "worker_pid") };

        json_decref(shown);
        return pids;
}

/* A second gadget, and a client of it that checks that no row is missing. */
struct neighbour {
        struct peer *peer;
};

static void neighbour_start(struct env *env, struct neighbour *neighbour) {
        struct rep_instance_attach reply;

        act_detach(env, "trace_open", "neighbour", getpid());
        *neighbour = (struct neighbour){ .peer = peer_new(env_connect(env)) };
        assert_int_equal(peer_call(neighbour->peer, METHOD_INSTANCE_ATTACH,
                                   &(struct req_instance_attach){ .instance = "neighbour",
                                                                  .tail = UINT64_MAX },
                                   &reply, NULL),
                         0);
        act_open_numbered("neighbour", 0, 10);
}

/* Ten more opens arrive, and all there ever were are accounted for in one unbroken sequence. */
static void neighbour_check(struct env *env, struct neighbour *neighbour) {
        uint64_t before;

        (void)peer_wait_done(neighbour->peer, 0);
        before = neighbour->peer->n_rows;
        act_open_numbered("neighbour", 10, 10);
        assert_true(WAIT_UNTIL(({
                                       (void)peer_wait_done(neighbour->peer, 0);
                                       neighbour->peer->n_rows >= before + 10;
                               }),
                               WAIT_DEFAULT));
        assert_false(neighbour->peer->has_gap);
        assert_int_equal(neighbour->peer->n_lost, 0);
        env_ctl(env, 0, "stop", "neighbour", NULL);
        assert_true(peer_wait_done(neighbour->peer, WAIT_DEFAULT));
        assert_int_equal(neighbour->peer->ledger.lost + neighbour->peer->ledger.dropped, 0);
        neighbour->peer = peer_free(neighbour->peer);
}

/* A foreground run whose worker or broker dies ends with 1 and says which it was, at once. */
static void kill_while_running(struct env *env, bool is_worker) {
        struct neighbour neighbour;
        struct pids pids;
        struct run *run;
        uint64_t killed;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour_start(env, &neighbour);
        run = env_run(env, "run", "trace_open", "--name", "victim", "-o", "json", NULL);
        act_open_until_row(run, "victim");
        pids = pids_of(env, "victim");
        killed = now_ns();
        assert_int_equal(kill(is_worker ? pids.worker : pids.broker, SIGKILL), 0);
        assert_int_equal(run_exit(run), 1);
        print_message("the user was told after %llu ms\n",
                      (unsigned long long)((now_ns() - killed) / NSEC_PER_MSEC));
        if (!strstr(run_err(run), is_worker ? "worker" : "broker") ||
            !strstr(run_err(run), "SIGKILL"))
                run_fail(run, "the cause is not named");
        env_wait_state(env, "victim", "gone");
        neighbour_check(env, &neighbour);
        env_stop(env);
}

static void test_worker_killed_while_running(void **state) {
        kill_while_running(*state, true);
}

static void test_broker_killed_while_running(void **state) {
        kill_while_running(*state, false);
}

/* A detached instance stays listed as failed, with its cause, until it is removed. */
static void test_killed_detached_instance_says_why(void **state) {
        struct env *env = *state;
        json_t *shown;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_detach(env, "trace_open", "victim", 0);
        assert_int_equal(kill(pids_of(env, "victim").worker, SIGKILL), 0);
        env_wait_state(env, "victim", "failed");
        shown = act_show(env, "victim");
        assert_non_null(strstr(row_str(shown, "message"), "SIGKILL"));
        json_decref(shown);
        env_ctl(env, 0, "stop", "victim", NULL);
        env_wait_state(env, "victim", "gone");
        env_stop(env);
}

/* gadgetd gone: its gadgets end, the client is told (3: the daemon cannot be reached), the next
 * gadgetd starts clean. */
static void test_gadgetd_killed_while_running(void **state) {
        struct env *env = *state;
        struct pids pids;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_open", "--name", "victim", "-o", "json", NULL);
        act_open_until_row(run, "victim");
        act_detach(env, "trace_exec", "detached", 0);
        pids = pids_of(env, "detached");
        run_signal(env->daemon, SIGKILL);
        assert_int_equal(run_exit(env->daemon), 128 + SIGKILL);
        assert_int_equal(run_exit(run), 3);
        assert_true(strlen(run_err(run)) > 0);
        /* The orphans are this test's children now: SIGCHLD's default leaves them as zombies until
         * they are reaped. */
        assert_true(WAIT_UNTIL(waitpid(pids.broker, NULL, WNOHANG) != 0, WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(kill(pids.worker, 0) < 0 || waitpid(pids.worker, NULL, WNOHANG) != 0,
                               WAIT_DEFAULT));
        env_start(env, NULL);
        env_wait_state(env, "detached", "gone");
        env_ctl(env, 0, "run", "trace_open", "--timeout", "200ms", NULL);
        env_stop(env);
}

static bool is_in_state(struct env *env, const char *name, const char *state, bool wants_worker) {
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL), *item;
        bool holds = false;
        size_t i;

        json_array_foreach(list, i, item) {
                if (str_eq(row_str(item, "name"), name))
                        holds = str_eq(row_str(item, "state"), state) &&
                                (!wants_worker || row_int(item, "worker_pid") > 0);
        }
        json_decref(list);
        return holds;
}

enum victim { WORKER, BROKER, GADGETD, STOP };

/* Kills it. Where that was gadgetd, the waiting gadgetctl ends with 3, the next gadgetd starts
 * clean, and nothing is left to look at. */
static bool strike(struct env *env, enum victim victim, struct run *waiting) {
        struct pids pids = pids_of(env, "victim");

        if (victim != GADGETD) {
                assert_int_equal(kill(victim == WORKER ? pids.worker : pids.broker, SIGKILL), 0);
                return true;
        }
        run_signal(env->daemon, SIGKILL);
        assert_int_equal(run_exit(env->daemon), 128 + SIGKILL);
        assert_int_equal(run_exit(waiting), 3);
        env_start(env, NULL);
        env_stop(env);
        return false;
}

/* STARTING is held by a worker that never says anything. */
static void hit_while_starting(struct env *env, enum victim victim) {
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, "--worker", INERT, NULL);
        run = env_run(env, "run", "trace_open", "--name", "victim", NULL);
        assert_true(WAIT_UNTIL(is_in_state(env, "victim", "starting", true), WAIT_DEFAULT));
        if (victim == STOP)
                env_ctl(env, 0, "stop", "victim", NULL);
        else if (!strike(env, victim, run))
                return;
        assert_int_equal(run_exit(run), 1);
        if (victim != STOP && !strstr(run_err(run), "SIGKILL"))
                run_fail(run, "the cause is not named");
        env_wait_state(env, "victim", "gone");
        env_stop(env);
}

static void test_worker_killed_while_starting(void **state) {
        hit_while_starting(*state, WORKER);
}

static void test_broker_killed_while_starting(void **state) {
        hit_while_starting(*state, BROKER);
}

static void test_gadgetd_killed_while_starting(void **state) {
        hit_while_starting(*state, GADGETD);
}

static void test_stopped_while_starting(void **state) {
        hit_while_starting(*state, STOP);
}

/* A broker that never says anything, killed. */
static void test_mute_broker_killed(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, "--broker", INERT, NULL);
        run = env_run(env, "run", "trace_open", "--name", "victim", NULL);
        assert_true(WAIT_UNTIL(is_in_state(env, "victim", "starting", false), WAIT_DEFAULT));
        assert_int_equal(kill(pids_of(env, "victim").broker, SIGKILL), 0);
        assert_int_equal(run_exit(run), 1);
        env_wait_state(env, "victim", "gone");
        env_stop(env);
}

/* STOPPING is held by a worker that is stopped (SIGSTOP) and so cannot drain; with nobody struck,
 * the deadline ends it. */
static void hit_while_stopping(struct env *env, enum victim victim) {
        struct run *stopper;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_detach(env, "trace_open", "victim", 0);
        assert_int_equal(kill(pids_of(env, "victim").worker, SIGSTOP), 0);
        stopper = env_run(env, "stop", "victim", NULL);
        assert_true(WAIT_UNTIL(is_in_state(env, "victim", "stopping", false), WAIT_DEFAULT));
        if (victim != STOP && !strike(env, victim, stopper))
                return;
        assert_int_equal(run_exit(stopper), 0);
        env_ctl(env, 0, "list", NULL);
        env_stop(env);
}

static void test_worker_killed_while_stopping(void **state) {
        hit_while_stopping(*state, WORKER);
}

static void test_broker_killed_while_stopping(void **state) {
        hit_while_stopping(*state, BROKER);
}

static void test_gadgetd_killed_while_stopping(void **state) {
        hit_while_stopping(*state, GADGETD);
}

static void test_stuck_worker_is_killed_at_the_deadline(void **state) {
        hit_while_stopping(*state, STOP);
}

/* gadgetd ends on SIGTERM with gadgets running: they are stopped, clients are told, nothing is
 * left. */
static void test_sigterm_ends_everything(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_detach(env, "trace_exec", "detached", 0);
        run = env_run(env, "run", "trace_open", "-o", "json", NULL);
        act_open_until_row(run, "term");
        env_stop(env);
        assert_in_range(run_exit(run), 0, 3);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_worker_killed_while_running),
        ENV_TEST(test_broker_killed_while_running),
        ENV_TEST(test_killed_detached_instance_says_why),
        ENV_TEST(test_gadgetd_killed_while_running),
        ENV_TEST(test_worker_killed_while_starting),
        ENV_TEST(test_broker_killed_while_starting),
        ENV_TEST(test_gadgetd_killed_while_starting),
        ENV_TEST(test_stopped_while_starting),
        ENV_TEST(test_mute_broker_killed),
        ENV_TEST(test_worker_killed_while_stopping),
        ENV_TEST(test_broker_killed_while_stopping),
        ENV_TEST(test_gadgetd_killed_while_stopping),
        ENV_TEST(test_stuck_worker_is_killed_at_the_deadline),
        ENV_TEST(test_sigterm_ends_everything),
};

TEST_MAIN("faults", tests)
