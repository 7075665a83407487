/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The open files of one process. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <gadget/macros.h>
#include <gadget/types.h>

struct open_file {
        gadget_pid pid;
        __u32 fd;
        __u64 inode;
};

const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

GADGET_ITER(files, open_file, on_file);

SEC("iter/task_file")
int on_file(struct bpf_iter__task_file *ctx) {
        struct task_struct *task = ctx->task;
        struct file *file = ctx->file;
        struct open_file row = {};

        if (!task || !file || task->tgid != only_pid)
                return 0;
        row.pid = task->tgid;
        row.fd = ctx->fd;
        row.inode = BPF_CORE_READ(file, f_inode, i_ino);
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
