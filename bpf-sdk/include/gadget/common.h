/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What nearly every event says: who did it. */
#pragma once

#include <gadget/mntns.h>
#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Fills p from the current task. Its parent is the one that gets its exit status: real_parent, not
 * a tracer. */
static __always_inline void gadget_process_populate(struct gadget_process *p) {
        __u64 pid_tgid = bpf_get_current_pid_tgid();
        __u64 uid_gid = bpf_get_current_uid_gid();
        struct task_struct *parent;

        p->pid = pid_tgid >> 32;
        p->tid = (__u32)pid_tgid;
        p->creds.uid = (__u32)uid_gid;
        p->creds.gid = uid_gid >> 32;
        bpf_get_current_comm(p->comm, sizeof(p->comm));

        if (GADGET_HAS_TASK_BTF) {
                struct task_struct *task = bpf_get_current_task_btf();

                p->mntns_id = task->nsproxy->mnt_ns->ns.inum;
                parent = task->real_parent;
                p->parent.pid = parent->tgid;
                p->parent.tid = parent->pid;
        } else {
                struct task_struct *task = (struct task_struct *)bpf_get_current_task();

                p->mntns_id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
                parent = BPF_CORE_READ(task, real_parent);
                p->parent.pid = BPF_CORE_READ(parent, tgid);
                p->parent.tid = BPF_CORE_READ(parent, pid);
        }
        bpf_probe_read_kernel(p->parent.comm, sizeof(p->parent.comm), &parent->comm);
}
