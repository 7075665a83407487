/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the SDK's other helpers say at a getppid() of the process that --pid names. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/bits.bpf.h>
#include <gadget/buffer.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/fnv1a.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/packetfilter.h>
#include <gadget/syscall.h>
#include <gadget/user_stack_map.h>

#define N_VALUES 8

struct event {
        __u64 log2[N_VALUES];
        __u64 log2l[N_VALUES];
        __u64 slot[N_VALUES];
        __u32 fnv32;
        __u64 fnv64;
        __s64 kstack;
        struct gadget_user_stack ustack;
        __u64 build_ids; /* frames that have one */
        __u64 ctime;
        __s64 task_state;
        __s64 raw_nr;
        __u64 raw_arg1;
        __u64 args[6];
        __u64 counted;
        bool passes;
        bool passes_named;
        __s64 no_such_fd;
        __s64 path_len;
        char path[GADGET_PATH_MAX];
};

const volatile __u64 values[N_VALUES] = {};
const volatile __s32 fd = -1;

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 2);
        __type(key, __u32);
        __type(value, __u64);
} counts SEC(".maps");

const volatile __s64 wanted_nr = -1;

static __s64 raw_nr;
static __u64 raw_arg1;
static __s64 raw_kstack;

GADGET_TRACER_MAP(events, 64 * 1024);
GADGET_TRACER(helpers, events, event);
GADGET_PF();
GADGET_PF(named);

static __always_inline __u64 count(__u32 key) {
        __u64 zero = 0;
        __u64 *value = bpf_map_lookup_or_try_init(&counts, &key, &zero);

        return value ? ++*value : ~0ULL;
}

static __always_inline __u64 count_build_ids(__u32 stack_id) {
        struct gadget_build_ids *ids = bpf_map_lookup_elem(&ig_build_id, &stack_id);
        __u64 n = 0;

        if (!ids)
                return 0;
        for (int i = 0; i < USER_MAX_STACK_DEPTH; i++)
                n += ids->frames[i].status == BPF_STACK_BUILD_ID_VALID;
        return n;
}

SEC("raw_tracepoint/sys_enter")
int on_sys_enter(struct bpf_raw_tracepoint_args *ctx) {
        struct pt_regs *regs = (void *)ctx->args[0];

        if (gadget_should_discard_data_current())
                return 0;
        /* Which of the two programs runs first is not ours to say, nor what was called before. */
        if (gadget_get_syscall_nr(regs) != wanted_nr)
                return 0;
        raw_nr = wanted_nr;
        raw_arg1 = gadget_get_syscall_arg1(regs);
        raw_kstack = gadget_get_kernel_stack(ctx);
        return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(struct syscall_trace_enter *ctx) {
        const struct pt_regs *regs;
        struct event *event;
        struct file *file;

        if (gadget_should_discard_data_current())
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;

        event->fnv32 = fnv_32a_init();
        event->fnv64 = fnv_64a_init();
        for (int i = 0; i < N_VALUES; i++) {
                event->log2[i] = log2(values[i]);
                event->log2l[i] = log2l(values[i]);
                event->slot[i] = get_slot_idx(values[i], 27);
                event->fnv32 = fnv_32a_update_u64(event->fnv32, values[i]);
                event->fnv64 = fnv_64a_update_u8(event->fnv64, values[i]);
        }

        event->kstack = raw_kstack; /* older kernels know none at a syscall's tracepoint */
        gadget_get_user_stack(ctx, &event->ustack);
        event->build_ids = count_build_ids(event->ustack.stack_id);

        file = get_struct_file_for_fd(fd);
        event->ctime = gadget_get_ctime_nanosec_from_inode(BPF_CORE_READ(file, f_inode));
        event->task_state = get_task_state((void *)bpf_get_current_task());
        event->path[0] = '\0';
        event->path_len = read_full_path_of_open_file_fd(fd, event->path, sizeof(event->path));
        event->no_such_fd = read_full_path_of_open_file_fd(100000, event->path, 0);

        regs = gadget_syscall_regs();
        event->args[0] = gadget_syscall_arg(regs, 0);
        event->args[1] = gadget_syscall_arg(regs, 1);
        event->args[2] = gadget_syscall_arg(regs, 2);
        event->args[3] = gadget_syscall_arg(regs, 3);
        event->args[4] = gadget_syscall_arg(regs, 4);
        event->args[5] = gadget_syscall_arg(regs, 5);
        event->raw_nr = raw_nr;
        event->raw_arg1 = raw_arg1;

        count(1);
        event->counted = count(1);
        event->passes = gadget_pf_matches(NULL, (void *)ctx, (void *)ctx);
        event->passes_named = gadget_pf_matches(named, NULL, (void *)ctx, (void *)ctx);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
