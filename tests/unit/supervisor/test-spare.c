/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that is ready before anybody asks: who gets it, and what happens when it is not there
 * when it is wanted. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/supervisor/bed.h"

static pid_t spare_of(struct peer *peer) {
        return (pid_t)bed_stat(peer, "spare_pid");
}

static pid_t wait_spare(struct peer *peer) {
        pid_t pid = 0;

        assert_true(WAIT_UNTIL((pid = spare_of(peer)) > 0, WAIT_DEFAULT));
        return pid;
}

static void start(struct peer *peer, const char *name, uint64_t ring_size, char *ret_id) {
        struct rpc_error error;

        if (bed_start(peer,
                      &(struct bed_run){ .name = name,
                                         .detach = true,
                                         .ring_size = ring_size,
                                         .params = PARAMS("rows", "10") },
                      ret_id, &error) < 0)
                fail_msg("'%s' does not run: %s", name, error.message);
}

static void stop(struct peer *peer, const char *name) {
        bed_stop(peer, name);
}

static pid_t broker_of(struct peer *peer, const char *name) {
        return (pid_t)bed_show(peer, name, "broker_pid");
}

static struct bed *setup(struct peer **ret_peer) {
        struct bed *bed;

        test_needs(NEED_ROOT);
        bed = bed_new_spare(true);
        *ret_peer = bed_peer(bed);
        return bed;
}

static void teardown(struct bed *bed, struct peer *peer) {
        peer_free(peer);
        bed_end(bed);
}

/* The run has it, with rows and limits like any other; nothing is listed before, and another one
 * follows. */
static void test_run_takes_it(void **state) {
        struct peer *peer;
        struct bed *bed = setup(&peer);
        pid_t spare = wait_spare(peer);

        assert_int_equal(bed_stat(peer, "instances"), 0);
        assert_int_equal(bed_remains(bed), 1);
        start(peer, "first", 0, NULL);
        assert_int_equal(broker_of(peer, "first"), spare);
        assert_true(bed_show(peer, "first", "worker_uid") > 0);
        bed_attach(peer, "first", UINT64_MAX);
        assert_true(WAIT_UNTIL((bed_show(peer, "first", "attached"), peer->n_rows == 10),
                               WAIT_DEFAULT));
        assert_true(wait_spare(peer) != spare);
        stop(peer, "first");
        teardown(bed, peer);
}

static void test_two_at_once(void **state) {
        struct peer *peer;
        struct bed *bed = setup(&peer);
        pid_t spare = wait_spare(peer);
        char a[65], b[65];

        start(peer, "a", 0, a);
        start(peer, "b", 0, b);
        assert_int_equal(broker_of(peer, "a"), spare);
        assert_true(broker_of(peer, "b") != spare);
        assert_string_not_equal(a, b);
        stop(peer, "a");
        stop(peer, "b");
        teardown(bed, peer);
}

static void test_another_ring(void **state) {
        struct peer *peer;
        struct bed *bed = setup(&peer);
        pid_t spare = wait_spare(peer);

        start(peer, "large", LIMIT_EVENT_RING_MAX, NULL);
        assert_int_equal(broker_of(peer, "large"), spare);
        assert_int_equal(bed_show(peer, "large", "ring_size"), LIMIT_EVENT_RING_MAX);
        stop(peer, "large");
        teardown(bed, peer);
}

/* What cannot start does not use it up. */
static void test_unknown_image(void **state) {
        struct peer *peer;
        struct bed *bed = setup(&peer);
        pid_t spare = wait_spare(peer);

        assert_true(peer_call(peer, METHOD_INSTANCE_RUN,
                              &(struct req_instance_run){ .image = "nobody_made_this" }, NULL,
                              NULL) < 0);
        assert_int_equal(spare_of(peer), spare);
        start(peer, "next", 0, NULL);
        assert_int_equal(broker_of(peer, "next"), spare);
        stop(peer, "next");
        teardown(bed, peer);
}

/* Nobody notices: the next run starts its own, and a new spare comes. */
static void test_killed(void **state) {
        struct peer *peer;
        struct bed *bed = setup(&peer);
        pid_t spare = wait_spare(peer);

        assert_int_equal(kill(spare, SIGKILL), 0);
        assert_true(WAIT_UNTIL(kill(spare, 0) < 0, WAIT_DEFAULT));
        start(peer, "next", 0, NULL);
        assert_true(broker_of(peer, "next") != spare);
        assert_true(wait_spare(peer) != spare);
        assert_int_equal(bed_remains(bed), 2);
        stop(peer, "next");
        teardown(bed, peer);
}

/* It is not asked to end, so that one that cannot hear does not hold up the end. */
static void test_end_with_a_stopped_one(void **state) {
        struct peer *peer;
        struct bed *bed = setup(&peer);
        uint64_t begun;

        assert_int_equal(kill(wait_spare(peer), SIGSTOP), 0);
        peer_free(peer);
        begun = now_ns();
        bed_end(bed);
        assert_true(now_ns() - begun < 5 * NSEC_PER_SEC);
}

static bool is_gone(pid_t pid) {
        return waitpid(pid, NULL, WNOHANG) == pid || kill(pid, 0) < 0;
}

static void test_sweep(void **state) {
        struct peer *peer;
        struct bed *bed = setup(&peer);
        pid_t spare = wait_spare(peer);

        assert_int_equal(kill(spare, SIGSTOP), 0);
        run_signal(bed->daemon, SIGKILL);
        assert_int_equal(run_exit(bed->daemon), 128 + SIGKILL);
        peer_free(peer);
        bed->has_spare = false;
        bed_restart(bed);
        assert_int_equal(bed_remains(bed), 0);
        assert_true(WAIT_UNTIL(is_gone(spare), WAIT_DEFAULT));
        bed_end(bed);
}

/* One that cannot be made is tried again, and says why once; runs say it themselves. */
static void test_no_broker(void **state) {
        struct rpc_error error;
        struct peer *peer;
        struct bed *bed;
        struct run *daemon;

        test_needs(NEED_ROOT);
        bed = bed_new();
        run_signal(bed->daemon, SIGTERM);
        assert_int_equal(run_exit(bed->daemon), 0);
        daemon = run_new(&(struct run_spec){
                .argv = (const char *const[]){ TEST_GADGETD, "--root", bed->root, "--broker",
                                               "/nonexistent/broker", NULL },
                .dir = bed->root });
        run_free(bed->daemon);
        bed->daemon = daemon;
        assert_true(WAIT_UNTIL(strstr(run_err(daemon), "no worker is kept ready"), WAIT_DEFAULT));
        peer = bed_peer(bed);
        assert_int_equal(spare_of(peer), 0);
        assert_true(bed_start(peer, &(struct bed_run){ .name = "x" }, NULL, &error) < 0);
        assert_non_null(strstr(error.message, "/nonexistent/broker"));
        teardown(bed, peer);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BED_TEST(test_run_takes_it), BED_TEST(test_two_at_once),
                BED_TEST(test_another_ring), BED_TEST(test_unknown_image),
                BED_TEST(test_killed),       BED_TEST(test_end_with_a_stopped_one),
                BED_TEST(test_sweep),        BED_TEST(test_no_broker),
        };

        prctl(PR_SET_CHILD_SUBREAPER, 1);
        return test_main("supervisor-spare", tests, ARRAY_SIZE(tests), NULL, NULL);
}
