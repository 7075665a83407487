/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The types that tell gadgetd what a field means. It finds them by name in the object's BTF: a
 * `gadget_errno error_raw` is an int to the program and "ENOENT" to whoever reads the event. A
 * field that ends in `_raw` gets a rendered twin of the same name without it. Fields that start
 * with two underscores are private and never leave the worker.
 *
 * The layout of the structs is ABI: objects compiled long ago are still decoded by it.
 */
#pragma once

/* Kernel types come from the SDK's vmlinux.h, unless the program has already chosen the uapi
 * headers. */
#if !defined(__VMLINUX_H__) && !defined(_LINUX_TYPES_H)
#include <vmlinux.h>
#endif

#ifndef TASK_COMM_LEN
#define TASK_COMM_LEN 16
#endif

/* Who: these select the container, and the template of a column. */
typedef __u64
        gadget_mntns_id; /* inode number of the mount namespace; at most one field of an event */
typedef __u32
        gadget_netns_id; /* inode number of the network namespace; at most one field of an event */
typedef __u32 gadget_pid;
typedef __u32 gadget_tid;
typedef __u32 gadget_ppid;
typedef __u32 gadget_ptid;
typedef __u32 gadget_uid;
typedef __u32 gadget_gid;
typedef char gadget_comm;  /* gadget_comm comm[TASK_COMM_LEN] */
typedef char gadget_pcomm; /* of the parent */

/* What: rendered as text. */
typedef __u64 gadget_timestamp; /* bpf_ktime_get_boot_ns() */
typedef __u64 gadget_duration;  /* nanoseconds */
typedef __u64 gadget_bytes;
typedef __u64 gadget_syscall;    /* number on this architecture */
typedef __u32 gadget_signal;     /* number */
typedef __u32 gadget_errno;      /* positive, 0 = no error */
typedef __u32 gadget_file_mode;  /* st_mode, or the mode argument of open() */
typedef __u32 gadget_file_flags; /* flags of open() */
typedef char
        gadget_argv; /* gadget_argv args[N]: strings, each with its NUL, one behind the other */
typedef __u8 gadget_dns_name; /* gadget_dns_name name[N]: labels as a DNS message has them; shown as
                                 text */
typedef __u32 gadget_netif_index;  /* of a network interface */
typedef __u32 gadget_kernel_stack; /* id in ig_kstack, see kernel_stack_map.h */

/* Metrics: the field is a label unless it has one of these. */
typedef __u32 gadget_counter__u32;
typedef __u64 gadget_counter__u64;
typedef __u32 gadget_gauge__u32;
typedef __u64 gadget_gauge__u64;
typedef __u32 gadget_histogram_slot__u32; /* array of them: slot n counts the values from 2^n to
                                             2^(n+1) - 1 */
typedef __u64 gadget_histogram_slot__u64;

/* Network order. An IPv4 address stands in the first four bytes. */
union gadget_ip_addr_t {
        __u8 v6[16];
        __u32 v4;
};

struct gadget_l3endpoint_t {
        union gadget_ip_addr_t addr_raw;
        __u8 version; /* 4 or 6; 0 = no address */
};

struct gadget_l4endpoint_t {
        union gadget_ip_addr_t addr_raw;
        __u16 port; /* host order */
        union {
                __u16 proto_raw; /* IPPROTO_TCP and so on */
                __u16 proto;     /* the same under its older name */
        };
        __u8 version; /* 4 or 6; 0 = no address */
};

/* As the design document of containerized gadgets calls it. */
typedef struct gadget_l4endpoint_t endpoint_t;

struct gadget_creds {
        gadget_uid uid;
        gadget_gid gid;
};

struct gadget_parent {
        gadget_pcomm comm[TASK_COMM_LEN];
        gadget_ppid pid;
        gadget_ptid tid;
};

/* Filled by gadget_process_populate() of common.h. */
struct gadget_process {
        gadget_comm comm[TASK_COMM_LEN];
        gadget_pid pid;
        gadget_tid tid;
        gadget_mntns_id mntns_id;
        struct gadget_creds creds;
        struct gadget_parent parent;
};

/*
 * A user stack and what it takes to put names to its addresses after the process is gone: which
 * file was executed, where it was mapped, and who the process was, in its own PID namespace and in
 * the host's. All zero = no stack was taken.
 */
struct gadget_user_stack {
        /* The executable, as stat() would show it. */
        __u32 major;
        __u32 minor;
        __u64 inode;
        __u64 mtime_sec;
        __u32 mtime_nsec;
        __u32 base_addr_hash; /* tells apart two mappings of one executable */

        __u32 stack_id; /* in ig_ustack */

        /* Level 0 is the host's PID namespace, level 1 the first one below it on the way to the
         * process. */
        __u32 tgid_level0;
        __u32 pid_level0;
        __u32 pidns_level0;
        __u32 pid_level1;
        __u32 pidns_level1;

        __u64 otel_correlation_id;
        __u64 boot_timestamp;
};
