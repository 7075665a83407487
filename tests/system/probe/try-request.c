/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts on the broker by messages: frames that are none, handles that are not its own, requests
 * that no gadget makes. */
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/log.h"
#include "tests/system/probe/probe.h"

static struct broker_map_create hash_map(const char *name) {
        struct broker_map_create create = {
                .map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 4
        };

        snprintf(create.name, sizeof(create.name), "%.15s", name);
        return create;
}

/* A good map, before the bad request. Its handle is 1: the first one. */
static uint32_t make_map_of(const struct broker_map_create *create) {
        if (wire_call(BROKER_MAP_CREATE, create, sizeof(*create), NULL, 0) < 0)
                _exit(96);
        return wire_handle();
}

static uint32_t make_map(const char *name) {
        struct broker_map_create create = hash_map(name);

        return make_map_of(&create);
}

static const struct bpf_insn nothing[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
        { .code = BPF_JMP | BPF_EXIT },
};

static struct broker_prog_load program(uint32_t type) {
        struct broker_prog_load load = { .prog_type = type,
                                         .insn_cnt = ARRAY_SIZE(nothing),
                                         .license_len = 4 };

        snprintf(load.name, sizeof(load.name), "probe");
        return load;
}

static int load_insns(struct broker_prog_load *load, const struct bpf_insn *insns, size_t n) {
        uint8_t payload[16 * sizeof(*insns) + 4];

        memcpy(payload, insns, n * sizeof(*insns));
        memcpy(payload + n * sizeof(*insns), "GPL", 4);
        load->insn_cnt = (uint32_t)n;
        return wire_call(BROKER_PROG_LOAD, load, sizeof(*load), payload, n * sizeof(*insns) + 4);
}

static int load_of(uint32_t type, uint32_t attach_type) {
        struct broker_prog_load load = program(type);

        load.expected_attach_type = attach_type;
        return load_insns(&load, nothing, ARRAY_SIZE(nothing));
}

static uint32_t make_program(uint32_t type) {
        if (load_of(type, 0) < 0)
                _exit(95);
        return wire_handle();
}

static int call_helper(int id) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);
        const struct bpf_insn insns[] = {
                { .code = BPF_JMP | BPF_CALL, .imm = id },
                { .code = BPF_JMP | BPF_EXIT },
        };

        return load_insns(&load, insns, ARRAY_SIZE(insns));
}

static void be_ready(void) {
        if (wire_call(BROKER_READY, NULL, 0, "\x80", 1) < 0)
                _exit(94);
}

static int pair(enum broker_type type, uint32_t object, uint32_t other) {
        struct broker_pair p = { object, other };

        return wire_call(type, &p, sizeof(p), NULL, 0);
}

/* --- frames --- */

int try_send_short_frame(void) {
        wire_send("half a frame", 12);
        return wire_await();
}

int try_send_empty_frame(void) {
        wire_send("", 1);
        return wire_await();
}

int try_send_unknown_type(void) {
        wire_chunk(777, 1, 0, 0, NULL, 0);
        return wire_await();
}

int try_send_type_none(void) {
        wire_chunk(BROKER_NONE, 1, 0, 0, NULL, 0);
        return wire_await();
}

int try_send_broker_type(void) {
        wire_chunk(BROKER_START, 1, 0, 0, NULL, 0);
        return wire_await();
}

int try_send_reserved_bits(void) {
        struct {
                struct broker_frame frame;
                struct broker_map_create create;
        } m = { { .type = BROKER_MAP_CREATE, .reserved = 1, .seq = 1, .total = sizeof(m.create) },
                hash_map("x") };

        wire_send(&m, sizeof(m));
        return wire_await();
}

int try_send_replay(void) {
        static const char name[] = "sched/sched_switch";

        (void)wire_call(BROKER_TRACEPOINT_ID, NULL, 0, name, strlen(name));
        wire_chunk(BROKER_TRACEPOINT_ID, 1, sizeof(name) - 1, 0, name, sizeof(name) - 1);
        return wire_await();
}

int try_send_future_number(void) {
        wire_chunk(BROKER_TRACEPOINT_ID, 9, 1, 0, "x", 1);
        return wire_await();
}

