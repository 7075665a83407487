/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets in socket filters and tc programs: who speaks to whom, and where what they say begins,
 * whether the interface has Ethernet headers, VLAN tags or none of both. Offsets are those of
 * bpf_skb_load_bytes(): what is said lies in pages of its own, which the relative one cannot read.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GADGET_IPV4 0x0800
#define GADGET_IPV6 0x86dd
#define GADGET_EXTENSIONS_MAX 6

struct gadget_packet {
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        __u32 payload; /* offset of what is behind the TCP or UDP header */
        __u32 end;     /* offset behind the datagram, as its header says */
};

/* Where the network header begins: 14 behind an Ethernet header, 18 behind one with a VLAN tag, 0
 * on interfaces without. The kernel does not say, but knows. */
static __always_inline int gadget_packet_network(const struct __sk_buff *skb) {
        static const __u8 offsets[] = { 14, 0, 18 };
        __u64 wanted, found;

        if (bpf_skb_load_bytes_relative(skb, 0, &wanted, sizeof(wanted), BPF_HDR_START_NET) < 0)
                return -1;
#pragma unroll
        for (int i = 0; i < 3; i++)
                if (bpf_skb_load_bytes(skb, offsets[i], &found, sizeof(found)) == 0 &&
                    found == wanted)
                        return offsets[i];
        return -1;
}

/* The two parsers of IP headers return the offset of the next one, 0 = nothing for us. */
static __always_inline __u32 gadget_packet_ipv4(const struct __sk_buff *skb, __u32 at,
                                                struct gadget_packet *packet, __u8 *proto) {
        struct iphdr ip;

        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) < 0 || ip.version != 4 || ip.ihl < 5)
                return 0;
        if (bpf_ntohs(ip.frag_off) & 0x1fff)
                return 0; /* only the first fragment has ports */
        packet->src.addr_raw.v4 = ip.saddr;
        packet->dst.addr_raw.v4 = ip.daddr;
        packet->src.version = packet->dst.version = 4;
        packet->end = at + bpf_ntohs(ip.tot_len);
        *proto = ip.protocol;
        return at + ip.ihl * 4;
}

static __always_inline __u32 gadget_packet_ipv6(const struct __sk_buff *skb, __u32 at,
                                                struct gadget_packet *packet, __u8 *proto) {
        struct ipv6hdr ip;

        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) < 0 || ip.version != 6)
                return 0;
        __builtin_memcpy(packet->src.addr_raw.v6, &ip.saddr, 16);
        __builtin_memcpy(packet->dst.addr_raw.v6, &ip.daddr, 16);
        packet->src.version = packet->dst.version = 6;
        at += sizeof(ip);
        packet->end = at + bpf_ntohs(ip.payload_len);
        *proto = ip.nexthdr;
        for (int i = 0; i < GADGET_EXTENSIONS_MAX; i++) {
                __u8 head[4]; /* next header, length, and a fragment's offset */

                if (*proto != 0 && *proto != 43 && *proto != 44 && *proto != 60)
                        return at;
                if (bpf_skb_load_bytes(skb, at, head, sizeof(head)) < 0)
                        return 0;
                if (*proto == 44 && (head[2] != 0 || head[3] & 0xf8))
                        return 0;
                at += *proto == 44 ? 8 : (head[1] + 1) * 8;
                *proto = head[0];
        }
        return 0;
}

/* Reads n bytes into a buffer of _size, a power of two: 1 to _size of them. Written so that the
 * verifiers of all kernels see that. */
#define gadget_packet_load(_skb, _at, _to, _n, _size)                                              \
        ({                                                                                         \
                __u32 _less = (_n)-1;                                                              \
                                                                                                   \
                asm volatile("" : "+r"(_less));                                                    \
                bpf_skb_load_bytes(_skb, _at, _to, (_less & ((_size)-1)) + 1);                     \
        })

#ifdef GADGET_HAS_SOCKETS_MAP
/* Who has the socket of one side, NULL = nobody who is known. */
static __always_inline struct gadget_socket_value *
gadget_packet_owner(const struct __sk_buff *skb, const struct gadget_l4endpoint_t *side) {
        struct gadget_socket_key key;

        __builtin_memset(&key, 0, sizeof(key)); /* its gaps are part of it */
        key.netns = skb->cb[0];
        key.family = side->version == 6 ? AF_INET6 : AF_INET;
        key.proto = side->proto_raw;
        key.port = side->port;
        return gadget_socket_find(&key);
}
#endif

/* Not static: verified once, and not again for each way that leads to it. */
__noinline int gadget_packet_fill(struct __sk_buff *skb, struct gadget_packet *packet) {
        __u16 protocol = bpf_ntohs((__u16)skb->protocol), ports[2];
        int network = gadget_packet_network(skb);
        __u8 proto = 0, data_offset;
        __u32 at;

        if (!packet || network < 0)
                return false;
        at = protocol == GADGET_IPV4   ? gadget_packet_ipv4(skb, network, packet, &proto)
             : protocol == GADGET_IPV6 ? gadget_packet_ipv6(skb, network, packet, &proto)
                                       : 0;
        if (at == 0 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP) ||
            bpf_skb_load_bytes(skb, at, ports, sizeof(ports)) < 0)
                return false;
        packet->src.port = bpf_ntohs(ports[0]);
        packet->dst.port = bpf_ntohs(ports[1]);
        packet->src.proto_raw = packet->dst.proto_raw = proto;
        packet->payload = at + 8;
        if (proto == IPPROTO_UDP)
                return true;
        if (bpf_skb_load_bytes(skb, at + 12, &data_offset, 1) < 0)
                return false;
        packet->payload = at + (data_offset >> 4) * 4;
        return true;
}

/* Fills packet; false when it is neither TCP nor UDP, or cannot be read. */
static __always_inline bool gadget_packet_parse(struct __sk_buff *skb,
                                                struct gadget_packet *packet) {
        __builtin_memset(packet, 0, sizeof(*packet));
        return gadget_packet_fill(skb, packet) != 0;
}
