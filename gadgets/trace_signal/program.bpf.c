/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Signals as they are sent, by processes and by the kernel, and what became of them. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

/* What the kernel says of a signal that was sent. */
enum signal_result {
        DELIVERED,
        IGNORED,
        ALREADY_PENDING,
        OVERFLOW_FAIL, /* the queue is full: not delivered */
        LOSE_INFO,     /* the queue is full: delivered without its details */
};

/* Who sent it: si_code of sigaction(2). */
enum signal_origin {
        USER = 0,
        KERNEL = 0x80,
        QUEUE = -1,
        TIMER = -2,
        MESSAGE_QUEUE = -3,
        ASYNC_IO = -4,
        SIGIO_QUEUED = -5,
        TKILL = -6,
};

struct event {
        gadget_timestamp timestamp_raw;
        struct gadget_process proc; /* the sender, or whom the kernel interrupted for it */
        gadget_pid tpid;            /* thread that the signal is for */
        gadget_comm tcomm[TASK_COMM_LEN];
        gadget_signal sig_raw;
        enum signal_origin origin_raw;
        enum signal_result result_raw;
        bool to_process; /* any thread of the process may take it */
};

const volatile __u32 target_signal = 0;
GADGET_PARAM(target_signal);

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(signals, events, event);

SEC("tracepoint/signal/signal_generate")
int on_signal_generate(struct trace_event_raw_signal_generate *ctx) {
        struct event *event;

        if (target_signal && ctx->sig != target_signal)
                return 0;
        if (gadget_should_discard_data_current())
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        gadget_process_populate(&event->proc);
        event->tpid = ctx->pid;
        bpf_probe_read_kernel(event->tcomm, sizeof(event->tcomm), ctx->comm);
        event->sig_raw = ctx->sig;
        event->origin_raw = ctx->code;
        event->result_raw = ctx->result;
        event->to_process = ctx->group != 0;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