int try_send_short_struct(void) {
        wire_chunk(BROKER_MAP_CREATE, 1, 8, 0, "12345678", 8);
        return wire_await();
}

int try_send_huge_total(void) {
        wire_chunk(BROKER_PROG_LOAD, 1, UINT32_MAX, 0, "x", 1);
        return wire_await();
}

int try_send_huge_schema(void) {
        static uint8_t chunk[BROKER_CHUNK_MAX];

        wire_chunk(BROKER_READY, 1, LIMIT_SCHEMA_SIZE_MAX + 1, 0, chunk, sizeof(chunk));
        return wire_await();
}

int try_send_wrong_offset(void) {
        wire_chunk(BROKER_BTF_LOAD, 1, 2 * BROKER_CHUNK_MAX, BROKER_CHUNK_MAX, "x", 1);
        return wire_await();
}

int try_send_short_chunk(void) {
        wire_chunk(BROKER_BTF_LOAD, 1, 2 * BROKER_CHUNK_MAX, 0, "0123456789", 10);
        return wire_await();
}

int try_send_long_chunk(void) {
        static uint8_t chunk[1024];

        wire_chunk(BROKER_BTF_LOAD, 1, 100, 0, chunk, sizeof(chunk));
        return wire_await();
}

static void begin_btf(void) {
        static uint8_t chunk[BROKER_CHUNK_MAX];

        wire_chunk(BROKER_BTF_LOAD, 1, 3 * BROKER_CHUNK_MAX, 0, chunk, sizeof(chunk));
}

int try_send_interrupted(void) {
        begin_btf();
        wire_chunk(BROKER_TRACEPOINT_ID, 2, 1, 0, "x", 1);
        return wire_await();
}

int try_send_gap(void) {
        static uint8_t chunk[BROKER_CHUNK_MAX];

        begin_btf();
        wire_chunk(BROKER_BTF_LOAD, 1, 3 * BROKER_CHUNK_MAX, 2 * BROKER_CHUNK_MAX, chunk,
                   sizeof(chunk));
        return wire_await();
}

int try_send_fd(void) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS,
                                  .cmsg_len = CMSG_LEN(sizeof(int)) } };
        struct broker_frame frame = { .type = BROKER_TRACEPOINT_ID, .seq = 1, .total = 0 };
        struct iovec iov = { .iov_base = &frame, .iov_len = sizeof(frame) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };

        memcpy(CMSG_DATA(&control.header), &probe_fds[3], sizeof(int));
        if (sendmsg(CHILD_FD_CHANNEL, &msg, 0) < 0)
                return -errno;
        return wire_await();
}

int try_send_done_early(void) {
        wire_tell(BROKER_DONE, NULL, 0, NULL, 0);
        return wire_await();
}

int try_send_load_late(void) {
        be_ready();
        return load_of(BPF_PROG_TYPE_TRACEPOINT, 0);
}

int try_send_attach_late(void) {
        struct broker_link_create create = { .attach_type = BPF_PERF_EVENT };

        be_ready();
        return wire_call(BROKER_LINK_CREATE, &create, sizeof(create), NULL, 0);
}

int try_send_map_create_late(void) {
        be_ready();
        return (int)make_map("late");
}

int try_send_batch_late(void) {
        struct broker_map_batch batch = { .map = make_map("probe"),
                                          .op = BROKER_BATCH_UPDATE,
                                          .count = 1 };

        be_ready();
        return wire_call(BROKER_MAP_BATCH, &batch, sizeof(batch), "123456789012", 12);
}

int try_send_ready_twice(void) {
        be_ready();
        be_ready();
        return 0;
}

/* --- handles --- */

static int lookup(uint32_t map) {
        struct broker_map_elem elem = { .map = map, .has_key = 1 };

        return wire_call(BROKER_MAP_LOOKUP, &elem, sizeof(elem), "key!", 4);
}

int try_use_forged_handle(void) {
        return lookup(77);
}

int try_use_closed_handle(void) {
        struct broker_pair p = { .object = make_map("x") };

        wire_tell(BROKER_CLOSE, &p, sizeof(p), NULL, 0);
        return lookup(p.object);
}

