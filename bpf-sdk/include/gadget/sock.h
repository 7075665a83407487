/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a struct sock: its addresses, its network namespace, and the one behind a descriptor of
 * the current task. Time-wait sockets and connection requests are struct sock_common only: take
 * nothing else of them (gadget_sock_is_full()).
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif

#define GADGET_S_IFMT 0170000
#define GADGET_S_IFSOCK 0140000

static __always_inline bool gadget_sock_is_inet(const struct sock *sk) {
        __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

        return family == AF_INET || family == AF_INET6;
}

static __always_inline bool gadget_sock_is_full(const struct sock *sk) {
        __u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

        return state != BPF_TCP_TIME_WAIT && state != BPF_TCP_NEW_SYN_RECV;
}

static __always_inline gadget_netns_id gadget_sock_netns(const struct sock *sk) {
        return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* IPPROTO_TCP and so on, of a full socket. It was a bit field up to 5.5. */
static __always_inline __u16 gadget_sock_proto(const struct sock *sk) {
        return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
}

/* An IPv4 address as a socket of both families has it is shown as what it is on the wire. */
static __always_inline void gadget_set_ipv6(struct gadget_l4endpoint_t *endpoint,
                                            const struct in6_addr *address) {
        __u8 *v6 = endpoint->addr_raw.v6;
        __u64 words[2];

        bpf_core_read(v6, 16, address);
        __builtin_memcpy(words, v6, sizeof(words));
        if (words[0] == 0 && (__u32)words[1] == bpf_htonl(0xffff)) {
                __builtin_memset(v6, 0, 16);
                endpoint->addr_raw.v4 = words[1] >> 32;
                endpoint->version = 4;
        } else {
                endpoint->version = 6;
        }
}

/* The port of this side. A full socket that is closed or refused has given it back, and still knows
 * which it was. */
static __always_inline __u16 gadget_sock_local_port(const struct sock *sk) {
        __u16 port = BPF_CORE_READ(sk, __sk_common.skc_num);

        if (port == 0 && gadget_sock_is_full(sk))
                port = bpf_ntohs(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
        return port;
}

/* This side (what it is bound to) and the other one (zeros when there is none). The address of an
 * unbound side of an IPv6 socket that is connected by IPv4 is of version 4 as well. */
static __always_inline void gadget_sock_endpoints(const struct sock *sk, __u16 proto,
                                                  struct gadget_l4endpoint_t *local,
                                                  struct gadget_l4endpoint_t *remote) {
        const struct sock_common *skc = &sk->__sk_common;

        __builtin_memset(local, 0, sizeof(*local));
        __builtin_memset(remote, 0, sizeof(*remote));
        if (BPF_CORE_READ(skc, skc_family) == AF_INET6) {
                gadget_set_ipv6(local, &skc->skc_v6_rcv_saddr);
                gadget_set_ipv6(remote, &skc->skc_v6_daddr);
        } else {
                local->addr_raw.v4 = BPF_CORE_READ(skc, skc_rcv_saddr);
                remote->addr_raw.v4 = BPF_CORE_READ(skc, skc_daddr);
                local->version = remote->version = 4;
        }
        local->proto_raw = remote->proto_raw = proto;
        local->port = gadget_sock_local_port(sk);
        remote->port = bpf_ntohs(BPF_CORE_READ(skc, skc_dport));
}

/* The socket that an open file is; NULL when it is none. */
static __always_inline const struct sock *gadget_sock_of_file(struct file *file) {
        struct socket *socket;

        if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & GADGET_S_IFMT) != GADGET_S_IFSOCK)
                return NULL;
        socket = BPF_CORE_READ(file, private_data);
        return BPF_CORE_READ(socket, sk);
}

/* The socket behind a descriptor of the current task; NULL when it is none, or closed. */
static __always_inline const struct sock *gadget_sock_of_fd(int fd) {
        struct task_struct *task = (struct task_struct *)bpf_get_current_task();
        struct fdtable *table = BPF_CORE_READ(task, files, fdt);
        struct file **files = BPF_CORE_READ(table, fd);
        struct file *file = NULL;

        if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
                return NULL;
        bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
        return gadget_sock_of_file(file);
}
