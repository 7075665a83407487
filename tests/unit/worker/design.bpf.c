/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A gadget as the design document has them: a map called print_*, text as bytes, no headers of
 * ours. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

struct event {
        __u64 timestamp;
        __u32 pid;
        int ret;
        __u8 comm[16];
        __u8 fname[64];
};

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, 65536);
        __type(value, struct event);
} print_events SEC(".maps");

const volatile __u32 only_pid = 0;

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        __u32 pid = bpf_get_current_pid_tgid() >> 32;
        struct event *event;

        if (only_pid && pid != only_pid)
                return 0;
        event = bpf_ringbuf_reserve(&print_events, sizeof(*event), 0);
        if (!event)
                return 0;
        __builtin_memset(event, 0, sizeof(*event));
        event->pid = pid;
        event->ret = -2;
        bpf_get_current_comm(event->comm, sizeof(event->comm));
        __builtin_memcpy(event->fname, "/etc/hostname", 14);
        bpf_ringbuf_submit(event, 0);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