int try_use_bad_handle(void) {
        return lookup(BROKER_HANDLE_BAD);
}

int try_use_map_as_program(void) {
        uint32_t map = make_map("x");

        return pair(BROKER_PROG_BIND_MAP, map, map);
}

int try_use_map_as_link(void) {
        return pair(BROKER_ITER_CREATE, make_map("x"), 0);
}

static uint32_t make_btf(void) {
        struct {
                uint16_t magic;
                uint8_t version, flags;
                uint32_t hdr_len, type_off, type_len, str_off, str_len;
                uint32_t type[4]; /* int of 4 bytes */
                char strings[5];
        } __attribute__((packed))
        btf = { 0xeb9f, 1, 0, 24, 0, 16, 16, 5, { 1, 1u << 24, 4, 32 }, { 0, 'i', 'n', 't', 0 } };
        struct broker_btf_load load = { .btf_size = sizeof(btf) };

        if (wire_call(BROKER_BTF_LOAD, &load, sizeof(load), &btf, sizeof(btf)) < 0)
                _exit(93);
        return wire_handle();
}

int try_use_btf_as_map(void) {
        return lookup(make_btf());
}

int try_use_map_in_btf_slot(void) {
        struct broker_map_create create = hash_map("y");

        create.btf = make_map("x");
        return wire_call(BROKER_MAP_CREATE, &create, sizeof(create), NULL, 0);
}

int try_close_unknown(void) {
        struct broker_pair p = { .object = 5 };

        wire_tell(BROKER_CLOSE, &p, sizeof(p), NULL, 0);
        return wire_await();
}

int try_info_of_nothing(void) {
        struct broker_object_info info = { .object = 3, .info_len = 8 };

        return wire_call(BROKER_OBJECT_INFO, &info, sizeof(info), NULL, 0);
}

int try_info_too_long(void) {
        struct broker_object_info info = { .object = make_map("x"), .info_len = 4096 };

        return wire_call(BROKER_OBJECT_INFO, &info, sizeof(info), NULL, 0);
}

/* --- bpf commands --- */

static int ask(uint32_t cmd) {
        struct broker_bpf_other other = { .cmd = cmd };

        return wire_call(BROKER_BPF_OTHER, &other, sizeof(other), NULL, 0);
}

int try_ask_map_by_id(void) {
        return ask(BPF_MAP_GET_FD_BY_ID);
}

int try_ask_prog_by_id(void) {
        return ask(BPF_PROG_GET_FD_BY_ID);
}

int try_ask_next_id(void) {
        return ask(BPF_PROG_GET_NEXT_ID);
}

int try_ask_pinned_object(void) {
        return ask(BPF_OBJ_GET);
}

int try_ask_pin(void) {
        return ask(BPF_OBJ_PIN);
}

int try_ask_test_run(void) {
        return ask(BPF_PROG_TEST_RUN);
}

int try_ask_enable_stats(void) {
        return ask(BPF_ENABLE_STATS);
}

int try_ask_unknown_command(void) {
        return ask(99);
}

/* --- maps --- */

static int create_map(struct broker_map_create create) {
        return wire_call(BROKER_MAP_CREATE, &create, sizeof(create), NULL, 0);
}

int try_map_of_other_type(void) {
        struct broker_map_create create = hash_map("x");

        create.map_type = BPF_MAP_TYPE_DEVMAP;
        return create_map(create);
}

int try_map_of_no_type(void) {
        struct broker_map_create create = hash_map("x");

        create.map_type = 9999;
        return create_map(create);
}

int try_map_too_large(void) {
        struct broker_map_create create = hash_map("x");

        create.max_entries = 1u << 30;
        return create_map(create);
}

int try_map_name_without_end(void) {
        struct broker_map_create create = hash_map("x");

        memset(create.name, 'x', sizeof(create.name));
        return create_map(create);
}

int try_map_flood(void) {
        int r;

        do
                r = create_map(hash_map("x"));
        while (r >= 0);
        return r;
}

int try_map_short_key(void) {
        struct broker_map_elem elem = { .map = make_map("probe"), .has_key = 1 };

        return wire_call(BROKER_MAP_LOOKUP, &elem, sizeof(elem), "ke", 2);
}

