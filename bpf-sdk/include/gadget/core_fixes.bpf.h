/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kernel fields and types that have moved, under names that stay. Types with three underscores in
 * their name are taken by CO-RE for the kernel's type of the name before them, as it was at some
 * time.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* For branches that no kernel takes: the verifier must not meet an access whose field does not
 * exist. */
#ifndef bpf_core_unreachable
#define bpf_core_unreachable() __builtin_unreachable()
#endif

/* task_struct.state became __state in 5.14. */
struct task_struct___old_state {
        volatile long state;
} __attribute__((preserve_access_index));

struct task_struct___new_state {
        unsigned int __state;
} __attribute__((preserve_access_index));

static __always_inline __s64 get_task_state(void *task) {
        struct task_struct___new_state *now = task;
        struct task_struct___old_state *before = task;

        if (bpf_core_field_exists(now->__state))
                return BPF_CORE_READ(now, __state);
        return BPF_CORE_READ(before, state);
}

/* bio.bi_disk went into bio.bi_bdev in 5.12. */
struct bio___with_disk {
        struct gendisk *bi_disk;
} __attribute__((preserve_access_index));

static __always_inline struct gendisk *get_gendisk(void *bio) {
        struct bio___with_disk *before = bio;

        if (bpf_core_field_exists(before->bi_disk))
                return BPF_CORE_READ(before, bi_disk);
        return BPF_CORE_READ((struct bio *)bio, bi_bdev, bd_disk);
}

