/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses and ports that sockets are bound to. One program when bind() returns: the socket then
 * says what it got, also when it asked for any port; if it got nothing, the caller's memory says
 * what it wanted.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/sock.h>
#include <gadget/syscall.h>
#include <gadget/types.h>

enum bind_options_set {
        FREEBIND = 0x01,
        TRANSPARENT = 0x02,
        BIND_ADDRESS_NO_PORT = 0x04,
        REUSEADDRESS = 0x08,
        REUSEPORT = 0x10,
};

struct event {
        gadget_timestamp timestamp_raw;
        struct gadget_process proc;
        gadget_netns_id netns_id;
        struct gadget_l4endpoint_t addr;
        gadget_errno error_raw;
        enum bind_options_set opts_raw;
        gadget_netif_index bound_dev_if_raw; /* 0 = any */
};

const volatile bool ignore_errors = true;
GADGET_PARAM(ignore_errors);

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(bind, events, event);

/* The options went into one word in 6.6. The kernel's enum of its bits has no name to find it by.
 */
struct inet_sock___flags {
        unsigned long inet_flags;
} __attribute__((preserve_access_index));

#define INET_FLAGS_FREEBIND 11
#define INET_FLAGS_TRANSPARENT 15
#define INET_FLAGS_BIND_ADDRESS_NO_PORT 18

static __always_inline __u32 inet_options(const struct inet_sock *inet) {
        const struct inet_sock___flags *now = (const void *)inet;
        bool freebind, transparent, no_port;

        if (bpf_core_field_exists(now->inet_flags)) {
                unsigned long flags = BPF_CORE_READ(now, inet_flags);

                freebind = flags & (1UL << INET_FLAGS_FREEBIND);
                transparent = flags & (1UL << INET_FLAGS_TRANSPARENT);
                no_port = flags & (1UL << INET_FLAGS_BIND_ADDRESS_NO_PORT);
        } else {
                freebind = BPF_CORE_READ_BITFIELD_PROBED(inet, freebind);
                transparent = BPF_CORE_READ_BITFIELD_PROBED(inet, transparent);
                no_port = BPF_CORE_READ_BITFIELD_PROBED(inet, bind_address_no_port);
        }
        return (freebind ? FREEBIND : 0) | (transparent ? TRANSPARENT : 0) |
               (no_port ? BIND_ADDRESS_NO_PORT : 0);
}

static __always_inline enum bind_options_set options_of(const struct sock *sk) {
        const struct sock_common *skc = &sk->__sk_common;

        return inet_options((const struct inet_sock *)sk) |
               (BPF_CORE_READ_BITFIELD_PROBED(skc, skc_reuse) ? REUSEADDRESS : 0) |
               (BPF_CORE_READ_BITFIELD_PROBED(skc, skc_reuseport) ? REUSEPORT : 0);
}

/* What the caller asked for; nothing when its memory cannot be read. */
static __always_inline void wanted_address(struct gadget_l4endpoint_t *addr, __u16 proto,
                                           const void *from) {
        struct sockaddr_in6 address = {};

        __builtin_memset(addr, 0, sizeof(*addr));
        addr->proto_raw = proto;
        /* That of IPv4 is the shorter one, and its port stands in the same place. */
        if (bpf_probe_read_user(&address, sizeof(struct sockaddr_in), from) < 0)
                return;
        addr->port = bpf_ntohs(address.sin6_port);
        if (address.sin6_family == AF_INET) {
                addr->addr_raw.v4 = ((struct sockaddr_in *)&address)->sin_addr.s_addr;
                addr->version = 4;
        } else if (bpf_probe_read_user(&address, sizeof(address), from) == 0) {
                __builtin_memcpy(addr->addr_raw.v6, &address.sin6_addr, 16);
                addr->version = 6;
        }
}

SEC("tracepoint/syscalls/sys_exit_bind")
int on_exit_bind(struct syscall_trace_exit *ctx) {
        const struct pt_regs *regs;
        struct gadget_l4endpoint_t remote;
        const struct sock *sk;
        struct event *event;
        __u16 proto;

        if ((ignore_errors && ctx->ret < 0) || gadget_should_discard_data_current())
                return 0;
        regs = gadget_syscall_regs();
        sk = gadget_sock_of_fd(gadget_syscall_arg(regs, 0));
        if (!sk || !gadget_sock_is_inet(sk))
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        gadget_process_populate(&event->proc);
        event->netns_id = gadget_sock_netns(sk);
        proto = gadget_sock_proto(sk);
        if (ctx->ret < 0)
                wanted_address(&event->addr, proto, (void *)gadget_syscall_arg(regs, 1));
        else
                gadget_sock_endpoints(sk, proto, &event->addr, &remote);
        event->error_raw = -ctx->ret;
        event->opts_raw = options_of(sk);
        event->bound_dev_if_raw = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
