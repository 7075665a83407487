/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker may send, and everything near it: each request as it should be, cut at every byte,
 * and with every byte changed. The kernel is played by syscall() below, so that handlers run to
 * their end without privileges.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "broker/bpf.h"
#include "broker/broker.h"
#include "tests/lib/needs.h"

/* --- the kernel --- */

static int bpf_calls[64]; /* by command */
static size_t log_size;   /* the verifier says so much, and refuses */

long __wrap_syscall(long nr, ...);
long __real_syscall(long nr, ...);

static int new_fd(void) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Lines that tell where in the log they stand. */
static long refuse_with_log(const union bpf_attr *attr) {
        char *log = (char *)(uintptr_t)attr->log_buf;
        size_t n = MIN(log_size, (size_t)attr->log_size - 1);

        for (size_t i = 0; i < n; i++)
                log[i] = (char)('a' + i % 26);
        log[n] = '\0';
        errno = EACCES;
        return -1;
}

static long play_bpf(enum bpf_cmd cmd, const union bpf_attr *attr) {
        if ((unsigned int)cmd < ARRAY_SIZE(bpf_calls))
                bpf_calls[cmd]++;
        if (cmd == BPF_PROG_LOAD && log_size > 0)
                return refuse_with_log(attr);
        switch ((int)cmd) {
        case BPF_MAP_CREATE:
        case BPF_PROG_LOAD:
        case BPF_BTF_LOAD:
        case BPF_LINK_CREATE:
        case BPF_RAW_TRACEPOINT_OPEN:
        case BPF_ITER_CREATE:
        case BPF_MAP_GET_FD_BY_ID:
                return new_fd();
        default:
                return 0;
        }
}

