/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose socket is it? Map gadget_sockets knows for each local port of a network namespace which
 * process has it. It is filled from outside: the map defined here is replaced by that one when the
 * object is loaded.
 *
 * Define GADGET_TYPE_NETWORKING (socket filters and tc, which have a packet) or GADGET_TYPE_TRACING
 * (everything else, which has a struct sock) before including this.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GADGET_MAX_SOCKETS 16384
#define GADGET_SOCKET_PATH_MAX 4096

/* The older names. */
#define sockets_key gadget_socket_key
#define sockets_value gadget_socket_value

struct gadget_socket_key {
        __u32 netns;
        __u16 family; /* AF_INET or AF_INET6 */
        __u8 proto;   /* IPPROTO_TCP or IPPROTO_UDP */
        __u16 port;   /* of this side, host order */
};

/* The paths are there only if they are collected: bpf_core_field_exists(value->cwd). They move, the
 * rest stays. */
struct gadget_socket_value {
        __u64 mntns;
        __u64 pid_tgid;
        __u64 uid_gid;
        char task[TASK_COMM_LEN];
        char ptask[TASK_COMM_LEN];
        __u64 sock;
        __u64 deletion_timestamp;
        __u32 ppid;
        __u32 ptid;
        char ipv6only; /* an IPv6 socket that takes no IPv4 */
        char optional_fields_start[0] __attribute__((aligned(8)));
        char cwd[GADGET_SOCKET_PATH_MAX];
        char exepath[GADGET_SOCKET_PATH_MAX];
} __attribute__((preserve_access_index));

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, GADGET_MAX_SOCKETS);
        __type(key, struct gadget_socket_key);
        __type(value, struct gadget_socket_value);
} gadget_sockets SEC(".maps");

#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif

/* An IPv4 port may belong to an IPv6 socket that takes both. */
static __always_inline struct gadget_socket_value *
gadget_socket_find(struct gadget_socket_key *key) {
        struct gadget_socket_value *value = bpf_map_lookup_elem(&gadget_sockets, key);

        if (value || key->family != AF_INET)
                return value;
        key->family = AF_INET6;
        value = bpf_map_lookup_elem(&gadget_sockets, key);
        return value && !value->ipv6only ? value : NULL;
}

#if defined(GADGET_TYPE_NETWORKING)

#define GADGET_ETH_HLEN 14
#define GADGET_ETH_P_IP 0x0800
#define GADGET_ETH_P_IPV6 0x86dd
#define GADGET_IPV6_HLEN 40
#define GADGET_IPV6_EXTENSIONS_MAX 6
#define GADGET_PACKET_OUTGOING 4
#define GADGET_FRAGMENT_OFFSET 0x1fff

/* Where the ports stand, and of which protocol. A negative offset: nowhere. */
static __always_inline int gadget_skb_ipv4_ports(const struct __sk_buff *skb, __u8 *proto) {
        struct iphdr ip;

        if (bpf_skb_load_bytes(skb, GADGET_ETH_HLEN, &ip, sizeof(ip)) < 0)
                return -1;
        if (bpf_ntohs(ip.frag_off) & GADGET_FRAGMENT_OFFSET)
                return -1; /* only a datagram's first fragment has them */
        *proto = ip.protocol;
        return GADGET_ETH_HLEN + ip.ihl * 4;
}

static __always_inline int gadget_skb_ipv6_ports(const struct __sk_buff *skb, __u8 *proto) {
        int offset = GADGET_ETH_HLEN + GADGET_IPV6_HLEN;
        __u8 next;

        if (bpf_skb_load_bytes(skb, GADGET_ETH_HLEN + __builtin_offsetof(struct ipv6hdr, nexthdr),
                               &next, sizeof(next)) < 0)
                return -1;

#pragma unroll
        for (int i = 0; i < GADGET_IPV6_EXTENSIONS_MAX; i++) {
                __u8 head[4]; /* next header, length, and a fragment's offset */

                *proto = next;
                switch (next) {
                case 0:  /* hop by hop */
                case 43: /* routing */
                case 60: /* destination options */
                        if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)) < 0)
                                return -1;
                        offset += (head[1] + 1) * 8;
                        break;
                case 44: /* fragment */
                        if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)) < 0)
                                return -1;
                        if (head[2] != 0 || head[3] & 0xf8)
                                return -1;
                        offset += 8;
                        break;
                case 51: /* authentication */
                        if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)) < 0)
                                return -1;
                        offset += (head[1] + 2) * 4;
                        break;
                default:
                        return offset;
                }
                next = head[0];
        }
        return -1;
}

