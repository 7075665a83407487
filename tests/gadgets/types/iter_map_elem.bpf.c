/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A map that one program fills and another goes through; and the tasks, by a program that may
 * sleep: two iterators in one object, beside a tracer. */
#include "type.h"

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1024);
        __type(key, __u64);
        __type(value, __u64);
} calls SEC(".maps");

struct call {
        __u32 number;
        __u64 count;
};

struct task {
        gadget_pid pid;
};

const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

GADGET_ITER(counts, call, on_count);
GADGET_ITER_TARGET_MAP(on_count, calls);
GADGET_ITER(tasks, task, on_task);

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args *ctx) {
        __u64 number = ctx->args[1], one = 1, *count;

        if (bpf_get_current_pid_tgid() >> 32 != only_pid)
                return 0;
        count = bpf_map_lookup_elem(&calls, &number);
        if (count)
                __sync_fetch_and_add(count, 1);
        else
                bpf_map_update_elem(&calls, &number, &one, BPF_NOEXIST);
        if (!count)
                put_current(ctx, 1, number); /* the first of its kind */
        return 0;
}

SEC("iter/bpf_map_elem")
int on_count(struct bpf_iter__bpf_map_elem *ctx) {
        __u64 *number = ctx->key, *count = ctx->value;
        struct call row = {};

        if (!number || !count)
                return 0;
        row.number = *number;
        row.count = *count;
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

SEC("iter.s/task")
int on_task(struct bpf_iter__task *ctx) {
        struct task_struct *task = ctx->task;
        struct task row = {};

        if (!task || task->pid != only_pid)
                return 0;
        row.pid = task->pid;
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}
