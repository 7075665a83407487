/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP segments that are sent again, and whose connection it is. That happens in interrupts: which
 * process has the socket is known from gadget/sockets-map.h.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define GADGET_TYPE_TRACING
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/sock.h>
#include <gadget/sockets-map.h>
#include <gadget/types.h>

#define ICSK_TIME_LOSS_PROBE 5

/* The kernel's numbers. */
enum socket_state {
        ESTABLISHED = 1,
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

enum retrans_type {
        RETRANS, /* it seems to be lost */
        LOSS,    /* a probe whether it is: the last segment once more, early */
};

struct event {
        gadget_timestamp timestamp_raw;
        gadget_netns_id netns_id;
        struct gadget_process proc;
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        enum socket_state state_raw;
        enum tcp_flags_set tcpflags_raw;
        enum retrans_type type_raw;
};

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(tcpretrans, events, event);

/* `owner` is whose event it is, `sk` whose addresses they are: a request has a listener. */
static __always_inline struct event *new_event(const struct sock *owner, const struct sock *sk) {
        __u32 netns = gadget_sock_netns(owner);
        struct gadget_socket_value *value = gadget_socket_lookup(owner, netns);
        struct event *event;

        if (gadget_should_discard_data_by_skb(value))
                return NULL;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return NULL;
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        event->netns_id = netns;
        gadget_process_populate_from_socket(value, &event->proc);
        gadget_sock_endpoints(sk, IPPROTO_TCP, &event->src, &event->dst);
        event->state_raw = BPF_CORE_READ(sk, __sk_common.skc_state);
        event->type_raw = RETRANS;
        return event;
}

/* A probe is sent by its own timer, and only while nothing is known to be lost. */
static __always_inline bool is_probe(const struct sock *sk) {
        const struct inet_connection_sock *icsk = (const void *)sk;

        return BPF_CORE_READ(icsk, icsk_pending) == ICSK_TIME_LOSS_PROBE &&
               BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state) < TCP_CA_Recovery;
}

SEC("raw_tp/tcp_retransmit_skb")
int BPF_PROG(on_retransmit, const struct sock *sk, const struct sk_buff *skb) {
        const struct tcp_skb_cb *cb = (const void *)&skb->cb;
        struct event *event = new_event(sk, sk);

        if (!event)
                return 0;
        event->tcpflags_raw = BPF_CORE_READ(cb, tcp_flags);
        if (is_probe(sk))
                event->type_raw = LOSS;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

SEC("raw_tp/tcp_retransmit_synack")
int BPF_PROG(on_retransmit_synack, const struct sock *sk, const struct request_sock *request) {
        struct event *event = new_event(sk, (const struct sock *)request);

        if (!event)
                return 0;
        event->tcpflags_raw = SYN | ACK;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
