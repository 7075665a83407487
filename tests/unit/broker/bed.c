/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/bed.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/file.h"

/* --- the kernel --- */

int bed_bpf_calls[64];
size_t bed_log_size;
union bpf_attr bed_last_link;

long __wrap_syscall(long nr, ...);
long __real_syscall(long nr, ...);

static int new_fd(void) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Lines that tell where in the log they stand. */
static long refuse_with_log(const union bpf_attr *attr) {
        char *log = (char *)(uintptr_t)attr->log_buf;
        size_t n = MIN(bed_log_size, (size_t)attr->log_size - 1);

        for (size_t i = 0; i < n; i++)
                log[i] = (char)('a' + i % 26);
        log[n] = '\0';
        errno = EACCES;
        return -1;
}

static long play_bpf(enum bpf_cmd cmd, const union bpf_attr *attr) {
        if ((unsigned int)cmd < ARRAY_SIZE(bed_bpf_calls))
                bed_bpf_calls[cmd]++;
        if (cmd == BPF_PROG_LOAD && bed_log_size > 0)
                return refuse_with_log(attr);
        if (cmd == BPF_LINK_CREATE)
                bed_last_link = *attr;
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

struct object *bed_add(struct broker *b, enum object_kind kind) {
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
        struct object *map = bed_add(b, OBJECT_MAP);

        map->map.type = type;
        map->map.key_size = 4;
        map->map.value_size = value_size;
        map->map.bytes = 100;
        b->map_bytes += 100;
        return map;
}

static void add_target(struct broker *b) {
        struct target *target = calloc(1, sizeof(*target));

        assert_non_null(target);
        *target = (struct target){ .id = 1, .path = strdup("/bin/true"), .fd = new_fd() };
        b->targets = (struct target_table){ .items = target, .n = 1, .last_id = 1 };
}

void bed_init(struct bed *bed) {
        int fd;

        assert_int_equal(socket_pair(SOCK_SEQPACKET, &bed->peer_fd, &fd), 0);
        assert_int_equal(broker_new(fd, &bed->broker), 0);
        bed->broker->state = BROKER_LOADING;
        bed->broker->n_cpus = 2;
        bed->broker->has_stacks = true;
        add_map(bed->broker, BPF_MAP_TYPE_HASH, 8);
        bed_add(bed->broker, OBJECT_PROG);
        bed_add(bed->broker, OBJECT_BTF);
        bed_add(bed->broker, OBJECT_LINK);
        bed_add(bed->broker, OBJECT_PERF);
        add_map(bed->broker, BPF_MAP_TYPE_PROG_ARRAY, 4);
        add_map(bed->broker, BPF_MAP_TYPE_HASH, 8)->map.is_filter = true;
        bed_add(bed->broker, OBJECT_PROG)->prog.type = BPF_PROG_TYPE_SOCKET_FILTER;
        memcpy(add_map(bed->broker, BPF_MAP_TYPE_ARRAY, 8)->name, BROKER_USDT_MAP,
               sizeof(BROKER_USDT_MAP));
        add_target(bed->broker);
}

void bed_done(struct bed *bed) {
        broker_free(bed->broker);
        close_fd(&bed->peer_fd);
}

/* --- one good request of each type --- */

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

void make_prog_load(struct example *m) {
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

void make_good(struct example *m, enum broker_type type) {
        const struct broker_target target = { .what = BROKER_TARGET_ELF };
        const struct broker_uprobe uprobe = { .prog = PROG, .target = 1 };
        const struct broker_map_elem spec = { .map = SPECS, .has_key = 1 };
        const struct broker_target_next next = { .after = UINT64_MAX };
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
        struct broker_shared_want shared_want = { .with_paths = 1 };
        struct broker_id_name id_name = { .id = 0 };
        struct broker_mapped_file file = { .pid = (uint32_t)getpid() };
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
                return make(m, type, &target, sizeof(target), "/bin/true", 9);
        case BROKER_TARGET_NEXT:
                return make(m, type, &next, sizeof(next), NULL, 0);
        case BROKER_UPROBE:
                return make(m, type, &uprobe, sizeof(uprobe), NULL, 0);
        case BROKER_USDT_SPEC:
                return make(m, type, &spec, sizeof(spec), "key!value...", 12);
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
        case BROKER_SHARED_WANT:
                return make(m, type, &shared_want, sizeof(shared_want), NULL, 0);
        case BROKER_SHARED_MAP:
                return make(m, type, NULL, 0, NULL, 0);
        case BROKER_HOOK:
                return make(m, type, NULL, 0, "tracepoint/x/y", 14);
        case BROKER_ID_NAME:
                return make(m, type, &id_name, sizeof(id_name), NULL, 0);
        case BROKER_KERNEL_SYMBOLS:
                return make(m, type, NULL, 0, &address, sizeof(address));
        case BROKER_PROCESS:
                pair.object = (uint32_t)getpid();
                return make(m, type, &pair, sizeof(pair), NULL, 0);
        case BROKER_MAPPED_FILE:
                return make(m, type, &file, sizeof(file), NULL, 0);
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
