/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A tracer on a perf event array: the declaration says nothing of its size. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

struct event {
        __u64 number;
        __u32 cpu;
        __u8 text[20]; /* the size is no multiple of 8, so that the kernel pads */
};

struct {
        __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
        __uint(key_size, sizeof(__u32));
        __type(value, struct event);
} print_events SEC(".maps");

const volatile __u32 only_pid = 0;
const void *gadget_param_only_pid __attribute__((unused));
__u64 count = 0;

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        struct event event = { .text = "per CPU" };

        if (bpf_get_current_pid_tgid() >> 32 != only_pid)
                return 0;
        event.number = __sync_fetch_and_add(&count, 1);
        event.cpu = bpf_get_smp_processor_id();
        bpf_perf_event_output(ctx, &print_events, BPF_F_CURRENT_CPU, &event, sizeof(event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
