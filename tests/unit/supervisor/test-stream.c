/* SPDX-License-Identifier: Apache-2.0 */
/* Rows from a ring to clients: nothing missing, nothing twice, every loss counted. */
#include <signal.h>
#include <stdio.h>

#include "ipc/mp.h"
#include "tests/unit/supervisor/bed.h"

static void assert_balanced(const struct peer *peer) {
        assert_false(peer->has_gap);
        assert_int_equal(peer->ledger.delivered, peer->n_rows);
        assert_int_equal(peer->ledger.rows - peer->ledger.skipped,
                         peer->ledger.delivered + peer->ledger.lost);
}

static void more_rows(struct peer *peer, const char *instance) {
        pid_t broker = (pid_t)bed_show(peer, instance, "broker_pid");

        assert_true(broker > 0);
        assert_int_equal(kill(broker, SIGUSR1), 0);
}

/* Everything that was in the ring before attach, then everything that comes, then the end. */
static void test_all_rows(void **state) {
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        BED_START(peer, .name = "the-one", .params = PARAMS("rows", "1000"));
        bed_attach(peer, "the-one", UINT64_MAX);
        more_rows(peer, "the-one");
        assert_true(WAIT_UNTIL((bed_show(peer, "the-one", "attached"), peer->n_rows == 2000),
                               WAIT_DEFAULT));
        bed_stop(peer, "the-one");
        assert_true(peer_wait_done(peer, WAIT_DEFAULT));
        assert_string_equal(peer->cause, "stopped");
        assert_int_equal(peer->ledger.rows, 2000);
        assert_int_equal(peer->ledger.skipped, 0);
        assert_int_equal(peer->ledger.lost, 0);
        assert_balanced(peer);
        peer_free(peer);
        bed_end(bed);
}

/* One client reads nothing while the ring is overwritten many times; its neighbour gets every row.
 */
static void test_slow_client(void **state) {
        struct peer *slow, *quick;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        slow = bed_peer(bed);
        quick = bed_peer(bed);
        BED_START(quick, .name = "the-one", .detach = true, .ring_size = 1 << 20,
                  .params = PARAMS("rows", "3000", "size", "100", "drop", "7"));
        bed_attach(slow, "the-one", UINT64_MAX);
        bed_attach(quick, "the-one", UINT64_MAX);
        for (uint64_t round = 2; round <= 40; round++) {
                more_rows(quick, "the-one");
                /* Answers come behind rows on the same connection, so this also reads them. */
                assert_true(WAIT_UNTIL(
                        (bed_show(quick, "the-one", "attached"), quick->n_rows == round * 3000),
                        WAIT_DEFAULT));
        }
        bed_stop(quick, "the-one");
        assert_true(peer_wait_done(quick, WAIT_DEFAULT));
        assert_int_equal(quick->ledger.rows, 120000);
        assert_int_equal(quick->ledger.delivered, 120000);
        assert_int_equal(quick->ledger.lost, 0);
        assert_int_equal(quick->ledger.dropped_kernel_full, 40 * 7);
        assert_balanced(quick);

        assert_true(peer_wait_done(slow, WAIT_DEFAULT));
        assert_int_equal(slow->ledger.rows, 120000);
        assert_true(slow->ledger.lost > 0);
        assert_true(slow->ledger.lost >= slow->n_lost);
        assert_balanced(slow);
        peer_free(slow);
        peer_free(quick);
        bed_end(bed);
}

static uint64_t count_instances(struct peer *peer) {
        return bed_stat(peer, "instances");
}

/* A client that never reads again keeps nobody waiting, and its instance for the deadline only. */
static void test_stuck_client(void **state) {
        struct peer *stuck, *other;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        stuck = bed_peer(bed);
        other = bed_peer(bed);
        BED_START(other, .name = "the-one", .detach = true,
                  .params = PARAMS("rows", "200000", "size", "100", "wait", "1"));
        bed_attach(stuck, "the-one", UINT64_MAX);
        bed_attach(other, "the-one", UINT64_MAX);
        more_rows(other, "the-one");
        assert_true(WAIT_UNTIL((bed_show(other, "the-one", "attached"), other->next_seq == 200000),
                               WAIT_DEFAULT));
        bed_stop(other, "the-one");
        assert_int_equal(count_instances(other), 1);
        assert_true(WAIT_UNTIL(count_instances(other) == 0, WAIT_DEFAULT));
        assert_true(peer_wait_done(stuck, WAIT_DEFAULT));
        assert_int_equal(stuck->ledger.rows, 200000);
        assert_true(stuck->ledger.lost > 0);
        assert_balanced(stuck);
        peer_free(stuck);
        peer_free(other);
        bed_end(bed);
}

static bool is_in_state(struct peer *peer, const char *name, const char *wanted) {
        char now[32] = "";

        return bed_list(peer, name, now, sizeof(now)) && str_eq(now, wanted);
}

