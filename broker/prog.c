/* SPDX-License-Identifier: Apache-2.0 */
/* Programs and BTF. The instructions that are checked are the ones the kernel gets: both are the
 * broker's own copy. */
#include <inttypes.h>
#include <sys/mman.h>

#include "broker/bpf.h"
#include "broker/broker.h"

/* Room for the kernel's log, touched only as far as there is one. Kernels before 6.4 keep a log's
 * head, so it must all fit. */
#define KERNEL_LOG_SIZE (8u << 20)
#define LICENSE_MAX 128

#define ROW(_section, _type, _attach_type, _trust, _how, _since, _needs, _test, _tested, _note)    \
        {                                                                                          \
                _section,         BPF_PROG_TYPE_##_type, _attach_type,                             \
                PROGRAM_##_trust, PROGRAM_BY_##_how,     _note                                     \
        },
static const struct program_type types[] = { GADGET_PROGRAM_TYPES(ROW) };
#undef ROW

const struct program_type *broker_program_type(uint32_t type, uint32_t attach_type) {
        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (types[i].type == type && (types[i].attach_type == attach_type ||
                                              (type == BPF_PROG_TYPE_SCHED_CLS && !attach_type)))
                        return &types[i];
        return NULL;
}

int broker_may_have(const struct broker *b, const struct program_type *type, const char *name,
                    struct error *err) {
        const char *type_name = prog_type_name(type->type) ?: "unknown";

        switch (type->trust) {
        case PROGRAM_OBSERVES:
                return 0;
        case PROGRAM_DECIDES:
                if (b->allow_unsafe)
                        return 0;
                return error_set(err, ERROR_DENIED, -EPERM,
                                 "program '%s' of type %s can decide over what the host does; "
                                 "root may permit it with --allow-unsafe",
                                 name, type_name);
        case PROGRAM_NEVER:
                break;
        }
        return error_set(err, ERROR_DENIED, -EPERM,
                         "program '%s' is of type %s (%" PRIu32
                         "), which gadgets are not given: %s",
                         name, type_name, type->type, type->note);
}

static int check_type(const struct broker *b, const struct broker_prog_load *load,
                      struct error *err) {
        const struct program_type *type =
                broker_program_type(load->prog_type, load->expected_attach_type);

        if (!type)
                return error_set(err, ERROR_DENIED, -EPERM,
                                 "program '%s' is of type %s (%" PRIu32 ", %" PRIu32
                                 "), which gadgets are not given",
                                 load->name, prog_type_name(load->prog_type) ?: "unknown",
                                 load->prog_type, load->expected_attach_type);
        /* libbpf loads one of these to ask what the kernel can do. That is all: on_attach() asks
         * again. */
        if (type->attach_type == BPF_CGROUP_INET_SOCK_CREATE)
                return 0;
        return broker_may_have(b, type, load->name, err);
}

/* What a PROG_LOAD's payload consists of. */
struct parts {
        struct bpf_insn *insns;
        char license[LICENSE_MAX + 1];
        const uint8_t *func_info;
        const uint8_t *line_info;
};

static int malformed(struct error *err, const char *what) {
        return error_set(err, ERROR_INVALID, -EPROTO,
                         "the worker's request 'program load' is malformed: %s", what);
}

