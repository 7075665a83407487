/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An event for each exec, on a hook that takes any number of programs and is seldom reached. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

struct event {
        gadget_mntns_id mntns_id;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(crowd, events, event);

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx) {
        gadget_mntns_id mntns_id = gadget_get_current_mntns_id();
        struct event *event;

        if (gadget_should_discard_mntns_id(mntns_id))
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->mntns_id = mntns_id;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
