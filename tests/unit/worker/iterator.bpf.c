/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An iterator as the design document has it: one variable says what it writes. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

struct task {
        __u32 pid;
        __u8 comm[16];
        __u8 odd[3]; /* no multiple of what the kernel hands over at a time */
};

const volatile struct task tasks_output = {};
const struct task *gadget_iter_type;

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx) {
        struct task_struct *task = ctx->task;
        struct task row = {};

        if (!task)
                return 0;
        row.pid = task->pid;
        bpf_probe_read_kernel(row.comm, sizeof(row.comm), task->comm);
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
