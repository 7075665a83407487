/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf reaches bpf() and perf_event_open() through syscall(), and this is syscall(). Both become
 * requests to the broker; everything else goes to the kernel, where seccomp decides. One function a
 * command: attributes into the request, the reply into what the caller's pointers point to.
 */
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "worker/host-link.h"

#define PTR(_u64) ((void *)(uintptr_t)(_u64))

int64_t raw_syscall(int64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f) {
#if defined(__x86_64__)
        register uint64_t r10 __asm__("r10") = d;
        register uint64_t r8 __asm__("r8") = e;
        register uint64_t r9 __asm__("r9") = f;
        int64_t r;

        __asm__ volatile("syscall"
                         : "=a"(r)
                         : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return r;
#elif defined(__aarch64__)
        register int64_t x8 __asm__("x8") = nr;
        register uint64_t x0 __asm__("x0") = a;
        register uint64_t x1 __asm__("x1") = b;
        register uint64_t x2 __asm__("x2") = c;
        register uint64_t x3 __asm__("x3") = d;
        register uint64_t x4 __asm__("x4") = e;
        register uint64_t x5 __asm__("x5") = f;

        __asm__ volatile("svc 0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                         : "memory");
        return (int64_t)x0;
#else
/* cppcheck-suppress preprocessorErrorDirective */
#error "this architecture's system call instruction is missing here"
#endif
}

/* A handle in the reply becomes a number that libbpf takes for an fd. */
static int object_of(int r, const struct host_call *call) {
        struct host_object object = { .handle = call->handle };

        return r < 0 ? r : host_fd_add(&object, -1);
}

/* Kernel logs end with a NUL. */
static void end_log(const struct host_call *call, uint32_t size) {
        if (call->out && size > 0)
                ((char *)call->out)[MIN(call->out_len, (size_t)size - 1)] = '\0';
}

static bool is_per_cpu(uint32_t type) {
        return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
               type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static int map_create(union bpf_attr *attr) {
        struct broker_map_create create = {
                .map_type = attr->map_type,
                .key_size = attr->key_size,
                .value_size = attr->value_size,
                .max_entries = attr->max_entries,
                .map_flags = attr->map_flags,
                .inner_map = host_fd_handle((int)attr->inner_map_fd),
                .numa_node = attr->numa_node,
                .btf = host_fd_handle((int)attr->btf_fd),
                .btf_key_type_id = attr->btf_key_type_id,
                .btf_value_type_id = attr->btf_value_type_id,
                .btf_vmlinux_value_type_id = attr->btf_vmlinux_value_type_id,
                .map_extra = attr->map_extra,
        };
        struct host_call call = CALL(BROKER_MAP_CREATE, PART(&create, sizeof(create)));
        struct host_object map = {
                .is_map = true,
                .map_type = create.map_type,
                .key_size = create.key_size,
                .value_size = create.value_size,
        };
        int r;

        if (is_per_cpu(create.map_type))
                map.value_size = ALIGN_UP(map.value_size, 8) * host_n_cpus();
        memcpy(create.name, attr->map_name, sizeof(create.name));
        r = host_call(&call);
        if (r < 0)
                return r;
        map.handle = call.handle;
        return host_fd_add(&map, -1);
}

/* Values of these are fds on their way in. */
static bool holds_fds(uint32_t type) {
        return type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_PERF_EVENT_ARRAY ||
               type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS;
}

static int map_elem(union bpf_attr *attr, enum broker_type type) {
        const struct host_object *map = host_fd_find((int)attr->map_fd);
        struct broker_map_elem elem = { .has_key = attr->key != 0, .flags = attr->flags };
        struct host_call call = CALL(type, PART(&elem, sizeof(elem)),
                                     PART(attr->key, attr->key && map ? map->key_size : 0));
        uint32_t handle;

        if (!map || !map->is_map)
                return -EBADF;
        elem.map = map->handle;
        if (type == BROKER_MAP_UPDATE && holds_fds(map->map_type)) {
                handle = host_fd_handle(*(int *)PTR(attr->value));
                call.parts[call.n_parts++] = (struct iovec)PART(&handle, sizeof(handle));
        } else if (type == BROKER_MAP_UPDATE) {
                call.parts[call.n_parts++] = (struct iovec)PART(attr->value, map->value_size);
        } else if (type == BROKER_MAP_NEXT_KEY) {
                call.out = PTR(attr->next_key);
                call.out_size = map->key_size;
        } else if (type != BROKER_MAP_DELETE) {
                call.out = PTR(attr->value);
                call.out_size = map->value_size;
        }
        return host_call(&call);
}

/* Hash tables continue at a bucket number, the others at a key. */
static size_t position_size(const struct host_object *map) {
        switch (map->map_type) {
        case BPF_MAP_TYPE_HASH:
        case BPF_MAP_TYPE_LRU_HASH:
        case BPF_MAP_TYPE_PERCPU_HASH:
        case BPF_MAP_TYPE_LRU_PERCPU_HASH:
                return sizeof(uint32_t);
        default:
                return map->key_size;
        }
}

static int batch_lookup(union bpf_attr *attr, const struct host_object *map,
                        struct broker_map_batch *batch) {
        size_t full = MAX((size_t)map->key_size, sizeof(uint32_t)), used = position_size(map);
        size_t keys = (size_t)batch->count * map->key_size;
        cleanup_free uint8_t *position = calloc(1, full);
        cleanup_free uint8_t *out = NULL;
        struct host_call call = CALL(BROKER_MAP_BATCH, PART(batch, sizeof(*batch)));
        int r;

        call.out_size = full + keys + (size_t)(batch->count * map->value_size);
        call.out = out = malloc(call.out_size);
        if (!position || !out)
                return -ENOMEM;
        if (attr->batch.in_batch) {
                memcpy(position, PTR(attr->batch.in_batch), used);
                call.parts[call.n_parts++] = (struct iovec)PART(position, full);
        }
        r = host_call(&call);
        if (r < 0 && r != -ENOENT)
                return r;
        keys = (size_t)call.handle * map->key_size;
        if (call.handle > batch->count ||
            call.out_len < full + keys + (size_t)(call.handle * map->value_size))
                return -EPROTO;
        attr->batch.count = call.handle;
        memcpy(PTR(attr->batch.out_batch), out, used);
        memcpy(PTR(attr->batch.keys), out + full, keys);
        memcpy(PTR(attr->batch.values), out + full + keys, (size_t)(call.handle * map->value_size));
        return r;
}

static int map_batch(union bpf_attr *attr, enum broker_batch op) {
        const struct host_object *map = host_fd_find((int)attr->batch.map_fd);
        struct broker_map_batch batch = {
                .op = op,
                .count = attr->batch.count,
                .has_position = attr->batch.in_batch != 0,
                .elem_flags = attr->batch.elem_flags,
                .flags = attr->batch.flags,
        };
        struct host_call call = CALL(BROKER_MAP_BATCH, PART(&batch, sizeof(batch)));
        int r;

        if (!map || !map->is_map)
                return -EBADF;
        batch.map = map->handle;
        if (op == BROKER_BATCH_LOOKUP || op == BROKER_BATCH_LOOKUP_DELETE)
                return batch_lookup(attr, map, &batch);
        batch.has_position = 0;
        call.parts[call.n_parts++] =
                (struct iovec)PART(attr->batch.keys, (size_t)batch.count * map->key_size);
        if (op == BROKER_BATCH_UPDATE)
                call.parts[call.n_parts++] =
                        (struct iovec)PART(attr->batch.values, batch.count * map->value_size);
        r = host_call(&call);
        attr->batch.count = call.handle;
        return r;
}

/* A copy of the instructions with handles in place of fds, walked as the kernel does. */
static struct bpf_insn *translate_insns(const struct bpf_insn *insns, uint32_t n) {
        struct bpf_insn *copy = reallocarray(NULL, MAX(n, 1u), sizeof(*copy));

        if (!copy)
                return NULL;
        memcpy(copy, insns, n * sizeof(*copy));
        for (uint32_t i = 0; i + 1 < n; i++) {
                if (copy[i].code != (BPF_LD | BPF_IMM | BPF_DW))
                        continue;
                if (copy[i].src_reg == BPF_PSEUDO_MAP_FD || copy[i].src_reg == BPF_PSEUDO_MAP_VALUE)
                        copy[i].imm = (int32_t)host_fd_handle(copy[i].imm);
                else if (copy[i].src_reg == BPF_PSEUDO_BTF_ID)
                        copy[i + 1].imm = (int32_t)host_fd_handle(copy[i + 1].imm);
                i++;
        }
        return copy;
}

static int prog_load(union bpf_attr *attr) {
        const char *license = PTR(attr->license);
        struct broker_prog_load load = {
                .prog_type = attr->prog_type,
                .expected_attach_type = attr->expected_attach_type,
                .insn_cnt = attr->insn_cnt,
                .license_len = (uint32_t)strlen(license) + 1,
                .log_level = attr->log_level,
                .log_size = attr->log_buf ? attr->log_size : 0,
                .kern_version = attr->kern_version,
                .prog_flags = attr->prog_flags,
                .btf = host_fd_handle((int)attr->prog_btf_fd),
                .func_info_rec_size = attr->func_info_rec_size,
                .func_info_cnt = attr->func_info ? attr->func_info_cnt : 0,
                .line_info_rec_size = attr->line_info_rec_size,
                .line_info_cnt = attr->line_info ? attr->line_info_cnt : 0,
                .attach_btf_id = attr->attach_btf_id,
                .attach_prog = host_fd_handle((int)attr->attach_prog_fd),
        };
        cleanup_free struct bpf_insn *insns = translate_insns(PTR(attr->insns), attr->insn_cnt);
        struct host_call call =
                CALL(BROKER_PROG_LOAD, PART(&load, sizeof(load)),
                     PART(insns, (size_t)load.insn_cnt * sizeof(*insns)),
                     PART(license, load.license_len),
                     PART(attr->func_info, (size_t)load.func_info_rec_size * load.func_info_cnt),
                     PART(attr->line_info, (size_t)load.line_info_rec_size * load.line_info_cnt));
        int r;

        if (!insns)
                return -ENOMEM;
        memcpy(load.name, attr->prog_name, sizeof(load.name));
        call.out = load.log_level ? PTR(attr->log_buf) : NULL;
        call.out_size = call.out ? load.log_size : 0;
        r = host_call(&call);
        end_log(&call, load.log_size);
        return object_of(r, &call);
}

static int btf_load(union bpf_attr *attr) {
        struct broker_btf_load load = {
                .btf_size = attr->btf_size,
                .log_level = attr->btf_log_level,
                .log_size = attr->btf_log_buf ? attr->btf_log_size : 0,
        };
        struct host_call call =
                CALL(BROKER_BTF_LOAD, PART(&load, sizeof(load)), PART(attr->btf, attr->btf_size));
        int r;

        call.out = load.log_level ? PTR(attr->btf_log_buf) : NULL;
        call.out_size = call.out ? load.log_size : 0;
        r = host_call(&call);
        end_log(&call, load.log_size);
        return object_of(r, &call);
}

static int object_info(union bpf_attr *attr) {
        struct broker_object_info want = {
                .object = host_fd_handle((int)attr->info.bpf_fd),
                .info_len = attr->info.info_len,
        };
        struct host_call call = CALL(BROKER_OBJECT_INFO, PART(&want, sizeof(want)));
        int r;

        if (!host_fd_find((int)attr->info.bpf_fd))
                return -EBADF;
        call.out = PTR(attr->info.info);
        call.out_size = attr->info.info_len;
        r = host_call(&call);
        attr->info.info_len = (uint32_t)call.out_len;
        return r;
}

static int link_create(union bpf_attr *attr) {
        const union bpf_iter_link_info *iter = PTR(attr->link_create.iter_info);
        struct broker_link_create create = {
                .prog = host_fd_handle((int)attr->link_create.prog_fd),
                .target = host_fd_handle((int)attr->link_create.target_fd),
                .attach_type = attr->link_create.attach_type,
                .flags = attr->link_create.flags,
        };
        struct host_call call = CALL(BROKER_LINK_CREATE, PART(&create, sizeof(create)));
        int r;

        if (!host_fd_find((int)attr->link_create.prog_fd))
                return -EBADF;
        switch (create.attach_type) {
        case BPF_PERF_EVENT:
                create.cookie = attr->link_create.perf_event.bpf_cookie;
                break;
        case BPF_TRACE_ITER:
                if (iter && attr->link_create.iter_info_len >= sizeof(iter->map))
                        create.iter_map = host_fd_handle((int)iter->map.map_fd);
                break;
        default:
                create.target_btf_id = attr->link_create.tracing.target_btf_id;
                create.cookie = attr->link_create.tracing.cookie;
                break;
        }
        r = host_call(&call);
        return object_of(r, &call);
}

static int raw_tracepoint(union bpf_attr *attr) {
        const char *name = PTR(attr->raw_tracepoint.name);
        struct broker_raw_tracepoint raw = {
                .prog = host_fd_handle((int)attr->raw_tracepoint.prog_fd),
        };
        struct host_call call = CALL(BROKER_RAW_TRACEPOINT, PART(&raw, sizeof(raw)),
                                     PART(name, name ? strnlen(name, 128) : 0));
        int r;

        if (!host_fd_find((int)attr->raw_tracepoint.prog_fd))
                return -EBADF;
        r = host_call(&call);
        return object_of(r, &call);
}

static int pair_request(enum broker_type type, uint32_t fd, uint32_t other_fd) {
        struct broker_pair pair = { .object = host_fd_handle((int)fd),
                                    .other = host_fd_handle((int)other_fd) };
        struct host_call call = CALL(type, PART(&pair, sizeof(pair)));

        return host_fd_find((int)fd) ? host_call(&call) : -EBADF;
}

static int iter_create(union bpf_attr *attr) {
        struct broker_pair pair = { .object = host_fd_handle((int)attr->iter_create.link_fd) };
        struct host_call call = CALL(BROKER_ITER_CREATE, PART(&pair, sizeof(pair)));
        int r;

        if (!host_fd_find((int)attr->iter_create.link_fd))
                return -EBADF;
        r = host_call(&call);
        return r < 0 ? r : call.fd;
}

/* Commands that no gadget gets: the broker says which one it was, and that ends us. */
static int other(uint32_t cmd) {
        struct broker_bpf_other request = { .cmd = cmd };
        struct host_call call = CALL(BROKER_BPF_OTHER, PART(&request, sizeof(request)));

        return host_call(&call);
}

static int map_fd_of(enum bpf_cmd cmd, const union bpf_attr *attr) {
        switch ((int)cmd) {
        case BPF_MAP_LOOKUP_ELEM:
        case BPF_MAP_GET_NEXT_KEY:
        case BPF_MAP_LOOKUP_AND_DELETE_ELEM:
        case BPF_MAP_DELETE_ELEM:
                return (int)attr->map_fd;
        case BPF_MAP_LOOKUP_BATCH:
        case BPF_MAP_LOOKUP_AND_DELETE_BATCH:
        case BPF_MAP_DELETE_BATCH:
                return (int)attr->batch.map_fd;
        default:
                return -1;
        }
}

/* With a real fd the kernel itself answers: no broker in between once the gadget runs. */
static bool is_direct(enum bpf_cmd cmd, const union bpf_attr *attr) {
        const struct host_object *map = host_fd_find(map_fd_of(cmd, attr));

        return map && map->is_real && host_reads_maps_directly();
}

static int host_bpf(enum bpf_cmd cmd, union bpf_attr *attr) {
        switch ((int)cmd) {
        case BPF_MAP_CREATE:
                return map_create(attr);
        case BPF_MAP_LOOKUP_ELEM:
                return map_elem(attr, BROKER_MAP_LOOKUP);
        case BPF_MAP_LOOKUP_AND_DELETE_ELEM:
                return map_elem(attr, BROKER_MAP_LOOKUP_DELETE);
        case BPF_MAP_UPDATE_ELEM:
                return map_elem(attr, BROKER_MAP_UPDATE);
        case BPF_MAP_DELETE_ELEM:
                return map_elem(attr, BROKER_MAP_DELETE);
        case BPF_MAP_GET_NEXT_KEY:
                return map_elem(attr, BROKER_MAP_NEXT_KEY);
        case BPF_MAP_LOOKUP_BATCH:
                return map_batch(attr, BROKER_BATCH_LOOKUP);
        case BPF_MAP_LOOKUP_AND_DELETE_BATCH:
                return map_batch(attr, BROKER_BATCH_LOOKUP_DELETE);
        case BPF_MAP_UPDATE_BATCH:
                return map_batch(attr, BROKER_BATCH_UPDATE);
        case BPF_MAP_DELETE_BATCH:
                return map_batch(attr, BROKER_BATCH_DELETE);
        case BPF_MAP_FREEZE:
                return pair_request(BROKER_MAP_FREEZE, attr->map_fd, 0);
        case BPF_PROG_LOAD:
                return prog_load(attr);
        case BPF_PROG_BIND_MAP:
                return pair_request(BROKER_PROG_BIND_MAP, attr->prog_bind_map.prog_fd,
                                    attr->prog_bind_map.map_fd);
        case BPF_BTF_LOAD:
                return btf_load(attr);
        case BPF_OBJ_GET_INFO_BY_FD:
                return object_info(attr);
        case BPF_LINK_CREATE:
                return link_create(attr);
        case BPF_RAW_TRACEPOINT_OPEN:
                return raw_tracepoint(attr);
        case BPF_ITER_CREATE:
                return iter_create(attr);
        case BPF_BTF_GET_NEXT_ID:
                /* How libbpf looks for the BTF of kernel modules: a gadget sees none. */
                return -ENOENT;
        default:
                return other(cmd);
        }
}

static int64_t bpf(enum bpf_cmd cmd, void *user_attr, size_t size) {
        union bpf_attr attr = { 0 };
        int r;

        memcpy(&attr, user_attr, MIN(size, sizeof(attr)));
        if (is_direct(cmd, &attr))
                return raw_syscall(SYS_bpf, cmd, (uint64_t)(uintptr_t)user_attr, size, 0, 0, 0);
        r = host_bpf(cmd, &attr);
        memcpy(user_attr, &attr, MIN(size, sizeof(attr)));
        return r;
}

/* Types above the fixed ones are event sources with a number of their own: kprobes and uprobes,
 * whose config1 is a name. */
static int perf_event_open(const struct perf_event_attr *attr, int pid, int cpu) {
        const char *name = attr->type >= PERF_TYPE_MAX ? PTR(attr->config1) : NULL;
        /* libbpf asks what there is by a probe that is for itself alone. The broker knows no
         * process of ours; a CPU answers the same. */
        bool is_question = pid > 0;
        struct broker_perf_open open = {
                .type = attr->type,
                .pid = is_question ? -1 : pid,
                .cpu = is_question ? 0 : cpu,
                .wakeup_events = attr->wakeup_events,
                .config = attr->config,
                .sample_period = attr->sample_period,
                .probe_offset = name ? attr->config2 : 0,
                .flags = attr->freq ? BROKER_PERF_FREQ : 0,
        };
        struct host_call call = CALL(BROKER_PERF_OPEN, PART(&open, sizeof(open)),
                                     PART(name, name ? strnlen(name, 256) : 0));
        struct host_object event = { 0 };
        int r = host_call(&call);

        if (r < 0)
                return r;
        event.handle = call.handle;
        event.is_real = call.fd >= 0;
        return host_fd_add(&event, call.fd);
}

/* Takes the place of libc's, which a static link then leaves out. */
long syscall(long nr, ...) {
        uint64_t a[6];
        va_list args;
        int64_t r;

        va_start(args, nr);
        for (size_t i = 0; i < ARRAY_SIZE(a); i++)
                a[i] = va_arg(args, uint64_t);
        va_end(args);
        switch (nr) {
        case SYS_bpf:
                r = bpf((enum bpf_cmd)a[0], PTR(a[1]), (size_t)a[2]);
                break;
        case SYS_perf_event_open:
                r = perf_event_open(PTR(a[0]), (int)a[1], (int)a[2]);
                break;
        default:
                r = raw_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
                break;
        }
        if (r >= 0)
                return (long)r;
        errno = (int)-r;
        return -1;
}
