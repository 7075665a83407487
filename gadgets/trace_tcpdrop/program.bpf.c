/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP segments that the kernel throws away, and why. The addresses are those of the segment, by its
 * headers; where they have not been written yet, those of its socket.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GADGET_TYPE_TRACING
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/sock.h>
#include <gadget/sockets-map.h>
#include <gadget/types.h>

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define TCP_FLAGS_OFFSET 13

/* The kernel's numbers. */
enum socket_state {
        NO_SOCKET,
        ESTABLISHED,
        SYN_SENT,
        SYN_RECV,
        FIN_WAIT1,
        FIN_WAIT2,
        TIME_WAIT,
        CLOSE,
        CLOSE_WAIT,
        LAST_ACK,
        LISTEN,
        CLOSING,
        NEW_SYN_RECV,
};

/* As in a segment's header. */
enum tcp_flags_set {
        FIN = 0x01,
        SYN = 0x02,
        RST = 0x04,
        PSH = 0x08,
        ACK = 0x10,
        URG = 0x20,
        ECE = 0x40,
        CWR = 0x80,
};

struct event {
        gadget_timestamp timestamp_raw;
        gadget_netns_id netns_id;
        struct gadget_process proc;
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        enum skb_drop_reason reason_raw;
        enum socket_state state_raw;
        enum tcp_flags_set tcpflags_raw;
        gadget_kernel_stack kernel_stack_raw;
};

const volatile bool collect_kstack = false;
GADGET_PARAM(collect_kstack);

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(tcpdrop, events, event);

/* The receiver stands in it since 6.11. */
struct trace_event_raw_kfree_skb___x {
        void *rx_sk;
} __attribute__((preserve_access_index));

/* What a segment says of itself. */
struct segment {
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        __u8 flags;
};

static __always_inline bool read_ports(struct segment *segment, const void *tcp) {
        __be16 ports[2];

        if (bpf_probe_read_kernel(ports, sizeof(ports), tcp) < 0 ||
            bpf_probe_read_kernel(&segment->flags, 1, tcp + TCP_FLAGS_OFFSET) < 0)
                return false;
        segment->src.port = bpf_ntohs(ports[0]);
        segment->dst.port = bpf_ntohs(ports[1]);
        return true;
}

static __always_inline bool read_ipv4(struct segment *segment, const void *head) {
        struct iphdr ip;

        if (bpf_probe_read_kernel(&ip, sizeof(ip), head) < 0 || ip.version != 4 ||
            ip.protocol != IPPROTO_TCP || ip.frag_off & bpf_htons(0x1fff))
                return false;
        segment->src.addr_raw.v4 = ip.saddr;
        segment->dst.addr_raw.v4 = ip.daddr;
        segment->src.version = segment->dst.version = 4;
        return read_ports(segment, head + ip.ihl * 4);
}

static __always_inline bool read_ipv6(struct segment *segment, const void *head) {
        struct ipv6hdr ip;

        if (bpf_probe_read_kernel(&ip, sizeof(ip), head) < 0 || ip.version != 6 ||
            ip.nexthdr != IPPROTO_TCP)
                return false;
        __builtin_memcpy(segment->src.addr_raw.v6, &ip.saddr, 16);
        __builtin_memcpy(segment->dst.addr_raw.v6, &ip.daddr, 16);
        segment->src.version = segment->dst.version = 6;
        return read_ports(segment, head + sizeof(ip));
}

/* false when it is no TCP segment, or its headers are not there. */
static __always_inline bool read_segment(struct segment *segment, const struct sk_buff *skb) {
        const void *head = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);

        __builtin_memset(segment, 0, sizeof(*segment));
        segment->src.proto_raw = segment->dst.proto_raw = IPPROTO_TCP;
        switch (bpf_ntohs(BPF_CORE_READ(skb, protocol))) {
        case ETH_P_IP:
                return read_ipv4(segment, head);
        case ETH_P_IPV6:
                return read_ipv6(segment, head);
        }
        return false;
}

static __always_inline struct gadget_socket_value *owner_of_port(__u32 netns, __u16 port,
                                                                 __u8 version) {
        struct gadget_socket_key key;

        __builtin_memset(&key, 0, sizeof(key)); /* its gaps are part of it */
        key.netns = netns;
        key.family = version == 4 ? AF_INET : AF_INET6;
        key.proto = IPPROTO_TCP;
        key.port = port;
        return gadget_socket_find(&key);
}

/* The socket's; without one who would have received it, or else who sent it from here. */
static __always_inline struct gadget_socket_value *owner_of(const struct sock *sk, __u32 netns,
                                                            const struct segment *segment) {
        struct gadget_socket_value *value;

        if (sk)
                return owner_of_port(netns, BPF_CORE_READ(sk, __sk_common.skc_num),
                                     BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET ? 4 : 6);
        value = owner_of_port(netns, segment->dst.port, segment->dst.version);
        return value ?: owner_of_port(netns, segment->src.port, segment->src.version);
}

static __always_inline const struct sock *sock_of(struct trace_event_raw_kfree_skb *ctx,
                                                  const struct sk_buff *skb) {
        struct trace_event_raw_kfree_skb___x *now = (void *)ctx;
        const struct sock *sk = NULL;

        if (bpf_core_field_exists(now->rx_sk))
                sk = BPF_CORE_READ(now, rx_sk);
        sk = sk ?: BPF_CORE_READ(skb, sk);
        return sk && gadget_sock_is_inet(sk) ? sk : NULL;
}

static __always_inline __u32 netns_of(const struct sock *sk, const struct sk_buff *skb) {
        return sk ? gadget_sock_netns(sk) : BPF_CORE_READ(skb, dev, nd_net.net, ns.inum);
}

SEC("tracepoint/skb/kfree_skb")
int on_kfree_skb(struct trace_event_raw_kfree_skb *ctx) {
        const struct sk_buff *skb = ctx->skbaddr;
        const struct sock *sk = sock_of(ctx, skb);
        struct gadget_socket_value *value;
        struct segment segment;
        struct event *event;
        __u32 netns;

        if (!read_segment(&segment, skb)) {
                if (!sk || !gadget_sock_is_full(sk) || gadget_sock_proto(sk) != IPPROTO_TCP)
                        return 0;
                gadget_sock_endpoints(sk, IPPROTO_TCP, &segment.src, &segment.dst);
        }
        netns = netns_of(sk, skb);
        value = owner_of(sk, netns, &segment);
        if (gadget_should_discard_data_by_skb(value))
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        event->netns_id = netns;
        gadget_process_populate_from_socket(value, &event->proc);
        event->src = segment.src;
        event->dst = segment.dst;
        event->reason_raw = bpf_core_field_exists(ctx->reason) ? ctx->reason : 0;
        event->state_raw = sk ? BPF_CORE_READ(sk, __sk_common.skc_state) : NO_SOCKET;
        event->tcpflags_raw = segment.flags;
        event->kernel_stack_raw = collect_kstack ? gadget_get_kernel_stack(ctx) : 0;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
