/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which mount namespace the current task is in: the key by which gadgetd finds the container of an
 * event. */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * Whether the task can be had as a pointer that the verifier knows the type of (kernel 5.11).
 * Reading through such a pointer is a load for each step instead of a helper call, and a null
 * pointer on the way reads as zero, as it does with BPF_CORE_READ().
 */
#define GADGET_HAS_TASK_BTF                                                                        \
        bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

/* 0 where the task has no namespaces any more: it is exiting. Not for socket filters, which have no
 * current task. */
static __always_inline gadget_mntns_id gadget_get_current_mntns_id(void) {
        struct task_struct *task;

        if (GADGET_HAS_TASK_BTF) {
                task = bpf_get_current_task_btf();
                return task->nsproxy->mnt_ns->ns.inum;
        }
        task = (struct task_struct *)bpf_get_current_task();
        return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

/* The older name. */
static __always_inline gadget_mntns_id gadget_get_mntns_id(void) {
        return gadget_get_current_mntns_id();
}
