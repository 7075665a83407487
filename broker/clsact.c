/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/clsact.h"

#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/bpf.h"
#include "broker/tc-message.h"

#define STUB_NAME "gadgetd"
/* Filters of ours have one priority, and a handle each. */
#define PRIORITY 0x6764
#define HANDLES_MAX 256

/* --- the stub and its table --- */

static int make_table(int prog_fd) {
        union bpf_attr create = { .map_type = BPF_MAP_TYPE_PROG_ARRAY,
                                  .key_size = sizeof(uint32_t),
                                  .value_size = sizeof(uint32_t),
                                  .max_entries = 1,
                                  .map_name = STUB_NAME };
        cleanup_close int fd = sys_bpf(BPF_MAP_CREATE, &create);
        uint32_t key = 0, value = (uint32_t)prog_fd;
        int r;

        if (fd < 0)
                return fd;
        r = sys_bpf(BPF_MAP_UPDATE_ELEM, &(union bpf_attr){ .map_fd = (uint32_t)fd,
                                                            .key = ptr_u64(&key),
                                                            .value = ptr_u64(&value) });
        return r < 0 ? r : TAKE_FD(fd);
}

/* bpf_tail_call(ctx, table, 0); return TC_ACT_UNSPEC; */
static int make_stub(int table_fd) {
        struct bpf_insn insns[] = {
                { .code = BPF_LD | BPF_IMM | BPF_DW,
                  .dst_reg = BPF_REG_2,
                  .src_reg = BPF_PSEUDO_MAP_FD,
                  .imm = table_fd },
                { 0 },
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3 },
                { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call },
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC },
                { .code = BPF_JMP | BPF_EXIT },
        };

        return sys_bpf(BPF_PROG_LOAD, &(union bpf_attr){ .prog_type = BPF_PROG_TYPE_SCHED_CLS,
                                                         .insn_cnt = ARRAY_SIZE(insns),
                                                         .insns = ptr_u64(insns),
                                                         .license = ptr_u64("GPL"),
                                                         .prog_name = STUB_NAME });
}

/* Whether the stub of this id jumps nowhere any more. */
static bool is_idle(uint32_t prog_id) {
        uint32_t map_id = 0, key = 0, value;
        struct bpf_prog_info info = { .nr_map_ids = 1, .map_ids = ptr_u64(&map_id) };
        cleanup_close int prog_fd = -1, map_fd = -1;

        prog_fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &(union bpf_attr){ .prog_id = prog_id });
        if (prog_fd < 0 || sys_bpf(BPF_OBJ_GET_INFO_BY_FD,
                                   &(union bpf_attr){ .info = { .bpf_fd = (uint32_t)prog_fd,
                                                                .info_len = sizeof(info),
                                                                .info = ptr_u64(&info) } }) < 0)
                return false;
        map_fd = sys_bpf(BPF_MAP_GET_FD_BY_ID, &(union bpf_attr){ .map_id = map_id });
        return map_fd >= 0 && sys_bpf(BPF_MAP_LOOKUP_ELEM,
                                      &(union bpf_attr){ .map_fd = (uint32_t)map_fd,
                                                         .key = ptr_u64(&key),
                                                         .value = ptr_u64(&value) }) == -ENOENT;
}

/* --- the interface's queue and its filters --- */

static const uint32_t parents[] = { TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
                                    TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS) };

static struct tcmsg filter_at(const struct clsact_filter *f) {
        return (struct tcmsg){ .tcm_family = AF_UNSPEC,
                               .tcm_ifindex = f->interface,
                               .tcm_parent = f->parent,
                               .tcm_handle = f->handle,
                               .tcm_info = TC_H_MAKE(PRIORITY << 16, TC_ALL_PROTOCOLS) };
}

static int make_queue(int fd, int interface) {
        struct tcmsg tc = { .tcm_ifindex = interface,
                            .tcm_parent = TC_H_CLSACT,
                            .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0) };
        struct tc_message m;

        tc_message_init(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &tc);
        tc_message_put(&m, TCA_KIND, "clsact", sizeof("clsact"));
        return tc_message_send(&m, fd);
}

static void remove_queue(int fd, int interface) {
        struct tcmsg tc = { .tcm_ifindex = interface,
                            .tcm_parent = TC_H_CLSACT,
                            .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0) };
        struct tc_message m;

        tc_message_init(&m, RTM_DELQDISC, 0, &tc);
        (void)tc_message_send(&m, fd);
}

