/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events about several containers. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct side {
        gadget_netns_id netns_id;
        gadget_mntns_id mntns_id;
};

struct event {
        gadget_mntns_id mntns_id;
        gadget_netns_id netns_id;
        gadget_mntns_id parent_mntns_id;
        struct side peer;
        gadget_mntns_id taken_mntns_id;
        __u32 taken; /* has the name that would be in front of its added fields */
        gadget_mntns_id fifth_mntns_id;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(several, events, event);

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        struct event event = {};

        gadget_output_buf(ctx, &events, &event, sizeof(event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
