/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* User stacks at getppid(), of the process that --pid names. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#define USER_STACK_MAP_MAX_ENTRIES 256

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

struct event {
        gadget_pid pid;
        gadget_mntns_id mntns_id;
        struct gadget_user_stack ustack_raw;
};

GADGET_TRACER_MAP(events, 64 * 1024);
GADGET_TRACER(stacks, events, event);

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(struct syscall_trace_enter *ctx) {
        struct event *event;

        if (gadget_should_discard_data_current())
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->pid = bpf_get_current_pid_tgid() >> 32;
        event->mntns_id = gadget_get_current_mntns_id();
        gadget_get_user_stack_from_tracepoint(ctx, &event->ustack_raw);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
