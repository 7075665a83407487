/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A bit of everything that goes through a worker's syscall(): map types, program types, global
 * data, an iterator. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u32 target_pid = 0;
__u64 n_seen = 0;

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, 256 * 1024);
} events SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 64);
        __type(key, __u32);
        __type(value, __u64);
} counts SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u32);
} per_cpu SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
        __uint(max_entries, 2);
        __type(key, __u32);
        __type(value, __u32);
} jumps SEC(".maps");

struct inner {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u64);
} inner_map SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
        __uint(max_entries, 4);
        __type(key, __u32);
        __array(values, struct inner);
} outer SEC(".maps");

static __always_inline bool is_target(void) {
        return bpf_get_current_pid_tgid() >> 32 == target_pid;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int on_getppid(void *ctx) {
        __u64 n;

        if (!is_target())
                return 0;
        n = __sync_fetch_and_add(&n_seen, 1);
        bpf_ringbuf_output(&events, &n, sizeof(n), 0);
        return 0;
}

SEC("raw_tp/sys_enter")
int on_sys_enter(void *ctx) {
        __u32 key = 0, *slot = bpf_map_lookup_elem(&per_cpu, &key);

        if (slot && is_target())
                *slot += 1;
        return 0;
}

/* PLAIN: for a kernel without BTF. */
#ifndef PLAIN
SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret) {
        __u32 key = 7;
        __u64 one = 1, *count;

        if (!is_target())
                return 0;
        count = bpf_map_lookup_elem(&counts, &key);
        if (count)
                __sync_fetch_and_add(count, 1);
        else
                bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
        return 0;
}

SEC("iter/task")
int on_task(struct bpf_iter__task *ctx) {
        struct task_struct *task = ctx->task;
        __u32 tgid;

        if (!task)
                return 0;
        tgid = BPF_CORE_READ(task, tgid);
        if (tgid == target_pid)
                bpf_seq_write(ctx->meta->seq, &tgid, sizeof(tgid));
        return 0;
}

#endif

char LICENSE[] SEC("license") = "GPL";
