/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody dies, in every state: the client hears the cause, the neighbour notices nothing, nothing
 * is left. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/supervisor/bed.h"

/* What gadgetd leaves behind when it is killed becomes our child: init would reap it when it likes.
 */
static bool is_gone(pid_t pid) {
        return waitpid(pid, NULL, WNOHANG) == pid || kill(pid, 0) < 0;
}

static void more_rows(struct peer *peer, const char *instance) {
        assert_int_equal(kill((pid_t)bed_show(peer, instance, "broker_pid"), SIGUSR1), 0);
}

/* A neighbour that must see all of its rows in the end, whatever happens to others. */
struct neighbour {
        struct bed *bed;
        struct peer *peer;
};

static struct neighbour neighbour_new(void) {
        struct neighbour n = { .bed = bed_new() };

        n.peer = bed_peer(n.bed);
        BED_START(n.peer, .name = "neighbour", .params = PARAMS("rows", "500"));
        bed_attach(n.peer, "neighbour", UINT64_MAX);
        return n;
}

static void neighbour_end(struct neighbour *n) {
        more_rows(n->peer, "neighbour");
        assert_true(
                WAIT_UNTIL((bed_show(n->peer, "neighbour", "attached"), n->peer->n_rows == 1000),
                           WAIT_DEFAULT));
        assert_int_equal(bed_remains(n->bed), 1);
        bed_stop(n->peer, "neighbour");
        assert_true(peer_wait_done(n->peer, WAIT_DEFAULT));
        assert_int_equal(n->peer->ledger.delivered, 1000);
        assert_int_equal(n->peer->ledger.lost, 0);
        peer_free(n->peer);
        bed_end(n->bed);
}

/* --- before RUNNING: the answer to instance.run says it --- */

static const struct start_case {
        const char *key;
        const char *value;
        const char *expected;
        const char *detail;
} start_cases[] = {
        { "die", "start", "the broker was lost: killed by SIGKILL", NULL },
        { "fault", "start", "the fake fails as it was told", "second line" },
};

static void test_start(void **state) {
        struct neighbour n;

        (void)state;
        test_needs(NEED_ROOT);
        n = neighbour_new();
        for (size_t i = 0; i < ARRAY_SIZE(start_cases); i++) {
                const struct start_case *c = &start_cases[i];
                struct peer *peer = bed_peer(n.bed);
                struct rpc_error error;

                assert_true(bed_start(peer,
                                      &(struct bed_run){ .name = "victim",
                                                         .detach = true,
                                                         .params = PARAMS(c->key, c->value) },
                                      NULL, &error) < 0);
                assert_string_equal(error.code, "unavailable");
                assert_non_null(strstr(error.message, c->expected));
                if (c->detail)
                        assert_non_null(strstr(error.detail, c->detail));
                assert_false(bed_list(peer, "victim", NULL, 0));
                peer_free(peer);
        }
        neighbour_end(&n);
}

/* --- from RUNNING on: "done" says it --- */

static const struct run_case {
        const char *key;
        const char *value;
        const char *expected;
        bool needs_stop;
} run_cases[] = {
        { "die", "run", "the broker was lost: killed by SIGKILL", false },
        { "fault", "run", "the fake fails as it was told", false },
        { "rogue", "state", "the broker broke the protocol", false },
        { "rogue", "bytes", "the broker broke the protocol", false },
        { "die", "stop", "the broker was lost: killed by SIGKILL", true },
        { "fault", "stop", "the fake fails as it was told", true },
        { "unclean", "1", "the worker was lost: killed by SIGKILL", true },
};

static void test_run(void **state) {
        struct neighbour n;

        (void)state;
        test_needs(NEED_ROOT);
        n = neighbour_new();
        for (size_t i = 0; i < ARRAY_SIZE(run_cases); i++) {
                const struct run_case *c = &run_cases[i];
                struct peer *peer = bed_peer(n.bed);
                struct rpc_error error;
                int r;

                r = bed_start(
                        peer,
                        &(struct bed_run){ .name = "victim",
                                           .detach = true,
                                           .params = PARAMS(c->key, c->value, "rows", "300") },
                        NULL, &error);
                /* A rogue message may overtake the answer. */
                if (r < 0) {
                        assert_string_equal(c->key, "rogue");
                        assert_non_null(strstr(error.message, c->expected));
                        peer_free(peer);
                        continue;
                }
                bed_attach(peer, "victim", UINT64_MAX);
                if (c->needs_stop)
                        bed_stop(peer, "victim");
                assert_true(peer_wait_done(peer, WAIT_DEFAULT));
                assert_string_equal(peer->cause, "failed");
                if (!strstr(peer->done_message, c->expected))
                        fail_msg("%s=%s: '%s'", c->key, c->value, peer->done_message);
                /* What was in the ring when it died is delivered all the same. */
                assert_int_equal(peer->ledger.rows - peer->ledger.skipped,
                                 peer->ledger.delivered + peer->ledger.lost);
                assert_int_equal(peer->n_rows, peer->ledger.delivered);
                (void)peer_call(peer, METHOD_INSTANCE_STOP,
                                &(struct req_instance_ref){ .instance = "victim" }, NULL, NULL);
                assert_false(bed_list(peer, "victim", NULL, 0));
                peer_free(peer);
        }
        neighbour_end(&n);
}

/* --- from outside --- */