/* request.rq_disk is reached through the queue since 5.17. */
struct request___with_disk {
        struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

struct request_queue___with_disk {
        struct gendisk *disk;
} __attribute__((preserve_access_index));

struct request___without_disk {
        struct request_queue___with_disk *q;
} __attribute__((preserve_access_index));

static __always_inline struct gendisk *get_disk(void *request) {
        struct request___with_disk *before = request;
        struct request___without_disk *now = request;

        if (bpf_core_field_exists(before->rq_disk))
                return BPF_CORE_READ(before, rq_disk);
        return BPF_CORE_READ(now, q, disk);
}

/* Tracepoint block_rq_complete has a type of its own since 5.16, and shares it with block_rq_error.
 */
struct trace_event_raw_block_rq_complete___x {
        dev_t dev;
        sector_t sector;
        unsigned int nr_sector;
} __attribute__((preserve_access_index));

struct trace_event_raw_block_rq_completion___x {
        dev_t dev;
        sector_t sector;
        unsigned int nr_sector;
} __attribute__((preserve_access_index));

static __always_inline bool has_block_rq_completion(void) {
        return bpf_core_type_exists(struct trace_event_raw_block_rq_completion___x);
}

/* The functions of the VFS have taken a first argument more since 5.12, which 6.3 renamed;
 * renamedata shows which it is. */
struct renamedata___x {
        struct user_namespace *old_mnt_userns;
        struct mnt_idmap *new_mnt_idmap;
} __attribute__((preserve_access_index));

static __always_inline bool renamedata_has_old_mnt_userns_field(void) {
        return bpf_core_field_exists(struct renamedata___x, old_mnt_userns);
}

static __always_inline bool renamedata_has_new_mnt_idmap_field(void) {
        return bpf_core_field_exists(struct renamedata___x, new_mnt_idmap);
}

/* Tracepoints kfree and kmem_cache_free shared one type until 5.13. */
struct trace_event_raw_kmem_free___x {
        const void *ptr;
} __attribute__((preserve_access_index));

struct trace_event_raw_kfree___x {
        const void *ptr;
} __attribute__((preserve_access_index));

struct trace_event_raw_kmem_cache_free___x {
        const void *ptr;
} __attribute__((preserve_access_index));

static __always_inline bool has_kfree(void) {
        return bpf_core_type_exists(struct trace_event_raw_kfree___x);
}

static __always_inline bool has_kmem_cache_free(void) {
        return bpf_core_type_exists(struct trace_event_raw_kmem_cache_free___x);
}

/* Tracepoint tcp_retransmit_skb shared its type with others until 6.15. */
struct trace_event_raw_tcp_event_sk_skb___x {
        const void *skbaddr;
        const void *skaddr;
} __attribute__((preserve_access_index));

struct trace_event_raw_tcp_retransmit_skb___x {
        const void *skbaddr;
        const void *skaddr;
} __attribute__((preserve_access_index));

static __always_inline const struct sk_buff *gadget_get_tcp_retransmit_skb_skbaddr(void *ctx) {
        struct trace_event_raw_tcp_retransmit_skb___x *now = ctx;
        struct trace_event_raw_tcp_event_sk_skb___x *before = ctx;

        if (bpf_core_type_exists(struct trace_event_raw_tcp_retransmit_skb___x))
                return BPF_CORE_READ(now, skbaddr);
        return BPF_CORE_READ(before, skbaddr);
}

static __always_inline const struct sock *gadget_get_tcp_retransmit_skb_skaddr(void *ctx) {
        struct trace_event_raw_tcp_retransmit_skb___x *now = ctx;
        struct trace_event_raw_tcp_event_sk_skb___x *before = ctx;

        if (bpf_core_type_exists(struct trace_event_raw_tcp_retransmit_skb___x))
                return BPF_CORE_READ(now, skaddr);
        return BPF_CORE_READ(before, skaddr);
}

/* inode.i_ctime became private in 6.6 and two fields in 6.11. */
struct inode___ctime_timespec {
        struct timespec64 i_ctime;
} __attribute__((preserve_access_index));

struct inode___private_ctime {
        struct timespec64 __i_ctime;
} __attribute__((preserve_access_index));

struct inode___ctime_fields {
        __s64 i_ctime_sec;
        __u32 i_ctime_nsec;
} __attribute__((preserve_access_index));

static __always_inline __u64 gadget_get_ctime_nanosec_from_inode(const struct inode *inode) {
        const struct inode___ctime_timespec *before = (const void *)inode;
        const struct inode___private_ctime *private = (const void *)inode;
        const struct inode___ctime_fields *fields = (const void *)inode;
        __s64 sec;
        __s64 nsec;

        if (bpf_core_field_exists(fields->i_ctime_sec)) {
                sec = BPF_CORE_READ(fields, i_ctime_sec);
                nsec = BPF_CORE_READ(fields, i_ctime_nsec) & 0x7fffffff; /* the top bit is a flag */
        } else if (bpf_core_field_exists(private->__i_ctime)) {
                sec = BPF_CORE_READ(private, __i_ctime.tv_sec);
                nsec = BPF_CORE_READ(private, __i_ctime.tv_nsec);
        } else {
                sec = BPF_CORE_READ(before, i_ctime.tv_sec);
                nsec = BPF_CORE_READ(before, i_ctime.tv_nsec);
        }
        return sec < 0 ? 0 : sec * 1000000000ULL + nsec;
}

/* Number and first argument of a syscall, from registers that raw_tracepoint/sys_enter passes: one
 * source for all architectures. */
struct pt_regs___any_x86 {
        unsigned long di;
        unsigned long orig_ax;
} __attribute__((preserve_access_index));

struct pt_regs___any_arm64 {
        __u64 regs[31];
        __u64 orig_x0;
        __s32 syscallno;
} __attribute__((preserve_access_index));

static __always_inline long gadget_get_syscall_nr(struct pt_regs *regs) {
        struct pt_regs___any_x86 *x86 = (void *)regs;
        struct pt_regs___any_arm64 *arm64 = (void *)regs;

        if (bpf_core_field_exists(x86->orig_ax))
                return BPF_CORE_READ(x86, orig_ax);
        if (bpf_core_field_exists(arm64->syscallno))
                return BPF_CORE_READ(arm64, syscallno);
        return -1;
}

static __always_inline unsigned long gadget_get_syscall_arg1(struct pt_regs *regs) {
        struct pt_regs___any_x86 *x86 = (void *)regs;
        struct pt_regs___any_arm64 *arm64 = (void *)regs;

        if (bpf_core_field_exists(x86->di))
                return BPF_CORE_READ(x86, di);
        if (bpf_core_field_exists(arm64->orig_x0))
                return BPF_CORE_READ(arm64, orig_x0);
        return -1;
}
