/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Three kinds of data sources in one object, all by the design document's names: a call of
 * getsid(N) is an event, counted by whether N is odd, and a slot of a histogram. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/bits.bpf.h>

#define SLOTS 16

struct event {
        __u32 number;
        __u8 text[16];
};

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, 65536);
        __type(value, struct event);
} print_numbers SEC(".maps");

struct parity {
        __u32 is_odd;
};

struct calls {
        __u64 count;
        __u64 sum;
};

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 16);
        __type(key, struct parity);
        __type(value, struct calls);
} stats_calls SEC(".maps");

struct slots {
        __u32 slots[SLOTS];
};

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct slots);
} hist_numbers_by_size SEC(".maps");

const volatile __u32 only_pid = 0;
const void *gadget_param_only_pid __attribute__((unused));

static __always_inline void put_event(__u32 number) {
        struct event *event = bpf_ringbuf_reserve(&print_numbers, sizeof(*event), 0);

        if (!event)
                return;
        __builtin_memset(event, 0, sizeof(*event));
        event->number = number;
        __builtin_memcpy(event->text, "a number", 9);
        bpf_ringbuf_submit(event, 0);
}

static __always_inline void put_call(__u32 number) {
        struct parity key = { .is_odd = number & 1 };
        struct calls none = {}, *calls;

        bpf_map_update_elem(&stats_calls, &key, &none, BPF_NOEXIST);
        calls = bpf_map_lookup_elem(&stats_calls, &key);
        if (!calls)
                return;
        __sync_fetch_and_add(&calls->count, 1);
        __sync_fetch_and_add(&calls->sum, number);
}

static __always_inline void put_slot(__u32 number) {
        static const struct slots none = {};
        __u32 key = 7, slot = log2(number);
        struct slots *slots;

        bpf_map_update_elem(&hist_numbers_by_size, &key, &none, BPF_NOEXIST);
        slots = bpf_map_lookup_elem(&hist_numbers_by_size, &key);
        if (slots && slot < SLOTS)
                __sync_fetch_and_add(&slots->slots[slot], 1);
}

SEC("tracepoint/syscalls/sys_enter_getsid")
int on_getsid(struct syscall_trace_enter *ctx) {
        __u32 number = ctx->args[0];

        if (bpf_get_current_pid_tgid() >> 32 != only_pid)
                return 0;
        put_event(number);
        put_call(number);
        put_slot(number);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
