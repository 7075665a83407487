/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Can change the system: a helper of the denied list. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
        __u64 value;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        struct event *event;

        if (gadget_should_discard_data_current() || targ_pid == 0)
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->value = -bpf_send_signal(0);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
