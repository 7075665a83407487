/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

/* Number of each function in the order in which they were called first. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 16);
        __type(key, __u64);
        __type(value, __u32);
} numbers SEC(".maps");

__u64 count = 0;

/* vfs_mkdir and vfs_rmdir */
SEC("kprobe.multi/vfs_??dir")
int BPF_KPROBE(on_enter) {
        __u64 function = bpf_get_func_ip(ctx);
        __u32 number;

        if (bpf_get_current_pid_tgid() >> 32 != only_pid ||
            bpf_map_lookup_elem(&numbers, &function))
                return 0;
        number = __sync_fetch_and_add(&count, 1) + 1;
        bpf_map_update_elem(&numbers, &function, &number, BPF_ANY);
        put_current(ctx, 1, number);
        return 0;
}

SEC("kretprobe.multi/vfs_rmd*")
int BPF_KRETPROBE(on_return, int result) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid && result != 0)
                put_current(ctx, 2, -result);
        return 0;
}