/* Whose packet this is; NULL when nobody knows. Its network namespace stands in skb->cb[0], where
 * the dispatcher has put it. */
static __always_inline struct gadget_socket_value *
gadget_socket_lookup_with_direction(const struct __sk_buff *skb, bool is_ingress) {
        struct gadget_socket_key key;
        __u16 ports[2]; /* source, destination */
        __u16 eth_proto;
        int offset;

        __builtin_memset(&key, 0, sizeof(key)); /* its gaps are part of it */

        if (bpf_skb_load_bytes(skb, 12, &eth_proto, sizeof(eth_proto)) < 0)
                return NULL;
        switch (bpf_ntohs(eth_proto)) {
        case GADGET_ETH_P_IP:
                key.family = AF_INET;
                offset = gadget_skb_ipv4_ports(skb, &key.proto);
                break;
        case GADGET_ETH_P_IPV6:
                key.family = AF_INET6;
                offset = gadget_skb_ipv6_ports(skb, &key.proto);
                break;
        default:
                return NULL;
        }
        if (offset < 0 || (key.proto != IPPROTO_TCP && key.proto != IPPROTO_UDP))
                return NULL;
        if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) < 0)
                return NULL;
        key.netns = skb->cb[0];
        key.port = bpf_ntohs(is_ingress ? ports[1] : ports[0]);
        return gadget_socket_find(&key);
}

static __always_inline struct gadget_socket_value *
gadget_socket_lookup(const struct __sk_buff *skb) {
        return gadget_socket_lookup_with_direction(skb, skb->pkt_type != GADGET_PACKET_OUTGOING);
}

#elif defined(GADGET_TYPE_TRACING)

/* Whose socket this is; NULL when nobody knows. */
static __always_inline struct gadget_socket_value *gadget_socket_lookup(const struct sock *sk,
                                                                        __u32 netns) {
        struct gadget_socket_key key;

        __builtin_memset(&key, 0, sizeof(key)); /* its gaps are part of it */
        key.netns = netns;
        key.family = BPF_CORE_READ(sk, __sk_common.skc_family);
        key.port = BPF_CORE_READ(sk, __sk_common.skc_num);
        key.proto = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol); /* it was one up to 5.5 */
        return gadget_socket_find(&key);
}

#else

struct gadget_socket_value *gadget_socket_lookup(const void *packet_or_socket, ...)
        __attribute__((unavailable("define GADGET_TYPE_NETWORKING or GADGET_TYPE_TRACING before "
                                   "including gadget/sockets-map.h")));

#endif

/* Fills p from what is known about the owner; all zero when that is nothing. */
static __always_inline void
gadget_process_populate_from_socket(const struct gadget_socket_value *value,
                                    struct gadget_process *p) {
        __builtin_memset(p, 0, sizeof(*p));
        if (!value)
                return;
        p->pid = value->pid_tgid >> 32;
        p->tid = (__u32)value->pid_tgid;
        p->mntns_id = value->mntns;
        p->creds.uid = (__u32)value->uid_gid;
        p->creds.gid = value->uid_gid >> 32;
        p->parent.pid = value->ppid;
        p->parent.tid = value->ptid;
        __builtin_memcpy(p->comm, value->task, sizeof(p->comm));
        __builtin_memcpy(p->parent.comm, value->ptask, sizeof(p->parent.comm));
}

/* gadget_should_discard_data_by_skb(), when filter.h is there as well. */
#define GADGET_HAS_SOCKETS_MAP
#ifdef GADGET_HAS_FILTER
#include <gadget/filter_by_socket.h>
#endif
