/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps of the SDK that parameters switch on, and one whose size is a parameter. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

struct event {
        struct gadget_user_stack ustack;
};

const volatile __u32 table_max_entries = 0;
GADGET_PARAM(table_max_entries);

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 64);
        __type(key, __u64);
        __type(value, __u64);
} table SEC(".maps");

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(stacks, events, event);

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        __u64 key = gadget_get_current_mntns_id();
        struct event *event;

        if (gadget_should_discard_mntns_id(key))
                return 0;
        bpf_map_update_elem(&table, &key, &key, BPF_ANY);
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        gadget_get_user_stack(ctx, &event->ustack);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

/* Each is referred to in another way. */
#define TABLE(_name)                                                                               \
        struct {                                                                                   \
                __uint(type, BPF_MAP_TYPE_HASH);                                                   \
                __uint(max_entries, 1000);                                                         \
                __type(key, __u64);                                                                \
                __type(value, __u64);                                                              \
        } _name SEC(".maps")

TABLE(of_one);      /* by a program that a test switches off */
TABLE(of_both);     /* by that one and another */
TABLE(of_function); /* by a function that is not inlined */
TABLE(of_nobody);

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, 64 * 1024);
} ring_of_nobody SEC(".maps");

struct inner {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 10);
        __type(key, __u32);
        __type(value, __u64);
} of_a_map SEC(".maps");

/* Its elements are given: it cannot be smaller than those. */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
        __uint(max_entries, 4);
        __type(key, __u32);
        __array(values, struct inner);
} with_elements SEC(".maps") = {
        .values = { [3] = &of_a_map },
};

static __noinline __u64 touch(__u64 key) {
        return bpf_map_delete_elem(&of_function, &key);
}

SEC("tracepoint/syscalls/sys_enter_getsid")
int on_getsid(void *ctx) {
        __u64 key = touch(1);

        bpf_map_delete_elem(&of_one, &key);
        bpf_map_delete_elem(&of_both, &key);
        return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_getpgid(void *ctx) {
        __u64 key = 1;

        bpf_map_delete_elem(&of_both, &key);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
