/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker may send, and everything near it: each request as it should be, cut at every byte,
 * and with every byte changed. Handlers run to their end (bed.h).
 */
#include <stdio.h>

#include "tests/unit/broker/bed.h"

static uint32_t phase_of(enum broker_type type) {
        return request_table[type].phases & PHASE_LOADING ? PHASE_LOADING : PHASE_RUNNING;
}

/* Through the decoder and, if it lets the datagram pass, the handler, in a fresh broker. The result
 * of the last of both. */
static int deliver(const struct example *good, size_t len, uint32_t phases, struct error *err) {
        struct assembler assembler = { 0 };
        struct example m = *good;
        struct reply reply = { .fd = -1, .payload = BUF_INIT(1 << 20) };
        struct request request;
        struct bed bed;
        int r;

        *err = (struct error){ 0 };
        r = assemble(&assembler, phases, (uint8_t *)&m, len, &request, err);
        if (r == 1) {
                bed_init(&bed);
                r = request_table[request.type].handler(bed.broker, &request, &reply, err);
                assert_true(r == 0 || err->msg[0]);
                if (reply.is_fd_ours)
                        close_fd(&reply.fd);
                buf_done(&reply.payload);
                bed_done(&bed);
        }
        assembler_done(&assembler);
        return r;
}

static void test_table_is_complete(void **state) {
        for (enum broker_type t = BROKER_NONE + 1; t < _BROKER_REQUEST_MAX; t++) {
                assert_non_null(request_table[t].name);
                assert_non_null(request_table[t].handler);
                assert_true(request_table[t].phases != 0);
        }
}

static void test_good_requests(void **state) {
        for (enum broker_type t = BROKER_NONE + 1; t < _BROKER_REQUEST_MAX; t++) {
                struct example m;
                struct error err;
                int r;

                make_good(&m, t);
                r = deliver(&m, size_of(&m), phase_of(t), &err);
                /* These two are refused whatever they bring: as the broker here is not inspecting,
                 * and always. */
                if (t == BROKER_HOOK || t == BROKER_BPF_OTHER)
                        assert_true(r < 0);
                else if (r != 0)
                        fail_msg("%s: %s", request_table[t].name, err.msg);
        }
}

static void test_every_truncation(void **state) {
        for (enum broker_type t = BROKER_NONE + 1; t < _BROKER_REQUEST_MAX; t++) {
                struct example m;
                struct error err;

                make_good(&m, t);
                for (size_t len = 0; len < size_of(&m); len++) {
                        int r = deliver(&m, len, phase_of(t), &err);

                        if (r != -EPROTO || !err.msg[0])
                                fail_msg("%s cut to %zu bytes: %d", request_table[t].name, len, r);
                }
                /* Cut, and the frame says so: only what has payload to lose may pass. */
                for (size_t len = sizeof(m.frame); len < size_of(&m); len++) {
                        struct example cut = m;

                        cut.frame.total = (uint32_t)(len - sizeof(m.frame));
                        if (deliver(&cut, len, phase_of(t), &err) == 0 &&
                            cut.frame.total < request_table[t].body_size)
                                fail_msg("%s of %zu bytes passed", request_table[t].name, len);
                }
        }
}

static void test_every_mutation(void **state) {
        static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x7f };
        size_t n_passed = 0, n_refused = 0;

        for (enum broker_type t = BROKER_NONE + 1; t < _BROKER_REQUEST_MAX; t++) {
                struct example m;

                make_good(&m, t);
                for (size_t i = 0; i < size_of(&m); i++) {
                        for (size_t f = 0; f < ARRAY_SIZE(flips); f++) {
                                struct example bad = m;
                                struct error err;
                                int r;

                                ((uint8_t *)&bad)[i] ^= flips[f];
                                r = deliver(&bad, size_of(&m), PHASE_LOADING, &err);
                                if (r > 0 || (r < 0 && !err.msg[0]))
                                        fail_msg("%s, byte %zu ^ %02x: %d", request_table[t].name,
                                                 i, flips[f], r);
                                n_passed += r == 0;
                                n_refused += r < 0;
                        }
                }
        }
        assert_true(n_passed > 0);
        assert_true(n_refused > n_passed);
}

static void test_phases(void **state) {
        for (enum broker_type t = BROKER_NONE + 1; t < _BROKER_REQUEST_MAX; t++) {
                uint32_t wrong = (PHASE_LOADING | PHASE_RUNNING) & ~request_table[t].phases;
                struct example m;
                struct error err;

                if (!wrong)
                        continue;
                make_good(&m, t);
                assert_int_equal(deliver(&m, size_of(&m), wrong, &err), -EPROTO);
                assert_non_null(strstr(err.msg, request_table[t].name));
                assert_non_null(strstr(err.msg, "is not allowed"));
        }
}