static void test_tail(void **state) {
        struct peer *peers[3];
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
                peers[i] = bed_peer(bed);
        assert_int_equal(bed_start(peers[0],
                                   &(struct bed_run){ .name = "the-one",
                                                      .detach = true,
                                                      .params = PARAMS("rows", "1000", "batch",
                                                                       "10", "end", "run") },
                                   NULL, NULL),
                         0);
        /* Over, and its ring is still there to be read. */
        assert_true(WAIT_UNTIL(is_in_state(peers[0], "the-one", "done"), WAIT_DEFAULT));
        for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
                bed_attach(peers[i], "the-one", (uint64_t[]){ 0, 25, UINT64_MAX }[i]);
        for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
                peers[i]->next_seq = (uint64_t[]){ 1000, 970, 0 }[i];
                assert_true(peer_wait_done(peers[i], WAIT_DEFAULT));
                assert_string_equal(peers[i]->cause, "finished");
                assert_int_equal(peers[i]->n_rows, ((uint64_t[]){ 0, 30, 1000 }[i]));
                assert_balanced(peers[i]);
        }
        bed_stop(peers[0], "the-one");
        for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
                peer_free(peers[i]);
        bed_end(bed);
}

static void test_detach(void **state) {
        struct peer *peer;
        struct bed *bed;
        uint32_t stream;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        BED_START(peer, .name = "the-one", .detach = true, .params = PARAMS("rows", "10"));
        stream = bed_attach(peer, "the-one", 0);
        assert_int_equal(bed_show(peer, "the-one", "attached"), 1);
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_DETACH,
                                   &(struct req_instance_detach){ .stream = stream }, NULL, NULL),
                         0);
        assert_int_equal(bed_show(peer, "the-one", "attached"), 0);
        more_rows(peer, "the-one");
        bed_stop(peer, "the-one");
        assert_int_equal(peer->n_rows, 0);
        assert_false(peer->is_done);
        assert_true(peer_call(peer, METHOD_INSTANCE_DETACH,
                              &(struct req_instance_detach){ .stream = stream }, NULL, NULL) < 0);
        peer_free(peer);
        bed_end(bed);
}

/* Losses are told while the gadget runs, but not more often than once a second. */
static void test_losses_are_told(void **state) {
        struct mp_reader reader;
        struct peer *peer, *other;
        struct bed *bed;
        uint64_t number, begun;
        uint32_t n;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        other = bed_peer(bed);
        BED_START(other, .name = "the-one", .detach = true,
                  .params = PARAMS("rows", "5", "drop", "7", "source", "3", "wait", "1"));
        bed_attach(peer, "the-one", 0);
        begun = now_ns();
        for (uint64_t round = 1; round <= 2; round++) {
                more_rows(other, "the-one");
                reader = mp_reader_of(bed_notification(peer, "losses"));
                assert_int_equal(mp_read_array(&reader, &n), 0);
                assert_int_equal(n, 3);
                assert_int_equal(mp_read_uint(&reader, &number), 0);
                assert_int_equal(mp_read_uint(&reader, &number), 0);
                assert_int_equal(number, 3);
                assert_int_equal(
                        bed_number(BYTES(reader.pos, (size_t)(reader.end - reader.pos)), "rows"),
                        5 * round);
                assert_true(now_ns() - begun >= (round - 1) * NSEC_PER_SEC);
        }
        bed_stop(other, "the-one");
        peer_free(peer);
        peer_free(other);
        bed_end(bed);
}

/* What the ring says is believed by nobody: the instance ends, gadgetd and the others do not. */
static void test_corrupt_ring(void **state) {
        struct peer *peer, *other;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        other = bed_peer(bed);
        BED_START(other, .name = "good", .detach = true, .params = PARAMS("rows", "10"));
        BED_START(peer, .name = "bad", .params = PARAMS("rows", "10", "corrupt", "1"));
        bed_attach(peer, "bad", UINT64_MAX);
        assert_true(peer_wait_done(peer, WAIT_DEFAULT));
        assert_string_equal(peer->cause, "failed");
        assert_non_null(strstr(peer->done_message, "nonsense"));
        bed_attach(other, "good", UINT64_MAX);
        more_rows(other, "good");
        bed_stop(other, "good");
        assert_true(peer_wait_done(other, WAIT_DEFAULT));
        assert_balanced(other);
        peer_free(peer);
        peer_free(other);
        bed_end(bed);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BED_TEST(test_all_rows),        BED_TEST(test_slow_client),
                BED_TEST(test_stuck_client),    BED_TEST(test_tail),
                BED_TEST(test_detach),          BED_TEST(test_corrupt_ring),
                BED_TEST(test_losses_are_told),
        };

        return test_main("supervisor-stream", tests, ARRAY_SIZE(tests), NULL, NULL);
}