int try_map_long_value(void) {
        struct broker_map_elem elem = { .map = make_map("probe"), .has_key = 1 };
        static uint8_t value[4096];

        return wire_call(BROKER_MAP_UPDATE, &elem, sizeof(elem), value, sizeof(value));
}

int try_map_batch_overflow(void) {
        struct broker_map_batch batch = { .map = make_map("x"), .count = UINT32_MAX };

        return wire_call(BROKER_MAP_BATCH, &batch, sizeof(batch), NULL, 0);
}

int try_filter_map_update(void) {
        struct broker_map_elem elem = { .map = make_map(BROKER_FILTER_MAP), .has_key = 1 };

        return wire_call(BROKER_MAP_UPDATE, &elem, sizeof(elem), "key!value...", 12);
}

int try_filter_map_delete(void) {
        struct broker_map_elem elem = { .map = make_map(BROKER_FILTER_MAP), .has_key = 1 };

        return wire_call(BROKER_MAP_DELETE, &elem, sizeof(elem), "key!", 4);
}

int try_filter_map_batch(void) {
        struct broker_map_batch batch = { .map = make_map(BROKER_FILTER_MAP),
                                          .op = BROKER_BATCH_UPDATE,
                                          .count = 1 };

        return wire_call(BROKER_MAP_BATCH, &batch, sizeof(batch), "key!value...", 12);
}

int try_filter_map_freeze(void) {
        return pair(BROKER_MAP_FREEZE, make_map(BROKER_FILTER_MAP), 0);
}

int try_filter_map_fd(void) {
        struct broker_map_fd want = { .map = make_map(BROKER_FILTER_MAP), .writable = 1 };

        return wire_call(BROKER_MAP_FD, &want, sizeof(want), NULL, 0);
}

int try_prog_array_of_maps(void) {
        struct broker_map_create create = hash_map("x");
        struct broker_map_elem elem = { .has_key = 1 };
        uint32_t payload[2] = { 0, make_map("y") };

        create.map_type = BPF_MAP_TYPE_PROG_ARRAY;
        create.value_size = 4;
        elem.map = make_map_of(&create);
        return wire_call(BROKER_MAP_UPDATE, &elem, sizeof(elem), payload, sizeof(payload));
}

/* --- programs --- */

int try_load_denied_helper(void) {
        return call_helper(BPF_FUNC_probe_write_user);
}

int try_load_send_signal(void) {
        return call_helper(BPF_FUNC_send_signal);
}

int try_load_lsm(void) {
        return load_of(BPF_PROG_TYPE_LSM, BPF_LSM_MAC);
}

int try_load_modify_return(void) {
        return load_of(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN);
}

int try_load_syscall_type(void) {
        return load_of(BPF_PROG_TYPE_SYSCALL, 0);
}

int try_load_struct_ops(void) {
        return load_of(BPF_PROG_TYPE_STRUCT_OPS, 0);
}

int try_load_unknown_type(void) {
        return load_of(4000000000, 0);
}

int try_load_wrong_sum(void) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);

        return wire_call(BROKER_PROG_LOAD, &load, sizeof(load), nothing, sizeof(nothing));
}

int try_load_overflowing_sum(void) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);

        load.func_info_cnt = load.func_info_rec_size = UINT32_MAX;
        load.line_info_cnt = load.line_info_rec_size = UINT32_MAX;
        return load_insns(&load, nothing, ARRAY_SIZE(nothing));
}

int try_load_without_insns(void) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);

        return load_insns(&load, nothing, 0);
}

int try_load_too_many_insns(void) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);

        load.insn_cnt = LIMIT_INSNS_MAX + 1;
        return wire_call(BROKER_PROG_LOAD, &load, sizeof(load), "x", 1);
}

int try_load_license_no_end(void) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);
        uint8_t payload[sizeof(nothing) + 4];

        memcpy(payload, nothing, sizeof(nothing));
        memcpy(payload + sizeof(nothing), "GPL2", 4);
        return wire_call(BROKER_PROG_LOAD, &load, sizeof(load), payload, sizeof(payload));
}