/* Nothing that attaches, loads or creates is left once the gadget runs, but uprobes, which go where
 * containers are. */
static void test_running_phase_is_small(void **state) {
        static const enum broker_type late[] = {
                BROKER_MAP_LOOKUP,     BROKER_MAP_LOOKUP_DELETE,
                BROKER_MAP_DELETE,     BROKER_MAP_NEXT_KEY,
                BROKER_MAP_BATCH,      BROKER_OBJECT_INFO,
                BROKER_ITER_CREATE,    BROKER_BPF_OTHER,
                BROKER_CLOSE,          BROKER_FAULT,
                BROKER_DONE,           BROKER_ID_NAME,
                BROKER_KERNEL_SYMBOLS, BROKER_PROCESS,
                BROKER_MAPPED_FILE,    BROKER_TARGET,
                BROKER_UPROBE,         BROKER_USDT_SPEC,
        };
        size_t n = 0;

        for (enum broker_type t = BROKER_NONE + 1; t < _BROKER_REQUEST_MAX; t++)
                n += (request_table[t].phases & PHASE_RUNNING) != 0;
        assert_int_equal(n, ARRAY_SIZE(late));
        for (size_t i = 0; i < n; i++)
                assert_true(request_table[late[i]].phases & PHASE_RUNNING);
}

/* --- what handlers make of good requests --- */

static void test_instructions_get_fds(void **state) {
        struct assembler assembler = { 0 };
        struct reply reply = { .fd = -1, .payload = BUF_INIT(1 << 20) };
        const struct bpf_insn *first;
        struct request request;
        struct error err = { 0 };
        struct example m;
        struct bed bed;

        bed_init(&bed);
        make_prog_load(&m);
        assert_int_equal(
                assemble(&assembler, PHASE_LOADING, (uint8_t *)&m, size_of(&m), &request, &err), 1);
        assert_int_equal(on_prog_load(bed.broker, &request, &reply, &err), 0);
        first = (const struct bpf_insn *)(const void *)request.payload;
        assert_int_equal(first->imm, objects_find(&bed.broker->objects, MAP)->fd);
        assert_int_equal(objects_find(&bed.broker->objects, reply.handle)->kind, OBJECT_PROG);
        buf_done(&reply.payload);
        bed_done(&bed);
}

static void test_map_bytes_are_counted(void **state) {
        struct broker_pair pair = { .object = MAP };
        struct request request = { .type = BROKER_CLOSE, .body = &pair };
        struct reply reply = { .fd = -1 };
        struct error err = { 0 };
        uint64_t before;
        struct bed bed;

        bed_init(&bed);
        before = bed.broker->map_bytes;
        assert_int_equal(on_close(bed.broker, &request, &reply, &err), 0);
        assert_int_equal(bed.broker->map_bytes, before - 100);
        assert_null(objects_find(&bed.broker->objects, MAP));
        assert_int_equal(on_close(bed.broker, &request, &reply, &err), -EPROTO);
        bed_done(&bed);
}

static int ask_filter(struct broker *b, enum broker_type type, const void *body, uint8_t *payload,
                      size_t n, struct error *err) {
        struct request request = {
                .type = type, .body = body, .payload = payload, .payload_len = n
        };
        struct reply reply = { .fd = -1, .payload = BUF_INIT(4096) };
        int r = request_table[type].handler(b, &request, &reply, err);

        buf_done(&reply.payload);
        return r;
}

static void test_filter_map_is_the_brokers(void **state) {
        struct broker_map_elem elem = { .map = FILTER, .has_key = 1 };
        struct broker_map_fd writable = { .map = FILTER, .writable = 1 };
        struct broker_pair pair = { .object = FILTER };
        uint8_t payload[12] = { 0 };
        int updates = bed_bpf_calls[BPF_MAP_UPDATE_ELEM];
        struct error err = { 0 };
        struct bed bed;

        bed_init(&bed);
        assert_int_equal(ask_filter(bed.broker, BROKER_MAP_UPDATE, &elem, payload, 12, &err),
                         -EPERM);
        assert_int_equal(ask_filter(bed.broker, BROKER_MAP_DELETE, &elem, payload, 4, &err),
                         -EPERM);
        assert_int_equal(ask_filter(bed.broker, BROKER_MAP_LOOKUP_DELETE, &elem, payload, 4, &err),
                         -EPERM);
        assert_int_equal(ask_filter(bed.broker, BROKER_MAP_FREEZE, &pair, payload, 0, &err),
                         -EPERM);
        assert_int_equal(ask_filter(bed.broker, BROKER_MAP_FD, &writable, payload, 0, &err),
                         -EPERM);
        assert_int_equal(err.code, ERROR_DENIED);
        assert_int_equal(ask_filter(bed.broker, BROKER_MAP_LOOKUP, &elem, payload, 4, &err), 0);
        assert_int_equal(bed_bpf_calls[BPF_MAP_UPDATE_ELEM], updates);
        bed_done(&bed);
}

