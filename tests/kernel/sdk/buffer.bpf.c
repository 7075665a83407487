/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sends one event at each getppid(), in the way that `how` says. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>

enum way { RESERVE_SUBMIT, RESERVE_DISCARD, OUTPUT, OUTPUT_SHORT, COUNT_LOST };

struct event {
        __u64 number;
        char text[120];
};

const volatile __u32 how = RESERVE_SUBMIT;
GADGET_PARAM(how);

static __u64 n_calls;

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(buffer, events, event);
GADGET_SCRATCH(event_scratch, struct event);

static __always_inline void reserve(void *ctx) {
        struct event *event = gadget_reserve_buf(&events, sizeof(*event));

        if (!event)
                return;
        event->number = n_calls;
        __builtin_memset(event->text, 'r', sizeof(event->text));
        /* Every second one is given back. */
        if (how == RESERVE_DISCARD && n_calls % 2)
                gadget_discard_buf(event);
        else
                gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

static __always_inline void output(void *ctx) {
        struct event *event = event_scratch();

        if (!event)
                return;
        event->number = n_calls;
        __builtin_memset(event->text, 'o', sizeof(event->text));
        gadget_output_buf(ctx, &events, event, how == OUTPUT ? sizeof(*event) : 12);
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(struct syscall_trace_enter *ctx) {
        if (gadget_should_discard_data_current())
                return 0;
        if (how <= RESERVE_DISCARD)
                reserve(ctx);
        else if (how <= OUTPUT_SHORT)
                output(ctx);
        else
                gadget_count_lost(&events);
        n_calls++;
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
