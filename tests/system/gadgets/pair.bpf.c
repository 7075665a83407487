/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events about two containers: who calls getppid(), and whom a parameter names. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

struct event {
        gadget_mntns_id mntns_id;
        gadget_mntns_id peer_mntns_id;
};

const volatile __u64 peer = 0;
GADGET_PARAM(peer);

GADGET_TRACER_MAP(events, 64 * 1024);
GADGET_TRACER(pair, events, event);

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        gadget_mntns_id mntns_id = gadget_get_current_mntns_id();
        struct event *event;

        if (gadget_should_discard_mntns_id(mntns_id))
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->mntns_id = mntns_id;
        event->peer_mntns_id = peer;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
