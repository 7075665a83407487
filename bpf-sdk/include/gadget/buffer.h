/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sending events. GADGET_TRACER_MAP() defines a ring buffer; on a kernel that has none (before 5.8)
 * gadgetd creates a perf event array under the same name, and the functions below take the other
 * branch: which one is decided when the object is loaded, and the verifier drops the dead one.
 *
 * An event that finds the buffer full is counted in <map>_lost_samples (lost.h), exactly. A perf
 * buffer also reports its losses to its reader (PERF_RECORD_LOST); they are the same events, not
 * further ones.
 *
 * Two ways to send. A fixed size, filled in place:
 *
 *   event = gadget_reserve_buf(&events, sizeof(*event));
 *   if (!event)
 *           return 0;
 *   ...
 *   gadget_submit_buf(ctx, &events, event, sizeof(*event));
 *
 * or any size, built in memory of this CPU that GADGET_SCRATCH(event_scratch, struct event)
 * defined:
 *
 *   event = event_scratch();
 *   if (!event)
 *           return 0;
 *   ...
 *   gadget_output_buf(ctx, &events, event, offsetof(struct event, name) + name_len);
 *
 * The second copies once more, which costs 15 ns of an event's 130, but when most of a struct is a
 * string at its end the ring holds several times as many events. What was not sent is read as
 * zeros.
 */
#pragma once

#include <gadget/lost.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define GADGET_MAX_EVENT_SIZE 10240

#define GADGET_TRACER_MAP(_name, _size)                                                            \
        struct {                                                                                   \
                __uint(type, BPF_MAP_TYPE_RINGBUF);                                                \
                __uint(max_entries, _size);                                                        \
        } _name SEC(".maps");                                                                      \
        GADGET_LOST_COUNTER(_name);                                                                \
        GADGET_ANCHOR(gadget_map_tracer_##_name)

/*
 * _type *_name(void): memory of this CPU to build an event in. It holds whatever the last event
 * left there. Give each data source its own: programs that can interrupt each other must not share
 * one.
 */
#define GADGET_SCRATCH(_name, _type)                                                               \
        struct {                                                                                   \
                __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
                __uint(max_entries, 1);                                                            \
                __type(key, __u32);                                                                \
                __type(value, _type);                                                              \
        } _name##_map SEC(".maps");                                                                \
        static __always_inline _type *_name(void) {                                                \
                __u32 zero = 0;                                                                    \
                                                                                                   \
                return bpf_map_lookup_elem(&_name##_map, &zero);                                   \
        }

#define gadget_has_helper(_helper) bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_##_helper)

/* Sends size bytes. 0, or the negative errno of an event that was counted as lost. */
#define gadget_output_buf(_ctx, _map, _buf, _size)                                                 \
        __gadget_output_buf(_ctx, _map, _map##_lost_samples, _buf, _size)

static __always_inline long __gadget_output_buf(void *ctx, void *map, void *lost, void *buf,
                                                __u64 size) {
        long r;

        if (gadget_has_helper(ringbuf_output))
                r = bpf_ringbuf_output(map, buf, size, 0);
        else
                r = bpf_perf_event_output(ctx, map, BPF_F_CURRENT_CPU, buf, size);
        if (r < 0)
                __gadget_count_lost(lost);
        return r;
}

#ifndef GADGET_NO_BUF_RESERVE

/* Stands in for the ring while an event is filled, where there is no ring. */
struct gadget_heap_slot {
        __u64 is_taken;
        __u8 data[GADGET_MAX_EVENT_SIZE];
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct gadget_heap_slot);
} gadget_heap SEC(".maps");

/* Room for an event of `size` bytes, a compile-time constant; its content is undefined. NULL:
 * counted as lost. */
#define gadget_reserve_buf(_map, _size) __gadget_reserve_buf(_map, _map##_lost_samples, _size)

static __always_inline void *__gadget_reserve_buf(void *map, void *lost, __u64 size) {
        struct gadget_heap_slot *slot;
        __u32 zero = 0;
        void *buf;

        if (gadget_has_helper(ringbuf_reserve)) {
                buf = bpf_ringbuf_reserve(map, size, 0);
                if (!buf)
                        __gadget_count_lost(lost);
                return buf;
        }

        /* A program that interrupts another one ends before that goes on, so that testing and
         * setting need not be one step: whoever takes the slot in between has given it back by
         * then. */
        slot = bpf_map_lookup_elem(&gadget_heap, &zero);
        if (!slot || size > GADGET_MAX_EVENT_SIZE || slot->is_taken) {
                __gadget_count_lost(lost);
                return NULL;
        }
        slot->is_taken = 1;
        return slot->data;
}

/* Gives the room back unsent. */
static __always_inline void gadget_discard_buf(void *buf) {
        if (gadget_has_helper(ringbuf_discard)) {
                bpf_ringbuf_discard(buf, 0);
                return;
        }
        *(__u64 *)(buf - __builtin_offsetof(struct gadget_heap_slot, data)) = 0;
}

/* Sends what was filled. 0, or the negative errno of an event that was counted as lost. */
#define gadget_submit_buf(_ctx, _map, _buf, _size)                                                 \
        __gadget_submit_buf(_ctx, _map, _map##_lost_samples, _buf, _size)

static __always_inline long __gadget_submit_buf(void *ctx, void *map, void *lost, void *buf,
                                                __u64 size) {
        long r;

        if (gadget_has_helper(ringbuf_submit)) {
                bpf_ringbuf_submit(buf, 0);
                return 0;
        }
        r = bpf_perf_event_output(ctx, map, BPF_F_CURRENT_CPU, buf, size);
        if (r < 0)
                __gadget_count_lost(lost);
        *(__u64 *)(buf - __builtin_offsetof(struct gadget_heap_slot, data)) = 0;
        return r;
}

#endif