static int take_apart(const struct request *request, struct parts *ret, struct error *err) {
        const struct broker_prog_load *load = request->body;
        uint64_t insns = (uint64_t)load->insn_cnt * sizeof(struct bpf_insn);
        uint64_t func = (uint64_t)load->func_info_rec_size * load->func_info_cnt;
        uint64_t line = (uint64_t)load->line_info_rec_size * load->line_info_cnt;
        uint64_t sum;

        if (strnlen(load->name, sizeof(load->name)) == sizeof(load->name))
                return malformed(err, "its name has no end");
        if (load->insn_cnt == 0)
                return malformed(err, "it has no instructions");
        if (load->insn_cnt > LIMIT_INSNS_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG,
                                 "program '%s' has %" PRIu32 " instructions, %d are the most",
                                 load->name, load->insn_cnt, LIMIT_INSNS_MAX);
        if (load->license_len == 0 || load->license_len > LICENSE_MAX)
                return malformed(err, "its license is empty or too long");
        if (__builtin_add_overflow(insns + load->license_len, func, &sum) ||
            __builtin_add_overflow(sum, line, &sum) || sum != request->payload_len)
                return malformed(err, "its parts do not add up");

        ret->insns = (struct bpf_insn *)(void *)request->payload;
        memcpy(ret->license, request->payload + insns, load->license_len);
        ret->license[load->license_len] = '\0';
        if (strlen(ret->license) != load->license_len - 1)
                return malformed(err, "its license has no end");
        ret->func_info = request->payload + insns + load->license_len;
        ret->line_info = ret->func_info + func;
        return 0;
}

/* Puts the broker's fds where the worker put handles. Walks as the kernel does: a 64-bit load takes
 * two slots. */
static int translate_insns(struct broker *b, struct bpf_insn *insns, uint32_t n,
                           struct error *err) {
        uint32_t word;
        int r;

        for (uint32_t i = 0; i < n; i++) {
                if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW))
                        continue;
                if (i + 1 == n)
                        return malformed(err, "its last instruction is incomplete");
                switch (insns[i].src_reg) {
                case 0:
                case BPF_PSEUDO_FUNC:
                        break;
                case BPF_PSEUDO_MAP_FD:
                case BPF_PSEUDO_MAP_VALUE:
                        r = broker_object_fd(b, (uint32_t)insns[i].imm, OBJECT_MAP, &word, err);
                        if (r < 0)
                                return r;
                        insns[i].imm = (int32_t)word;
                        break;
                case BPF_PSEUDO_BTF_ID:
                        r = broker_object_fd(b, (uint32_t)insns[i + 1].imm, OBJECT_BTF, &word, err);
                        if (r < 0)
                                return r;
                        insns[i + 1].imm = (int32_t)word;
                        break;
                default:
                        return malformed(err,
                                         "an instruction refers to something by an unknown way");
                }
                i++;
        }
        return 0;
}

/* The end of the log is what matters: cut at the front. */
static void put_log(struct reply *reply, const char *log, size_t size, uint32_t wanted) {
        size_t n = strnlen(log, size);
        size_t keep = MIN(n, MIN((size_t)LIMIT_VERIFIER_LOG_MAX, wanted > 0 ? wanted - 1 : 0));

        buf_append(&reply->payload, log + (n - keep), keep);
}