long __wrap_syscall(long nr, ...) {
        va_list args;
        uint64_t a[6];

        va_start(args, nr);
        for (size_t i = 0; i < ARRAY_SIZE(a); i++)
                a[i] = va_arg(args, uint64_t);
        va_end(args);
        if (nr == SYS_bpf)
                return play_bpf((enum bpf_cmd)a[0], (const union bpf_attr *)(uintptr_t)a[1]);
        if (nr == SYS_perf_event_open)
                return new_fd();
        return __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* --- a broker in the middle of loading --- */

enum { MAP = 1, PROG, BTF, LINK, PERF, ARRAY, FILTER, SOCKET_PROG };

struct bed {
        struct broker *broker;
        int peer_fd;
};

static struct object *add(struct broker *b, enum object_kind kind) {
        struct object *object;
        uint32_t handle;

        assert_int_equal(objects_add(&b->objects, kind, new_fd(), &handle, &object), 0);
        if (kind == OBJECT_PROG) {
                object->prog.permissions = calloc(1, sizeof(struct permissions));
                assert_non_null(object->prog.permissions);
        }
        return object;
}

static struct object *add_map(struct broker *b, uint32_t type, uint32_t value_size) {
        struct object *map = add(b, OBJECT_MAP);

        map->map.type = type;
        map->map.key_size = 4;
        map->map.value_size = value_size;
        map->map.bytes = 100;
        b->map_bytes += 100;
        return map;
}

static void bed_init(struct bed *bed) {
        int fd;

        assert_int_equal(socket_pair(SOCK_SEQPACKET, &bed->peer_fd, &fd), 0);
        assert_int_equal(broker_new(fd, &bed->broker), 0);
        bed->broker->state = BROKER_LOADING;
        bed->broker->n_cpus = 2;
        bed->broker->has_stacks = true;
        add_map(bed->broker, BPF_MAP_TYPE_HASH, 8);
        add(bed->broker, OBJECT_PROG);
        add(bed->broker, OBJECT_BTF);
        add(bed->broker, OBJECT_LINK);
        add(bed->broker, OBJECT_PERF);
        add_map(bed->broker, BPF_MAP_TYPE_PROG_ARRAY, 4);
        add_map(bed->broker, BPF_MAP_TYPE_HASH, 8)->map.is_filter = true;
        add(bed->broker, OBJECT_PROG)->prog.type = BPF_PROG_TYPE_SOCKET_FILTER;
}

static void bed_done(struct bed *bed) {
        broker_free(bed->broker);
        close_fd(&bed->peer_fd);
}

/* --- one good request of each type --- */

#define MESSAGE_MAX 512

struct example {
        struct broker_frame frame;
        uint8_t data[MESSAGE_MAX - sizeof(struct broker_frame)];
} __attribute__((aligned(16)));

static void make(struct example *m, enum broker_type type, const void *body, size_t body_len,
                 const void *payload, size_t payload_len) {
        memset(m, 0, sizeof(*m));
        m->frame = (struct broker_frame){ .type = (uint16_t)type,
                                          .seq = 1,
                                          .total = (uint32_t)(body_len + payload_len) };
        if (body_len > 0)
                memcpy(m->data, body, body_len);
        if (payload_len > 0)
                memcpy(m->data + body_len, payload, payload_len);
}

static const struct bpf_insn insns[] = {
        { .code = BPF_LD | BPF_IMM | BPF_DW, .src_reg = BPF_PSEUDO_MAP_FD, .imm = MAP },
        { 0 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns },
        { .code = BPF_JMP | BPF_EXIT },
};

static void make_prog_load(struct example *m) {
        struct broker_prog_load load = {
                .prog_type = BPF_PROG_TYPE_TRACEPOINT,
                .insn_cnt = ARRAY_SIZE(insns),
                .license_len = 4,
                .log_level = 1,
                .log_size = 4096,
                .btf = BTF,
                .func_info_rec_size = 8,
                .func_info_cnt = 1,
                .name = "prog",
        };
        uint8_t payload[sizeof(insns) + 4 + 8] = { 0 };

        memcpy(payload, insns, sizeof(insns));
        memcpy(payload + sizeof(insns), "GPL", 4);
        make(m, BROKER_PROG_LOAD, &load, sizeof(load), payload, sizeof(payload));
}

static void make_good(struct example *m, enum broker_type type) {
        struct broker_map_create create = { .map_type = BPF_MAP_TYPE_HASH,
                                            .key_size = 4,
                                            .value_size = 8,
                                            .max_entries = 16,
                                            .btf = BTF,
                                            .name = "map" };
        struct broker_map_elem elem = { .map = MAP, .has_key = 1 };
        struct broker_map_batch batch = { .map = MAP, .op = BROKER_BATCH_DELETE, .count = 2 };
        struct broker_pair pair = { .object = MAP };
        struct broker_btf_load btf = { .btf_size = 4, .log_level = 1, .log_size = 100 };
        struct broker_object_info info = { .object = BTF, .info_len = 32 };
        struct broker_link_create link = { .prog = PROG,
                                           .target = PERF,
                                           .attach_type = BPF_PERF_EVENT };
        struct broker_raw_tracepoint raw = { .prog = PROG };
        struct broker_perf_open perf = { .type = PERF_TYPE_SOFTWARE,
                                         .pid = -1,
                                         .config = PERF_COUNT_SW_BPF_OUTPUT };
        struct broker_perf_control control = { .event = PERF,
                                               .op = BROKER_PERF_SET_BPF,
                                               .prog = PROG };
        struct broker_pmu_request pmu = { .pmu = BROKER_PMU_KPROBE };
        struct broker_map_fd map_fd = { .map = MAP };
        struct broker_id_name id_name = { .id = 0 };
        uint64_t address = 0xffffffff81000000;
        struct broker_attach attach = { .prog = SOCKET_PROG };
        struct broker_bpf_other other = { .cmd = BPF_OBJ_GET };
        struct broker_fault fault = { .code = ERROR_INVALID, .message_len = 3 };

        switch (type) {
        case BROKER_MAP_CREATE:
                return make(m, type, &create, sizeof(create), NULL, 0);
        case BROKER_MAP_LOOKUP:
        case BROKER_MAP_LOOKUP_DELETE:
        case BROKER_MAP_DELETE:
        case BROKER_MAP_NEXT_KEY:
                return make(m, type, &elem, sizeof(elem), "key!", 4);
        case BROKER_MAP_UPDATE:
                return make(m, type, &elem, sizeof(elem), "key!value...", 12);
        case BROKER_MAP_BATCH:
                return make(m, type, &batch, sizeof(batch), "key1key2", 8);
        case BROKER_MAP_FREEZE:
        case BROKER_CLOSE:
                return make(m, type, &pair, sizeof(pair), NULL, 0);
        case BROKER_PROG_LOAD:
                return make_prog_load(m);
        case BROKER_PROG_BIND_MAP:
                pair = (struct broker_pair){ PROG, MAP };
                return make(m, type, &pair, sizeof(pair), NULL, 0);
        case BROKER_BTF_LOAD:
                return make(m, type, &btf, sizeof(btf), "BTF!", 4);
        case BROKER_OBJECT_INFO:
                return make(m, type, &info, sizeof(info), NULL, 0);
        case BROKER_LINK_CREATE:
                return make(m, type, &link, sizeof(link), NULL, 0);
        case BROKER_RAW_TRACEPOINT:
                return make(m, type, &raw, sizeof(raw), "sched_switch", 12);
        case BROKER_ATTACH:
                return make(m, type, &attach, sizeof(attach), "lo", 2);
        case BROKER_TARGET:
                return make(m, type, NULL, 0, "/bin/true", 9);
        case BROKER_ITER_CREATE:
                pair.object = LINK;
                return make(m, type, &pair, sizeof(pair), NULL, 0);
        case BROKER_BPF_OTHER:
                return make(m, type, &other, sizeof(other), NULL, 0);
        case BROKER_PERF_OPEN:
                return make(m, type, &perf, sizeof(perf), NULL, 0);
        case BROKER_PERF_CONTROL:
                return make(m, type, &control, sizeof(control), NULL, 0);
        case BROKER_TRACEPOINT_ID:
                return make(m, type, NULL, 0, "sched/sched_switch", 18);
        case BROKER_PMU:
                return make(m, type, &pmu, sizeof(pmu), NULL, 0);
        case BROKER_MAP_FD:
                return make(m, type, &map_fd, sizeof(map_fd), NULL, 0);
        case BROKER_HOOK:
                return make(m, type, NULL, 0, "tracepoint/x/y", 14);
        case BROKER_ID_NAME:
                return make(m, type, &id_name, sizeof(id_name), NULL, 0);
        case BROKER_KERNEL_SYMBOLS:
                return make(m, type, NULL, 0, &address, sizeof(address));
        case BROKER_READY:
                return make(m, type, NULL, 0, "\x80", 1);
        case BROKER_FAULT:
                return make(m, type, &fault, sizeof(fault), "badline one\nline two", 20);
        case BROKER_DONE:
                return make(m, type, NULL, 0, NULL, 0);
        case BROKER_NONE:
        case _BROKER_REQUEST_MAX:
        case BROKER_HELLO:
        case BROKER_START:
        case BROKER_CONTAINER:
        case BROKER_STOP:
                break;
        }
        fail_msg("request %d has no good example here", type);
}

static size_t size_of(const struct example *m) {
        return sizeof(m->frame) + m->frame.total;
}

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

/* Nothing that attaches, loads or creates is left once the gadget runs. */
static void test_running_phase_is_small(void **state) {
        static const enum broker_type late[] = {
                BROKER_MAP_LOOKUP,  BROKER_MAP_LOOKUP_DELETE,
                BROKER_MAP_DELETE,  BROKER_MAP_NEXT_KEY,
                BROKER_MAP_BATCH,   BROKER_OBJECT_INFO,
                BROKER_ITER_CREATE, BROKER_BPF_OTHER,
                BROKER_CLOSE,       BROKER_FAULT,
                BROKER_DONE,        BROKER_ID_NAME,
                BROKER_KERNEL_SYMBOLS,
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
        int updates = bpf_calls[BPF_MAP_UPDATE_ELEM];
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
        assert_int_equal(bpf_calls[BPF_MAP_UPDATE_ELEM], updates);
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
        log_size = kernel;
        assert_int_equal(on_prog_load(bed.broker, &request, &reply, &err), 0);
        log_size = 0;
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
