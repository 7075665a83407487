/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * User stacks, taken when the user asks for them with --collect-ustack. A field `struct
 * gadget_user_stack ustack_raw` is filled by gadget_get_user_stack(); all zero means that there is
 * none. With --collect-build-id the build id and file offset of each frame are kept as well, so
 * that frames can be named where the file is out of reach.
 */
#pragma once

#include <gadget/fnv1a.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define USER_MAX_STACK_DEPTH 127

#ifndef USER_STACK_MAP_MAX_ENTRIES
#define USER_STACK_MAP_MAX_ENTRIES 10000
#endif

const volatile bool collect_ustack = false;
const volatile bool collect_build_id = false;
GADGET_PARAM(collect_ustack);
GADGET_PARAM(collect_build_id);

/* Stacks of interpreters through an OpenTelemetry profiler. Gadgets may ask, nobody can switch it
 * on: there is no profiler. */
const volatile bool collect_otel_stack = false;

struct {
        __uint(type, BPF_MAP_TYPE_STACK_TRACE);
        __uint(key_size, sizeof(__u32));
        __uint(value_size, USER_MAX_STACK_DEPTH * sizeof(__u64));
        __uint(max_entries, USER_STACK_MAP_MAX_ENTRIES);
} ig_ustack SEC(".maps");

struct gadget_build_ids {
        struct bpf_stack_build_id frames[USER_MAX_STACK_DEPTH];
};

/* By id of the stack. gadgetd takes the size of a map from the variable MAP_max_entries, if there
 * is one. */
const volatile int ig_build_id_max_entries = 1024;

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct gadget_build_ids);
} ig_build_id SEC(".maps");

/* The time of last modification has moved twice. */
struct inode___mtime_timespec {
        struct timespec64 i_mtime; /* up to 6.6 */
} __attribute__((preserve_access_index));

struct inode___private_mtime {
        struct timespec64 __i_mtime; /* 6.7 to 6.10 */
} __attribute__((preserve_access_index));

struct inode___mtime_fields {
        __s64 i_mtime_sec; /* from 6.11 on */
        __u32 i_mtime_nsec;
} __attribute__((preserve_access_index));

static __always_inline void gadget_read_mtime(struct inode *inode,
                                              struct gadget_user_stack *stack) {
        struct inode___mtime_timespec *old = (void *)inode;
        struct inode___private_mtime *private = (void *)inode;
        struct inode___mtime_fields *fields = (void *)inode;

        if (bpf_core_field_exists(fields->i_mtime_sec)) {
                stack->mtime_sec = BPF_CORE_READ(fields, i_mtime_sec);
                stack->mtime_nsec = BPF_CORE_READ(fields, i_mtime_nsec);
        } else if (bpf_core_field_exists(private->__i_mtime)) {
                stack->mtime_sec = BPF_CORE_READ(private, __i_mtime.tv_sec);
                stack->mtime_nsec = BPF_CORE_READ(private, __i_mtime.tv_nsec);
        } else {
                stack->mtime_sec = BPF_CORE_READ(old, i_mtime.tv_sec);
                stack->mtime_nsec = BPF_CORE_READ(old, i_mtime.tv_nsec);
        }
}

/* Entry n of the pid's chain of namespaces. Older kernels declare the array with one element, which
 * CO-RE takes at its word, so that the step to the next one is made by hand. */
static __always_inline struct upid *gadget_upid(struct pid *pid, int n) {
        return (void *)pid + bpf_core_field_offset(pid->numbers) +
               n * bpf_core_type_size(struct upid);
}

static __always_inline void gadget_read_pids(struct task_struct *task,
                                             struct gadget_user_stack *stack) {
        struct pid *pid = BPF_CORE_READ(task, thread_pid);
        struct upid *level0 = gadget_upid(pid, 0);
        struct upid *level1 = gadget_upid(pid, 1);

        stack->tgid_level0 = BPF_CORE_READ(task, tgid);
        stack->pid_level0 = BPF_CORE_READ(task, pid);
        stack->pidns_level0 = BPF_CORE_READ(level0, ns, ns.inum);
        if (BPF_CORE_READ(pid, level) > 0) {
                stack->pid_level1 = BPF_CORE_READ(level1, nr);
                stack->pidns_level1 = BPF_CORE_READ(level1, ns, ns.inum);
        }
}

static __always_inline void gadget_read_executable(struct task_struct *task,
                                                   struct gadget_user_stack *stack) {
        struct mm_struct *mm = BPF_CORE_READ(task, mm);
        struct inode *inode = BPF_CORE_READ(mm, exe_file, f_inode);
        __u32 dev = BPF_CORE_READ(inode, i_sb, s_dev);

        stack->major = dev >> 20;
        stack->minor = dev & 0xfffff;
        stack->inode = BPF_CORE_READ(inode, i_ino);
        gadget_read_mtime(inode, stack);
        stack->base_addr_hash = fnv_32a_update_u64(fnv_32a_init(), BPF_CORE_READ(mm, start_code));
}

static __always_inline void gadget_read_build_ids(void *ctx, __u32 stack_id) {
        static const struct gadget_build_ids none = {};
        struct gadget_build_ids *ids;

        if (bpf_map_update_elem(&ig_build_id, &stack_id, &none, BPF_NOEXIST) < 0)
                return; /* known already, or the map is full: frames then stay without */
        ids = bpf_map_lookup_elem(&ig_build_id, &stack_id);
        if (ids)
                bpf_get_stack(ctx, ids, sizeof(*ids), BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
}

/* Fills stack, or leaves it all zero: when stacks are not wanted, for kernel threads, when the map
 * is full. */
static __always_inline void gadget_get_user_stack(void *ctx, struct gadget_user_stack *stack) {
        struct task_struct *task;
        long id;

        __builtin_memset(stack, 0, sizeof(*stack));
        if (!collect_ustack)
                return;
        id = bpf_get_stackid(ctx, &ig_ustack, BPF_F_USER_STACK);
        if (id < 0)
                return;

        task = (struct task_struct *)bpf_get_current_task();
        stack->stack_id = id;
        stack->boot_timestamp = bpf_ktime_get_boot_ns();
        gadget_read_executable(task, stack);
        gadget_read_pids(task, stack);
        if (collect_build_id)
                gadget_read_build_ids(ctx, id);
}

/* Names by which other kinds of programs ask for the same. */
#define gadget_get_user_stack_from_tracepoint gadget_get_user_stack
#define gadget_get_user_stack_from_kprobe gadget_get_user_stack
#define gadget_get_user_stack_from_perf_event gadget_get_user_stack
