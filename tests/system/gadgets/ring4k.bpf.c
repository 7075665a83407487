/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An event for each getppid(), into the smallest ring there is: it overflows at once when nobody
 * reads. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#ifndef RING_SIZE
#define RING_SIZE 4096
#endif

struct event {
        gadget_pid pid;
        __u32 cpu;
        __u64 count;
        char text[48];
};

GADGET_TRACER_MAP(events, RING_SIZE);
GADGET_TRACER(calls, events, event);

__u64 counter = 0;

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        struct event *event;

        if (gadget_should_discard_data_current())
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->pid = bpf_get_current_pid_tgid() >> 32;
        event->cpu = bpf_get_smp_processor_id();
        event->count = __sync_fetch_and_add(&counter, 1);
        __builtin_memcpy(event->text, "forty-eight bytes, so that rows have some size.", 48);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
