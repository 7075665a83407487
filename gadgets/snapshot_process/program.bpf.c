/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The processes there are now, one row each; their threads as well if asked to. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

#define PF_KTHREAD 0x00200000

struct process {
        struct gadget_process proc;
        gadget_netns_id netns_id;
        bool is_kernel_thread;
};

const volatile bool show_threads = false;
GADGET_PARAM(show_threads);

GADGET_ITER(processes, process, on_task);

SEC("iter/task")
int on_task(struct bpf_iter__task *ctx) {
        struct task_struct *task = ctx->task, *parent;
        struct process row = {};

        if (!task || (!show_threads && task->tgid != task->pid))
                return 0;
        /* A task that is on its way out has no namespaces any more. */
        row.proc.mntns_id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
        if (gadget_should_discard_mntns_id(row.proc.mntns_id))
                return 0;
        row.netns_id = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
        row.proc.pid = task->tgid;
        row.proc.tid = task->pid;
        row.proc.creds.uid = BPF_CORE_READ(task, cred, uid.val);
        row.proc.creds.gid = BPF_CORE_READ(task, cred, gid.val);
        bpf_probe_read_kernel(row.proc.comm, sizeof(row.proc.comm), task->comm);
        parent = task->real_parent;
        row.proc.parent.pid = parent->tgid;
        row.proc.parent.tid = parent->pid;
        bpf_probe_read_kernel(row.proc.parent.comm, sizeof(row.proc.parent.comm), parent->comm);
        row.is_kernel_thread = (task->flags & PF_KTHREAD) != 0;
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
