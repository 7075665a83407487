/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what the gadget produced is what was delivered and what was dropped, by reason,
 * exactly, at every hop; and a client that does not read loses its own rows, nobody else's. A child
 * makes a known number of calls, each of which is one event.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/file.h"
#include "gadget/api.h"
#include "ipc/mp.h"
#include "tests/lib/peer.h"
#include "tests/system/act.h"

#define KERNEL_FULL 200000 /* calls, far more than a ring of 4 KiB holds between two looks */
#define BURST 1000

static uint8_t *put_pair(uint8_t *p, const char *key, const char *value) {
        p = mp_put_str(p, key, (uint32_t)strlen(key));
        return mp_put_str(p, value, (uint32_t)strlen(value));
}

/* { "pid": "PID", "perf-buffers": "true" or "false" } */
static struct bytes params(pid_t pid, bool perf_buffers) {
        static uint8_t map[64];
        char text[16];
        uint8_t *p;

        snprintf(text, sizeof(text), "%d", pid);
        p = mp_put_map(map, 2);
        p = put_pair(p, "pid", text);
        p = put_pair(p, "perf-buffers", perf_buffers ? "true" : "false");
        return BYTES(map, p - map);
}

static void start_with(struct peer *peer, const char *object, struct bytes params,
                       uint64_t ring_size) {
        cleanup_buf struct buf data = BUF_INIT(LIMIT_OBJECT_SIZE_MAX);
        struct req_instance_run run = {
                .params = params,
                .name = "flood",
                .detach = true,
                .ring_size = ring_size,
                .host = true,
        };
        struct rpc_error error = { 0 };
        struct rep_instance_run reply;

        assert_int_equal(read_file_at(AT_FDCWD, act_object(object), &data), 0);
        run.object = BYTES(data.data, data.len);
        if (peer_call(peer, METHOD_INSTANCE_RUN, &run, &reply, &error) < 0)
                fail_msg("run %s: %s", object, error.message);
}

static void start(struct peer *peer, const char *object, pid_t pid, uint64_t ring_size) {
        start_with(peer, object, params(pid, false), ring_size);
}

static struct peer *attach(struct env *env) {
        struct peer *peer = peer_new(env_connect(env));
        struct rep_instance_attach reply;

        assert_int_equal(peer_call(peer, METHOD_INSTANCE_ATTACH,
                                   &(struct req_instance_attach){ .instance = "flood" }, &reply,
                                   NULL),
                         0);
        return peer;
}

static void stop(struct peer *peer) {
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_STOP,
                                   &(struct req_instance_ref){ .instance = "flood" }, NULL, NULL),
                         0);
}

/* Everything that one client was told adds up. */
static void assert_balances(const struct peer *peer, uint64_t produced) {
        const struct peer_ledger *ledger = &peer->ledger;

        print_message("produced %llu = rows %llu + dropped %llu (kernel-full %llu); "
                      "rows = skipped %llu + delivered %llu + lost %llu\n",
                      (unsigned long long)produced, (unsigned long long)ledger->rows,
                      (unsigned long long)ledger->dropped,
                      (unsigned long long)ledger->dropped_kernel_full,
                      (unsigned long long)ledger->skipped, (unsigned long long)ledger->delivered,
                      (unsigned long long)ledger->lost);
        assert_int_equal(ledger->rows + ledger->dropped, produced);
        assert_int_equal(ledger->skipped + ledger->delivered + ledger->lost, ledger->rows);
        assert_int_equal(peer->n_rows, ledger->delivered);
        assert_true(peer->n_lost <=
                    ledger->lost); /* the last ones may follow after the last batch */
        assert_false(peer->has_gap);
        assert_string_equal(peer->cause, "stopped");
}

/* The first hop: a ring of 4 KiB in the kernel. */
static void test_full_kernel_ring(void **state) {
        struct env *env = *state;
        struct peer *control, *reader;
        struct act_child child;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_fork(&child);
        control = peer_new(env_connect(env));
        start(control, "ring4k", child.pid, 0);
        reader = attach(env);
        act_flood(&child, KERNEL_FULL);
        stop(control);
        assert_true(peer_wait_done(reader, WAIT_DEFAULT));
        assert_balances(reader, KERNEL_FULL);
        assert_true(reader->ledger.dropped_kernel_full > 0);
        assert_int_equal(reader->ledger.dropped, reader->ledger.dropped_kernel_full);
        peer_free(reader);
        peer_free(control);
        act_end(&child);
        env_stop(env);
}

/* The same where a kernel has no ring buffers: the gadget reserves in memory of its own and sends
 * to a perf buffer of its CPU, which fills up while the worker is stopped. */