/* A load of 64 bits whose source is `src`, then exit. */
static int load_imm64(uint8_t src, int32_t imm) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);
        const struct bpf_insn insns[] = {
                { .code = BPF_LD | BPF_IMM | BPF_DW, .src_reg = src, .imm = imm },
                { 0 },
                nothing[0],
                nothing[1],
        };

        return load_insns(&load, insns, ARRAY_SIZE(insns));
}

int try_load_half_instruction(void) {
        struct broker_prog_load load = program(BPF_PROG_TYPE_TRACEPOINT);
        const struct bpf_insn insns[] = { { .code = BPF_LD | BPF_IMM | BPF_DW } };

        return load_insns(&load, insns, ARRAY_SIZE(insns));
}

int try_load_by_fd_array(void) {
        return load_imm64(BPF_PSEUDO_MAP_IDX, 0);
}

int try_load_forged_map(void) {
        return load_imm64(BPF_PSEUDO_MAP_FD, 40);
}

int try_load_program_as_map(void) {
        return load_imm64(BPF_PSEUDO_MAP_FD, (int32_t)make_program(BPF_PROG_TYPE_TRACEPOINT));
}

int try_btf_wrong_size(void) {
        struct broker_btf_load load = { .btf_size = 100 };

        return wire_call(BROKER_BTF_LOAD, &load, sizeof(load), "x", 1);
}

/* --- attaching --- */

static int attach(uint32_t type, uint32_t target) {
        struct broker_link_create create = { .prog = make_program(BPF_PROG_TYPE_TRACEPOINT),
                                             .target = target,
                                             .attach_type = type };

        return wire_call(BROKER_LINK_CREATE, &create, sizeof(create), NULL, 0);
}

int try_attach_xdp(void) {
        return attach(BPF_XDP, 0);
}

int try_attach_unsafe(void) {
        return attach(BPF_LSM_MAC, 0);
}

int try_attach_to_map(void) {
        return attach(BPF_PERF_EVENT, make_map("x"));
}

static int raw_tracepoint(const char *name) {
        struct broker_raw_tracepoint raw = { .prog = make_program(BPF_PROG_TYPE_RAW_TRACEPOINT) };

        return wire_call(BROKER_RAW_TRACEPOINT, &raw, sizeof(raw), name, strlen(name));
}

int try_raw_tp_with_slash(void) {
        return raw_tracepoint("sched/../x");
}

int try_attach_when_inspected(void) {
        return raw_tracepoint("sched_switch");
}

static int tracepoint(const char *name, size_t n) {
        return wire_call(BROKER_TRACEPOINT_ID, NULL, 0, name, n);
}

int try_tracepoint_dots(void) {
        return tracepoint("../../etc", 9);
}

int try_tracepoint_deep(void) {
        return tracepoint("sched/sched_switch/trigger", 26);
}

int try_tracepoint_with_nul(void) {
        return tracepoint("sched/sched\0switch", 18);
}

static int open_perf(struct broker_perf_open open) {
        return wire_call(BROKER_PERF_OPEN, &open, sizeof(open), NULL, 0);
}

int try_perf_unasked_id(void) {
        return open_perf(
                (struct broker_perf_open){ .type = PERF_TYPE_TRACEPOINT, .pid = -1, .config = 5 });
}

int try_perf_of_process(void) {
        return open_perf((struct broker_perf_open){ .type = PERF_TYPE_SOFTWARE, .pid = 1 });
}

int try_perf_of_no_cpu(void) {
        return open_perf(
                (struct broker_perf_open){ .type = PERF_TYPE_SOFTWARE, .pid = -1, .cpu = 100000 });
}

int try_perf_too_often(void) {
        return open_perf((struct broker_perf_open){
                .type = PERF_TYPE_SOFTWARE, .pid = -1, .sample_period = 1 });
}

int try_perf_breakpoint(void) {
        return open_perf((struct broker_perf_open){ .type = PERF_TYPE_BREAKPOINT, .pid = -1 });
}