static char *map_log(uint32_t level, uint32_t wanted, size_t *ret_size) {
        char *log;

        *ret_size = 0;
        if (level == 0 || wanted == 0)
                return NULL;
        log = mmap(NULL, KERNEL_LOG_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (log == MAP_FAILED)
                return NULL;
        *ret_size = KERNEL_LOG_SIZE;
        return log;
}

static int load_with_log(union bpf_attr *attr, const struct broker_prog_load *load,
                         struct reply *reply) {
        size_t size;
        char *log = map_log(load->log_level, load->log_size, &size);
        int r;

        if (log) {
                attr->log_level = load->log_level;
                attr->log_buf = ptr_u64(log);
                attr->log_size = (uint32_t)size;
        }
        r = sys_bpf(BPF_PROG_LOAD, attr);
        if (r == -ENOSPC && log) {
                /* Only the log did not fit; the answer must not depend on that. */
                attr->log_level = attr->log_size = 0;
                attr->log_buf = 0;
                r = sys_bpf(BPF_PROG_LOAD, attr);
        }
        if (log) {
                put_log(reply, log, size, load->log_size);
                munmap(log, size);
        }
        return r;
}

static int fill_attr(struct broker *b, const struct broker_prog_load *load,
                     const struct parts *parts, union bpf_attr *attr, struct error *err) {
        int r;

        *attr = (union bpf_attr){
                .prog_type = load->prog_type,
                .insn_cnt = load->insn_cnt,
                .insns = ptr_u64(parts->insns),
                .license = ptr_u64(parts->license),
                .kern_version = load->kern_version,
                .prog_flags = load->prog_flags,
                .expected_attach_type = load->expected_attach_type,
                .func_info_rec_size = load->func_info_rec_size,
                .func_info = load->func_info_cnt ? ptr_u64(parts->func_info) : 0,
                .func_info_cnt = load->func_info_cnt,
                .line_info_rec_size = load->line_info_rec_size,
                .line_info = load->line_info_cnt ? ptr_u64(parts->line_info) : 0,
                .line_info_cnt = load->line_info_cnt,
                .attach_btf_id = load->attach_btf_id,
        };
        memcpy(attr->prog_name, load->name, sizeof(attr->prog_name));
        r = broker_object_fd(b, load->btf, OBJECT_BTF, &attr->prog_btf_fd, err);
        return r < 0 ? r
                     : broker_object_fd(b, load->attach_prog, OBJECT_PROG, &attr->attach_prog_fd,
                                        err);
}

int on_prog_load(struct broker *b, const struct request *request, struct reply *reply,
                 struct error *err) {
        const struct broker_prog_load *load = request->body;
        cleanup_free struct permissions *permissions = calloc(1, sizeof(*permissions));
        struct object *prog;
        union bpf_attr attr;
        struct parts parts;
        int r;

        if (!permissions)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for a program");
        r = take_apart(request, &parts, err);
        if (r == 0)
                r = check_type(b, load, err);
        if (r == 0)
                r = translate_insns(b, parts.insns, load->insn_cnt, err);
        if (r == 0)
                r = permissions_add_program(permissions, load->name, load->prog_type, parts.insns,
                                            load->insn_cnt, b->allow_unsafe, err);
        if (r == 0)
                r = fill_attr(b, load, &parts, &attr, err);
        if (r < 0)
                return r;

        if (shared_use_twins(b, parts.insns, load->insn_cnt)) {
                reply->result = load_with_log(&attr, load, reply);
                if (reply->result < 0)
                        return 0;
                close(reply->result);
                buf_reset(&reply->payload);
                shared_use_maps(b, parts.insns, load->insn_cnt);
        }
        reply->result = load_with_log(&attr, load, reply);
        if (reply->result < 0)
                return 0;
        r = broker_add_object(b, OBJECT_PROG, reply->result, reply, &prog, err);
        if (r < 0)
                return r;
        memcpy(prog->name, load->name, sizeof(prog->name));
        prog->prog.type = load->prog_type;
        prog->prog.attach_type = load->expected_attach_type;
        prog->prog.permissions = TAKE_PTR(permissions);
        return 0;
}

int on_prog_bind_map(struct broker *b, const struct request *request, struct reply *reply,
                     struct error *err) {
        const struct broker_pair *pair = request->body;
        struct object *prog, *map;
        int r;

        r = broker_object(b, pair->object, OBJECT_PROG, &prog, err);
        if (r == 0)
                r = broker_object(b, pair->other, OBJECT_MAP, &map, err);
        if (r < 0)
                return r;
        reply->result =
                sys_bpf(BPF_PROG_BIND_MAP,
                        &(union bpf_attr){ .prog_bind_map = { .prog_fd = (uint32_t)prog->fd,
                                                              .map_fd = (uint32_t)map->fd } });
        return 0;
}

int on_btf_load(struct broker *b, const struct request *request, struct reply *reply,
                struct error *err) {
        const struct broker_btf_load *load = request->body;
        union bpf_attr attr = { .btf = ptr_u64(request->payload), .btf_size = load->btf_size };
        struct object *btf;
        size_t size;
        char *log;

        if (load->btf_size != request->payload_len)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'BTF load' is malformed: its size does not "
                                 "fit what it brings");
        log = map_log(load->log_level, load->log_size, &size);
        if (log) {
                attr.btf_log_level = load->log_level;
                attr.btf_log_buf = ptr_u64(log);
                attr.btf_log_size = (uint32_t)size;
        }
        reply->result = sys_bpf(BPF_BTF_LOAD, &attr);
        if (log) {
                put_log(reply, log, size, load->log_size);
                munmap(log, size);
        }
        if (reply->result < 0)
                return 0;
        return broker_add_object(b, OBJECT_BTF, reply->result, reply, &btf, err);
}