static void test_full_perf_buffers(void **state) {
        struct env *env = *state;
        struct peer *control, *reader;
        struct act_child child;
        pid_t broker, worker;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, "--no-spare", NULL);
        act_fork(&child);
        control = peer_new(env_connect(env));
        start_with(control, "ring2m", params(child.pid, true), 0);
        reader = attach(env);
        broker = env_child(env, run_pid(env->daemon), "gadget-broker");
        worker = env_child(env, broker, "gadget-worker");
        assert_true(worker > 0);
        act_flood(&child, BURST);
        assert_true(WAIT_UNTIL((peer_wait_done(reader, 0), reader->n_rows == BURST), WAIT_DEFAULT));
        assert_int_equal(kill(worker, SIGSTOP), 0);
        act_flood(&child, KERNEL_FULL);
        assert_int_equal(kill(worker, SIGCONT), 0);
        stop(control);
        assert_true(peer_wait_done(reader, WAIT_DEFAULT));
        assert_balances(reader, BURST + KERNEL_FULL);
        assert_true(reader->ledger.dropped_kernel_full > KERNEL_FULL / 2);
        assert_int_equal(reader->ledger.dropped, reader->ledger.dropped_kernel_full);
        peer_free(reader);
        peer_free(control);
        act_end(&child);
        env_stop(env);
}

/* The second hop: the smallest event ring (LIMIT_EVENT_RING_MIN), and a client that reads only at
 * the end. */
static void test_overwritten_event_ring(void **state) {
        struct env *env = *state;
        struct peer *control, *reader;
        struct act_child child;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_fork(&child);
        control = peer_new(env_connect(env));
        start(control, "ring2m", child.pid, LIMIT_EVENT_RING_MIN);
        reader = attach(env);
        for (int i = 0; i < 100; i++)
                act_flood(&child, BURST);
        stop(control);
        assert_true(peer_wait_done(reader, WAIT_DEFAULT));
        assert_balances(reader, 100 * BURST);
        assert_true(reader->ledger.lost > 0);
        peer_free(reader);
        peer_free(control);
        act_end(&child);
        env_stop(env);
}

/* Sizes of the event ring outside its limits are refused. */
static void test_ring_size_limits(void **state) {
        const uint64_t wrong[] = { LIMIT_EVENT_RING_MIN / 2, 3 * LIMIT_EVENT_RING_MIN };
        struct env *env = *state;
        struct peer *control;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        control = peer_new(env_connect(env));
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct req_instance_run run = { .image = "trace_open", .ring_size = wrong[i] };
                struct rpc_error error = { 0 };

                assert_int_equal(peer_call(control, METHOD_INSTANCE_RUN, &run, NULL, &error),
                                 -EREMOTEIO);
                assert_non_null(error.message);
                assert_true(strlen(error.message) > 0);
        }
        start(control, "ring4k", getpid(), LIMIT_EVENT_RING_MAX);
        stop(control);
        peer_free(control);
}

/* The third hop: one client is stuck, another reads and must not notice. */
static void test_stuck_client_loses_alone(void **state) {
        struct env *env = *state;
        struct peer *control, *stuck, *reader;
        struct act_child child;
        uint64_t produced = 0;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_fork(&child);
        control = peer_new(env_connect(env));
        start(control, "ring2m", child.pid, 0);
        stuck = attach(env);
        reader = attach(env);
        /* Far more than ring, gadgetd's buffer (LIMIT_CLIENT_BUFFER_MAX) and the socket hold
         * together. */
        for (int i = 0; i < 200; i++, produced += BURST) {
                act_flood(&child, BURST);
                (void)peer_wait_done(reader, 0);
                if (!WAIT_UNTIL(({
                                        (void)peer_wait_done(reader, 0);
                                        reader->next_seq == produced + BURST;
                                }),
                                WAIT_DEFAULT))
                        fail_msg("the reader has %llu of %llu rows",
                                 (unsigned long long)reader->next_seq,
                                 (unsigned long long)(produced + BURST));
        }
        stop(control);
        assert_true(peer_wait_done(reader, WAIT_DEFAULT));
        assert_balances(reader, produced);
        assert_int_equal(reader->ledger.lost, 0);
        assert_int_equal(reader->ledger.dropped, 0);
        assert_true(peer_wait_done(stuck, WAIT_DEFAULT));
        assert_balances(stuck, produced);
        assert_true(stuck->ledger.lost > 0);
        peer_free(stuck);
        peer_free(reader);
        peer_free(control);
        act_end(&child);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_full_kernel_ring),         ENV_TEST(test_full_perf_buffers),
        ENV_TEST(test_overwritten_event_ring),   ENV_TEST(test_ring_size_limits),
        ENV_TEST(test_stuck_client_loses_alone),
};

TEST_MAIN("ledger", tests)
