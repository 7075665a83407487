/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How often each process makes each system call, and how often it fails. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define CALLS_MAX 16384
#define ERRNO_MAX 4095

struct syscall_key {
        gadget_mntns_id mntns_id;
        gadget_syscall syscall_raw;
        gadget_pid pid;
        gadget_comm comm[TASK_COMM_LEN];
};

struct syscall_stats {
        gadget_counter__u64 calls;
        gadget_counter__u64 errors;
};

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, CALLS_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, struct syscall_key);
        __type(value, struct syscall_stats);
} stats SEC(".maps");
GADGET_LOST_COUNTER(stats);

const volatile __u32 stats_max_entries = 0;
GADGET_PARAM(stats_max_entries);

const volatile bool failed_only = false;
GADGET_PARAM(failed_only);

GADGET_MAPITER(syscalls, stats);

SEC("tracepoint/raw_syscalls/sys_exit")
int on_sys_exit(struct trace_event_raw_sys_exit *ctx) {
        static const struct syscall_stats none = {};
        bool is_error = ctx->ret < 0 && ctx->ret >= -ERRNO_MAX;
        struct syscall_stats *value;
        struct syscall_key key = {};

        if (ctx->id < 0 || (failed_only && !is_error) || gadget_should_discard_data_current())
                return 0;
        key.mntns_id = gadget_get_current_mntns_id();
        key.syscall_raw = ctx->id;
        key.pid = bpf_get_current_pid_tgid() >> 32;
        bpf_get_current_comm(key.comm, sizeof(key.comm));
        value = gadget_map_lookup_or_init(&stats, &key, &none);
        if (!value)
                return 0;
        __sync_fetch_and_add(&value->calls, 1);
        if (is_error)
                __sync_fetch_and_add(&value->errors, 1);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