/* --- limits --- */

static void test_payload_limit(void **state) {
        struct assembler assembler = { 0 };
        struct request request;
        struct error err = { 0 };
        static struct {
                struct broker_frame frame;
                uint8_t chunk[BROKER_CHUNK_MAX];
        } first __attribute__((aligned(16)));

        first.frame = (struct broker_frame){
                .type = BROKER_BTF_LOAD,
                .seq = 1,
                .total = sizeof(struct broker_btf_load) + LIMIT_BROKER_PAYLOAD_MAX,
        };
        assert_int_equal(assemble(&assembler, PHASE_LOADING, (uint8_t *)&first, sizeof(first),
                                  &request, &err),
                         0);
        assembler_done(&assembler);
        first.frame.total++;
        assert_int_equal(assemble(&assembler, PHASE_LOADING, (uint8_t *)&first, sizeof(first),
                                  &request, &err),
                         -EPROTO);
        assert_null(assembler.message);
}

static int create_map(struct broker *b, uint32_t max_entries, struct error *err) {
        struct broker_map_create create = { .map_type = BPF_MAP_TYPE_ARRAY,
                                            .key_size = 4,
                                            .value_size = 8,
                                            .max_entries = max_entries,
                                            .name = "big" };
        struct request request = { .type = BROKER_MAP_CREATE, .body = &create };
        struct reply reply = { .fd = -1 };

        return on_map_create(b, &request, &reply, err);
}

static void test_map_bytes_limit(void **state) {
        struct error err = { 0 };
        struct bed bed;
        uint64_t one;

        bed_init(&bed);
        bed.broker->map_bytes = 0;
        assert_int_equal(create_map(bed.broker, 1024, &err), 0);
        one = bed.broker->map_bytes;
        assert_true(one >= 8192);
        /* Room for one more, to the byte; then for none. */
        bed.broker->map_bytes = LIMIT_MAP_BYTES_MAX - one;
        assert_int_equal(create_map(bed.broker, 1024, &err), 0);
        assert_int_equal(bed.broker->map_bytes, LIMIT_MAP_BYTES_MAX);
        assert_int_equal(create_map(bed.broker, 1, &err), -ENOMEM);
        assert_int_equal(err.code, ERROR_LIMIT);
        assert_non_null(strstr(err.msg, "map 'big' needs"));
        bed.broker->map_bytes = LIMIT_MAP_BYTES_MAX - one + 1;
        assert_int_equal(create_map(bed.broker, 1024, &err), -ENOMEM);
        bed_done(&bed);
}

static void load_with_log(size_t kernel, uint32_t wanted, struct buf *ret_log) {
        struct assembler assembler = { 0 };
        struct reply reply = { .fd = -1, .payload = BUF_INIT(16 << 20) };
        struct request request;
        struct error err = { 0 };
        struct example m;
        struct bed bed;

        bed_init(&bed);
        make_prog_load(&m);
        ((struct broker_prog_load *)(void *)m.data)->log_size = wanted;
        assert_int_equal(
                assemble(&assembler, PHASE_LOADING, (uint8_t *)&m, size_of(&m), &request, &err), 1);
        bed_log_size = kernel;
        assert_int_equal(on_prog_load(bed.broker, &request, &reply, &err), 0);
        bed_log_size = 0;
        assert_int_equal(reply.result, -EACCES);
        *ret_log = reply.payload;
        bed_done(&bed);
}

/* What is too long is cut at its front: the end says why. */
static void test_verifier_log_limit(void **state) {
        size_t kernel = LIMIT_VERIFIER_LOG_MAX + 1000;
        struct buf log;

        load_with_log(kernel, 16 << 20, &log);
        assert_int_equal(log.len, LIMIT_VERIFIER_LOG_MAX);
        for (size_t i = 0; i < log.len; i++)
                assert_int_equal(log.data[i], 'a' + (i + 1000) % 26);
        buf_done(&log);

        load_with_log(500, 101, &log);
        assert_int_equal(log.len, 100);
        assert_int_equal(log.data[99], 'a' + 499 % 26);
        buf_done(&log);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_limit),
        cmocka_unit_test(test_map_bytes_limit),
        cmocka_unit_test(test_verifier_log_limit),
        cmocka_unit_test(test_table_is_complete),
        cmocka_unit_test(test_good_requests),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_mutation),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_running_phase_is_small),
        cmocka_unit_test(test_instructions_get_fds),
        cmocka_unit_test(test_map_bytes_are_counted),
        cmocka_unit_test(test_filter_map_is_the_brokers),
};
TEST_MAIN("broker-request", tests)