int try_perf_unknown_op(void) {
        struct broker_perf_control control = { .op = 99 };

        if (open_perf((struct broker_perf_open){
                    .type = PERF_TYPE_SOFTWARE, .pid = -1, .sample_period = 1000000 }) < 0)
                _exit(92);
        control.event = wire_handle();
        return wire_call(BROKER_PERF_CONTROL, &control, sizeof(control), NULL, 0);
}

int try_load_tc(void) {
        return load_of(BPF_PROG_TYPE_SCHED_CLS, 0);
}

int try_load_writable(void) {
        return load_of(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0);
}

int try_load_sk_reuseport(void) {
        return load_of(BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT);
}

int try_map_of_sockets(void) {
        struct broker_map_create create = {
                .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 1
        };

        return wire_call(BROKER_MAP_CREATE, &create, sizeof(create), NULL, 0);
}

static int attach_place(uint32_t prog, uint32_t attach_type, const char *interface) {
        struct broker_attach request = { .prog = prog, .attach_type = attach_type };

        return wire_call(BROKER_ATTACH, &request, sizeof(request), interface, strlen(interface));
}

/* The one type that decides and can be loaded, because libbpf asks with it. */
int try_attach_asking_program(void) {
        if (load_of(BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE) < 0)
                _exit(91);
        return attach_place(wire_handle(), BPF_CGROUP_INET_SOCK_CREATE, "");
}

int try_attach_to_no_place(void) {
        return attach_place(make_program(BPF_PROG_TYPE_TRACEPOINT), BPF_CGROUP_INET_SOCK_CREATE,
                            "");
}

int try_attach_interface_path(void) {
        return attach_place(make_program(BPF_PROG_TYPE_SOCKET_FILTER), 0, "../../lo");
}

/* A file that only root reads, and is no program: it is not handed over, and probes do not go
 * there. */
int try_uprobe_into_secret(void) {
        static const char secret[] = "/etc/shadow";
        struct broker_target target = { .what = BROKER_TARGET_ELF };
        struct broker_uprobe uprobe = { .target = 1 };

        if (wire_call(BROKER_TARGET, &target, sizeof(target), secret, strlen(secret)) >= 0)
                _exit(91);
        return wire_call(BROKER_UPROBE, &uprobe, sizeof(uprobe), NULL, 0);
}

int try_target_without_name(void) {
        struct broker_target target = { .what = BROKER_TARGET_ELF };

        return wire_call(BROKER_TARGET, &target, sizeof(target), NULL, 0);
}

int try_pmu_unknown(void) {
        struct broker_pmu_request request = { .pmu = 7 };

        return wire_call(BROKER_PMU, &request, sizeof(request), NULL, 0);
}

int try_hook_when_running(void) {
        return wire_call(BROKER_HOOK, NULL, 0, "x", 1);
}

/* --- its own reports --- */

int try_fault_malformed(void) {
        struct broker_fault fault = { .code = ERROR_INVALID, .message_len = 100 };

        wire_tell(BROKER_FAULT, &fault, sizeof(fault), "x", 1);
        return wire_await();
}

int try_fault_with_escapes(void) {
        static const char text[] = "\x1b[31mred";
        struct broker_fault fault = { .code = ERROR_INVALID, .message_len = sizeof(text) - 1 };

        wire_tell(BROKER_FAULT, &fault, sizeof(fault), text, sizeof(text) - 1);
        return wire_await();
}

int try_exit_silently(void) {
        _exit(42);
}

int try_crash(void) {
        __builtin_trap();
        return 0;
}

/* Its last lines are the fault's detail, whatever they are. */
int try_log_garbage(void) {
        uint8_t record[LIMIT_LOG_TEXT_MAX];

        for (size_t i = 0; i < sizeof(record); i++)
                record[i] = (uint8_t)(i == 0 ? 1 : i);
        for (int i = 0; i < 10; i++)
                (void)send(CHILD_FD_LOG, record, sizeof(record), MSG_NOSIGNAL);
        _exit(3);
}

/* Nobody waits for a log that nobody can read so fast. */
int try_log_flood(void) {
        char record[] = "\x01 the same line again and again";

        for (int i = 0; i < 1000000; i++)
                (void)send(CHILD_FD_LOG, record, sizeof(record) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        _exit(7);
}
