/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ring that is soon full, records of the wrong size, discarded records, and rows that no small
 * frame holds. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
        __u64 number;
        __u32 size; /* what was asked for */
        char text[500];
};

struct too_large {
        struct event event;
        __u64 more;
};

struct large {
        __u64 number;
        char text[9000];
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(small, events, event);
GADGET_SCRATCH(event_scratch, struct too_large);
GADGET_TRACER_MAP(large_events, 32768);
GADGET_TRACER(large, large_events, large);
GADGET_SCRATCH(large_scratch, struct large);

#define LARGE 99999

/* Bytes to send of an event; 0: reserve and discard it; LARGE: an event with a text of 1000 or of
 * 9000 chars in turn. */
const volatile __u32 size = sizeof(struct event);
GADGET_PARAM(size);

__u64 counter = 0;

static long fill(__u32 i, void *ctx) {
        struct large *large = large_scratch();
        __u64 at = i;

        asm volatile("" : "+r"(at)); /* the check and the use must be of one register */
        if (large && at < sizeof(large->text))
                large->text[at] = 'x';
        return 0;
}

static __always_inline void send_large(void *ctx, __u64 number) {
        struct large *large = large_scratch();

        if (!large)
                return;
        large->number = number;
        bpf_loop(sizeof(large->text), fill, NULL, 0);
        if (number % 2 == 0)
                large->text[1000] = 0;
        gadget_output_buf(ctx, &large_events, large, sizeof(*large));
}

static __always_inline void send(void *ctx, __u64 number) {
        struct too_large *record = event_scratch();
        struct event *event;

        if (!record)
                return;
        if (size == 0) {
                event = gadget_reserve_buf(&events, sizeof(*event));
                if (event)
                        gadget_discard_buf(event);
                return;
        }
        record->event.number = number;
        record->event.size = size;
        __builtin_memcpy(record->event.text, "tail", 5);
        if (size <= sizeof(*record))
                gadget_output_buf(ctx, &events, record, size);
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        __u64 number;

        if (gadget_should_discard_data_current())
                return 0;
        number = __sync_fetch_and_add(&counter, 1);
        if (size == LARGE)
                send_large(ctx, number);
        else
                send(ctx, number);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