static int add_filter(int fd, struct clsact_filter *f, int stub_fd) {
        uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT, stub = (uint32_t)stub_fd;
        int r = -EEXIST;

        for (f->handle = 1; r == -EEXIST && f->handle <= HANDLES_MAX; f->handle++) {
                struct tcmsg tc = filter_at(f);
                struct tc_message m;
                size_t options;

                tc_message_init(&m, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tc);
                tc_message_put(&m, TCA_KIND, "bpf", sizeof("bpf"));
                options = tc_message_begin(&m, TCA_OPTIONS);
                tc_message_put(&m, TCA_BPF_FD, &stub, sizeof(stub));
                tc_message_put(&m, TCA_BPF_NAME, STUB_NAME, sizeof(STUB_NAME));
                tc_message_put(&m, TCA_BPF_FLAGS, &flags, sizeof(flags));
                tc_message_end(&m, options);
                r = tc_message_send(&m, fd);
        }
        f->handle--;
        return r;
}

static void remove_filter(int fd, const struct clsact_filter *f) {
        struct tcmsg tc = filter_at(f);
        struct tc_message m;

        tc_message_init(&m, RTM_DELTFILTER, 0, &tc);
        tc_message_put(&m, TCA_KIND, "bpf", sizeof("bpf"));
        (void)tc_message_send(&m, fd);
}

/* What a list of filters is looked through for. */
struct look {
        struct clsact_filter *idle; /* up to HANDLES_MAX of ours that do nothing */
        size_t n_idle;
        size_t n_ours;
        size_t n;
};

static void on_filter(const struct tcmsg *tc, const struct tc_attributes *attributes, void *arg) {
        struct look *look = arg;
        struct tc_attributes options;
        uint32_t id;

        if (!tc_attribute(attributes, TCA_OPTIONS) || tc->tcm_handle == 0)
                return; /* the head of a list */
        look->n++;
        options = tc_attributes_of(tc_attribute(attributes, TCA_OPTIONS));
        if (!tc_attribute_is(attributes, TCA_KIND, "bpf") ||
            !tc_attribute_is(&options, TCA_BPF_NAME, STUB_NAME))
                return;
        look->n_ours++;
        if (look->idle && look->n_idle < HANDLES_MAX &&
            tc_attribute_u32(&options, TCA_BPF_ID, &id) && is_idle(id))
                look->idle[look->n_idle++] = (struct clsact_filter){
                        .interface = tc->tcm_ifindex,
                        .parent = tc->tcm_parent,
                        .handle = tc->tcm_handle,
                };
}

static int look_at(int fd, int interface, struct look *look) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parents); i++)
                r = tc_list_filters(fd, interface, parents[i], on_filter, look);
        return r;
}

/* What brokers that were killed have left here. */
static void sweep(int fd, int interface) {
        struct look look = { .idle = calloc(HANDLES_MAX, sizeof(*look.idle)) };

        if (look.idle && look_at(fd, interface, &look) == 0)
                for (size_t i = 0; i < look.n_idle; i++)
                        remove_filter(fd, &look.idle[i]);
        free(look.idle);
}

static int add(struct clsact *c, int fd, struct clsact_filter *f, int stub_fd) {
        struct clsact_filter *grown = reallocarray(c->filters, c->n + 1, sizeof(*grown));
        int r;

        if (!grown)
                return -ENOMEM;
        c->filters = grown;
        r = make_queue(fd, f->interface);
        if (r < 0 && r != -EEXIST)
                return r;
        f->made_queue = r == 0;
        if (!f->made_queue)
                sweep(fd, f->interface);
        r = add_filter(fd, f, stub_fd);
        if (r == 0)
                c->filters[c->n++] = *f;
        else if (f->made_queue)
                remove_queue(fd, f->interface);
        return r;
}

int clsact_link(struct clsact *c, int prog_fd, int interface, bool is_egress) {
        struct clsact_filter f = { .interface = interface, .parent = parents[is_egress] };
        cleanup_close int table_fd = make_table(prog_fd), stub_fd = -1, fd = -1;
        int r;

        if (table_fd < 0)
                return table_fd;
        stub_fd = make_stub(table_fd);
        if (stub_fd < 0)
                return stub_fd;
        fd = tc_socket();
        if (fd < 0)
                return fd;
        r = add(c, fd, &f, stub_fd);
        return r < 0 ? r : TAKE_FD(table_fd);
}

void clsact_done(struct clsact *c) {
        cleanup_close int fd = c->n > 0 ? tc_socket() : -1;

        for (size_t i = 0; fd >= 0 && i < c->n; i++)
                remove_filter(fd, &c->filters[i]);
        for (size_t i = 0; fd >= 0 && i < c->n; i++) {
                struct look look = { 0 };

                if (c->filters[i].made_queue && look_at(fd, c->filters[i].interface, &look) == 0 &&
                    look.n == 0)
                        remove_queue(fd, c->filters[i].interface);
        }
        free(c->filters);
        *c = (struct clsact){ 0 };
}

int clsact_count(int interface) {
        cleanup_close int fd = tc_socket();
        struct look look = { 0 };
        int r = fd < 0 ? fd : look_at(fd, interface, &look);

        return r < 0 ? r : (int)look.n_ours;
}
