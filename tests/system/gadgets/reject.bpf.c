/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verifier says no: a map value is used without asking whether it is there. */
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

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 8);
        __type(key, __u32);
        __type(value, __u64);
} values SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        __u32 key = 1;
        __u64 *value = bpf_map_lookup_elem(&values, &key);
        struct event *event;

        *value += 1;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->value = *value;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
