/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One 128-byte event of 12 fields for each getppid(): the cheapest syscall, so that events come as
 * fast as a program can make them. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
        gadget_timestamp timestamp_raw;
        __u64 count;
        __u64 addr;
        gadget_pid pid;
        gadget_tid tid;
        gadget_uid uid;
        gadget_gid gid;
        __u32 cpu;
        __s32 result;
        __u64 number;
        gadget_comm comm[TASK_COMM_LEN];
        char text[56];
};

GADGET_TRACER_MAP(events, 2 * 1024 * 1024);
GADGET_TRACER(flood, events, event);

__u64 counter = 0;

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        __u64 pid_tgid, uid_gid;
        struct event *event;

        if (gadget_should_discard_data_current())
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        pid_tgid = bpf_get_current_pid_tgid();
        uid_gid = bpf_get_current_uid_gid();
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        event->count = __sync_fetch_and_add(&counter, 1);
        event->addr = (__u64)(long)ctx;
        event->pid = pid_tgid >> 32;
        event->tid = (__u32)pid_tgid;
        event->uid = (__u32)uid_gid;
        event->gid = uid_gid >> 32;
        event->cpu = bpf_get_smp_processor_id();
        event->result = -11;
        event->number = 110;
        bpf_get_current_comm(event->comm, sizeof(event->comm));
        __builtin_memcpy(event->text, "the quick brown fox jumps over the lazy dog", 44);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