int on_object_info(struct broker *b, const struct request *request, struct reply *reply,
                   struct error *err) {
        const struct broker_object_info *want = request->body;
        struct object *object = objects_find(&b->objects, want->object);
        union {
                struct bpf_btf_info btf;
                uint8_t bytes[512];
        } info = { 0 };
        union bpf_attr attr;
        char name[64];

        if (!object || object->kind == OBJECT_PERF)
                return error_set(
                        err, ERROR_INVALID, -EPROTO,
                        "the worker's request 'object info' names object %" PRIu32 ", which is %s",
                        want->object, object_kind_name(object ? object->kind : OBJECT_NONE));
        if (want->info_len > sizeof(info))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'object info' wants %" PRIu32 " bytes",
                                 want->info_len);
        /* No pointers but this one, which libbpf uses to ask whether BTF has names. */
        if (object->kind == OBJECT_BTF && want->info_len >= sizeof(info.btf)) {
                info.btf.name = ptr_u64(name);
                info.btf.name_len = sizeof(name);
        }
        attr = (union bpf_attr){ .info = { .bpf_fd = (uint32_t)object->fd,
                                           .info_len = want->info_len,
                                           .info = ptr_u64(&info) } };
        reply->result = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
        if (reply->result < 0)
                return 0;
        if (object->kind == OBJECT_BTF)
                info.btf.btf = info.btf.name = 0;
        buf_append(&reply->payload, &info, MIN(attr.info.info_len, want->info_len));
        return 0;
}

int on_bpf_other(struct broker *b, const struct request *request, struct reply *reply,
                 struct error *err) {
        const struct broker_bpf_other *other = request->body;
        static const char *const names[] = {
                [BPF_OBJ_PIN] = "BPF_OBJ_PIN",
                [BPF_OBJ_GET] = "BPF_OBJ_GET",
                [BPF_PROG_ATTACH] = "BPF_PROG_ATTACH",
                [BPF_PROG_DETACH] = "BPF_PROG_DETACH",
                [BPF_PROG_TEST_RUN] = "BPF_PROG_TEST_RUN",
                [BPF_PROG_GET_NEXT_ID] = "BPF_PROG_GET_NEXT_ID",
                [BPF_MAP_GET_NEXT_ID] = "BPF_MAP_GET_NEXT_ID",
                [BPF_PROG_GET_FD_BY_ID] = "BPF_PROG_GET_FD_BY_ID",
                [BPF_MAP_GET_FD_BY_ID] = "BPF_MAP_GET_FD_BY_ID",
                [BPF_PROG_QUERY] = "BPF_PROG_QUERY",
                [BPF_BTF_GET_FD_BY_ID] = "BPF_BTF_GET_FD_BY_ID",
                [BPF_TASK_FD_QUERY] = "BPF_TASK_FD_QUERY",
                [BPF_LINK_UPDATE] = "BPF_LINK_UPDATE",
                [BPF_LINK_GET_FD_BY_ID] = "BPF_LINK_GET_FD_BY_ID",
                [BPF_LINK_GET_NEXT_ID] = "BPF_LINK_GET_NEXT_ID",
                [BPF_ENABLE_STATS] = "BPF_ENABLE_STATS",
                [BPF_LINK_DETACH] = "BPF_LINK_DETACH",
        };
        const char *name = other->cmd < ARRAY_SIZE(names) ? names[other->cmd] : NULL;

        return error_set(err, ERROR_DENIED, -EPERM,
                         "the worker asked for %s (bpf command %" PRIu32
                         "), which gadgets are not given",
                         name ?: "an unknown operation", other->cmd);
}
