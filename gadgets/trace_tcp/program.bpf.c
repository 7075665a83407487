/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP connections: made, accepted, closed.
 *
 * No kprobe: what a connection goes through is told by tracepoint inet_sock_set_state, and the
 * descriptor that accept() returns leads to the socket. Whoever connects is remembered until the
 * answer has come, since that arrives in an interrupt, where any task may be the current one.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/core_fixes.bpf.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/sock.h>
#include <gadget/syscall.h>
#include <gadget/types.h>

#define CONNECTIONS_MAX 16384
#define ECONNABORTED 103
#define PF_KTHREAD 0x00200000

#ifdef __TARGET_ARCH_x86
#define NR_CLOSE 3
#else
#define NR_CLOSE 57
#endif

enum event_type { connect, accept, close };

struct event {
        gadget_timestamp timestamp_raw;
        gadget_netns_id netns_id;
        struct gadget_process proc;
        enum event_type type_raw;
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        gadget_errno error_raw;
        __s32 fd;        /* of the call; -1 when it was not made on one */
        __s32 accept_fd; /* of the accepted connection; -1 = none */
};

/* Who has connected or accepted a socket that is not closed. */
struct owner {
        struct gadget_process proc;
        __s32 fd;
};

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, CONNECTIONS_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, __u64); /* struct sock * */
        __type(value, struct owner);
} owners SEC(".maps");

const volatile bool connect_only = false;
const volatile bool accept_only = false;
const volatile bool failure_only = false;
GADGET_PARAM(connect_only);
GADGET_PARAM(accept_only);
GADGET_PARAM(failure_only);

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(tcp, events, event);

static __always_inline bool is_wanted(enum event_type type, int error) {
        if (failure_only && error == 0)
                return false;
        if (connect_only || accept_only)
                return (connect_only && type == connect) || (accept_only && type == accept);
        return true;
}

static __always_inline struct event *new_event(const struct sock *sk, enum event_type type) {
        struct event *event = gadget_reserve_buf(&events, sizeof(*event));

        if (!event)
                return NULL;
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        event->netns_id = gadget_sock_netns(sk);
        event->type_raw = type;
        event->error_raw = 0;
        event->fd = event->accept_fd = -1;
        gadget_sock_endpoints(sk, IPPROTO_TCP, &event->src, &event->dst);
        return event;
}

/* The first argument of the call that the current task is in, if that is this socket. */
static __always_inline int fd_of_call(const struct sock *sk) {
        int fd = gadget_syscall_arg(gadget_syscall_regs(), 0);

        return gadget_sock_of_fd(fd) == sk ? fd : -1;
}

/* A descriptor is free already when close() closes what was behind it. */
static __always_inline int fd_of_close(const struct sock *sk) {
        const struct pt_regs *regs = gadget_syscall_regs();

        if (gadget_get_syscall_nr((struct pt_regs *)regs) == NR_CLOSE)
                return gadget_syscall_arg(regs, 0);
        return fd_of_call(sk);
}

static __always_inline void remember(const struct sock *sk, int fd) {
        __u64 key = (__u64)sk;
        struct owner owner = { .fd = fd };

        gadget_process_populate(&owner.proc);
        if (bpf_map_update_elem(&owners, &key, &owner, BPF_ANY) < 0)
                gadget_count_lost(&events);
}

static __always_inline void on_connected(void *ctx, const struct sock *sk, bool has_failed) {
        __u64 key = (__u64)sk;
        struct owner *owner = bpf_map_lookup_elem(&owners, &key);
        struct event *event;
        int error = 0;

        if (!owner)
                return;
        if (has_failed) {
                error = BPF_CORE_READ(sk, sk_err);
                if (error == 0)
                        error = ECONNABORTED; /* by this side: closed before there was an answer */
        }
        if (!is_wanted(connect, error))
                return;
        event = new_event(sk, connect);
        if (!event)
                return;
        event->proc = owner->proc;
        event->fd = owner->fd;
        event->error_raw = error;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

/* The connection has ended: closed or shut down by a task that holds the socket's lock, or reset by
 * the other side or a timer, in an interrupt. A task that exits has no namespaces any more when its
 * files are closed. */
static __always_inline void on_closed(void *ctx, const struct sock *sk) {
        struct task_struct *task = (struct task_struct *)bpf_get_current_task();
        bool is_by_task = BPF_CORE_READ(sk, sk_lock.owned) &&
                          !(BPF_CORE_READ(task, flags) & PF_KTHREAD) &&
                          gadget_get_current_mntns_id() != 0;
        __u64 key = (__u64)sk;
        struct owner *owner = NULL;
        struct event *event;

        /* Nobody has accepted it. */
        if (!BPF_CORE_READ(sk, sk_socket) || !is_wanted(close, 0))
                return;
        if (is_by_task) {
                if (gadget_should_discard_data_current())
                        return;
        } else {
                owner = bpf_map_lookup_elem(&owners, &key);
                if (!owner)
                        return; /* it is older than this gadget, or of nobody who is of interest */
        }
        event = new_event(sk, close);
        if (!event)
                return;
        if (owner) {
                event->proc = owner->proc;
        } else {
                gadget_process_populate(&event->proc);
                event->fd = fd_of_close(sk);
        }
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(on_state, const struct sock *sk, int old, int new) {
        __u64 key = (__u64)sk;

        if (gadget_sock_proto(sk) != IPPROTO_TCP)
                return 0;
        if (old == BPF_TCP_CLOSE && new == BPF_TCP_SYN_SENT) {
                if (!gadget_should_discard_data_current())
                        remember(sk, fd_of_call(sk));
                return 0;
        }
        if (old == BPF_TCP_SYN_SENT && (new == BPF_TCP_ESTABLISHED || new == BPF_TCP_CLOSE))
                on_connected(ctx, sk, new == BPF_TCP_CLOSE);
        else if ((old == BPF_TCP_ESTABLISHED || old == BPF_TCP_CLOSE_WAIT) &&
                 (new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_LAST_ACK || new == BPF_TCP_CLOSE))
                on_closed(ctx, sk);
        if (new == BPF_TCP_CLOSE)
                bpf_map_delete_elem(&owners, &key);
        return 0;
}

static __always_inline int on_exit_any_accept(struct syscall_trace_exit *ctx) {
        const struct sock *sk;
        struct event *event;

        if (ctx->ret < 0 || gadget_should_discard_data_current())
                return 0;
        sk = gadget_sock_of_fd(ctx->ret);
        if (!sk || !gadget_sock_is_inet(sk) || gadget_sock_proto(sk) != IPPROTO_TCP)
                return 0;
        if (BPF_CORE_READ(sk, __sk_common.skc_state) != BPF_TCP_CLOSE)
                remember(sk, ctx->ret);
        if (!is_wanted(accept, 0))
                return 0;
        event = new_event(sk, accept);
        if (!event)
                return 0;
        gadget_process_populate(&event->proc);
        event->fd = gadget_syscall_arg(gadget_syscall_regs(), 0);
        event->accept_fd = ctx->ret;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

SEC("tracepoint/syscalls/sys_exit_accept")
int on_exit_accept(struct syscall_trace_exit *ctx) {
        return on_exit_any_accept(ctx);
}

SEC("tracepoint/syscalls/sys_exit_accept4")
int on_exit_accept4(struct syscall_trace_exit *ctx) {
        return on_exit_any_accept(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
