/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A tracepoint that no kernel has. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
        __u64 value;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

SEC("tracepoint/gadgets/no_such_hook")
int on_nothing(void *ctx) {
        struct event *event = gadget_reserve_buf(&events, sizeof(*event));

        if (!event)
                return 0;
        event->value = 1;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