static void test_sigkill(void **state) {
        static const char *const victims[] = { "broker_pid", "worker_pid" };
        struct neighbour n;

        (void)state;
        test_needs(NEED_ROOT);
        n = neighbour_new();
        for (size_t i = 0; i < ARRAY_SIZE(victims); i++) {
                struct peer *peer = bed_peer(n.bed);
                pid_t broker, worker;

                BED_START(peer, .name = "victim", .params = PARAMS("rows", "300"));
                bed_attach(peer, "victim", UINT64_MAX);
                assert_true(WAIT_UNTIL((bed_show(peer, "victim", "attached"), peer->n_rows == 300),
                                       WAIT_DEFAULT));
                broker = (pid_t)bed_show(peer, "victim", "broker_pid");
                worker = (pid_t)bed_show(peer, "victim", "worker_pid");
                assert_int_equal(kill((pid_t)bed_show(peer, "victim", victims[i]), SIGKILL), 0);
                if (i ==
                    1) /* the fake does not watch its worker, and says so only when it is stopped */
                        assert_int_equal(kill(broker, SIGTERM), 0);
                assert_true(peer_wait_done(peer, WAIT_DEFAULT));
                assert_string_equal(peer->cause, "failed");
                assert_int_equal(peer->ledger.delivered, 300);
                assert_true(WAIT_UNTIL(is_gone(broker) && is_gone(worker), WAIT_DEFAULT));
                peer_free(peer);
        }
        neighbour_end(&n);
}

/* --- deadlines, logs, signals --- */

static void test_user_timeout(void **state) {
        struct peer *peer;
        struct bed *bed;
        char text[32];

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        BED_START(peer, .name = "victim", .detach = true, .timeout_ns = 200 * NSEC_PER_MSEC,
                  .params = PARAMS("rows", "5"));
        bed_attach(peer, "victim", UINT64_MAX);
        assert_true(peer_wait_done(peer, WAIT_DEFAULT));
        assert_string_equal(peer->cause, "timeout");
        assert_int_equal(peer->ledger.delivered, 5);
        /* It stays to be looked at until somebody removes it. */
        assert_true(bed_list(peer, "victim", text, sizeof(text)));
        assert_string_equal(text, "done");
        assert_int_equal(bed_remains(bed), 0);
        bed_stop(peer, "victim");
        assert_false(bed_list(peer, "victim", NULL, 0));
        peer_free(peer);
        bed_end(bed);
}

static void test_hanging_broker_is_killed(void **state) {
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        BED_START(peer, .name = "victim", .detach = true, .params = PARAMS("hang", "stop"));
        bed_attach(peer, "victim", 0);
        bed_stop(peer, "victim");
        assert_true(peer_wait_done(peer, WAIT_DEFAULT));
        assert_non_null(strstr(peer->done_message, "did not end within"));
        peer_free(peer);
        bed_end(bed);
}

static void test_million_log_records(void **state) {
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        BED_START(peer, .name = "victim", .params = PARAMS("log", "100000"));
        bed_stop(peer, "victim");
        peer_free(peer);
        assert_true(strlen(run_err(bed->daemon)) < 1 << 20);
        assert_null(strchr(run_err(bed->daemon), '\x1b'));
        bed_end(bed);
}

static void test_sigterm_tells_clients(void **state) {
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        BED_START(peer, .name = "victim", .detach = true, .params = PARAMS("rows", "77"));
        bed_attach(peer, "victim", UINT64_MAX);
        run_signal(bed->daemon, SIGTERM);
        assert_true(peer_wait_done(peer, WAIT_DEFAULT));
        assert_string_equal(peer->cause, "shutdown");
        assert_int_equal(peer->ledger.delivered, 77);
        assert_true(peer_wait_closed(peer, WAIT_DEFAULT));
        peer_free(peer);
        bed_end(bed);
}

/* The next gadgetd on the same run directory ends and removes what the killed one left. */
static void test_sweep(void **state) {
        struct peer *peer;
        struct bed *bed;
        pid_t broker, worker;
        char id[65];

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        assert_int_equal(
                bed_start(peer, &(struct bed_run){ .name = "victim", .detach = true }, id, NULL),
                0);
        broker = (pid_t)bed_show(peer, "victim", "broker_pid");
        worker = (pid_t)bed_show(peer, "victim", "worker_pid");
        kill(broker, SIGSTOP); /* it cannot clean up by itself */
        run_signal(bed->daemon, SIGKILL);
        assert_int_equal(run_exit(bed->daemon), 128 + SIGKILL);
        peer_free(peer);
        assert_int_equal(bed_remains(bed), 1);

        bed_restart(bed);
        assert_int_equal(bed_remains(bed), 0);
        assert_true(WAIT_UNTIL(is_gone(broker), WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(is_gone(worker), WAIT_DEFAULT));
        peer = bed_peer(bed);
        assert_false(bed_list(peer, "victim", NULL, 0));
        peer_free(peer);
        bed_end(bed);
}

static void test_second_gadgetd(void **state) {
        struct run *second;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        second = run_new(&(struct run_spec){
                .argv = (const char *const[]){ TEST_GADGETD, "--root", bed->root, NULL },
                .dir = bed->root });
        assert_int_equal(run_exit(second), 1);
        assert_non_null(strstr(run_err(second), "another gadgetd (pid "));
        run_free(second);
        bed_end(bed);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BED_TEST(test_start),
                BED_TEST(test_run),
                BED_TEST(test_sigkill),
                BED_TEST(test_user_timeout),
                BED_TEST(test_hanging_broker_is_killed),
                BED_TEST(test_million_log_records),
                BED_TEST(test_sigterm_tells_clients),
                BED_TEST(test_sweep),
                BED_TEST(test_second_gadgetd),
        };

        prctl(PR_SET_CHILD_SUBREAPER, 1);
        return test_main("supervisor-faults", tests, ARRAY_SIZE(tests), NULL, NULL);
}
