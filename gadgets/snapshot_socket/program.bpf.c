/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TCP and UDP sockets there are now: who talks to whom, and in which state. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <gadget/macros.h>
#include <gadget/types.h>

#define AF_INET 2
#define AF_INET6 10

/* The kernel's numbers. UDP sockets have two of these states: connected to a peer, and not. */
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

struct socket_entry {
        gadget_netns_id netns_id;
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
        enum socket_state state_raw;
        __u64 inode; /* 0 = the socket belongs to no file any more, or not yet */
        gadget_uid uid;
};

GADGET_ITER(sockets, socket_entry, on_tcp, on_udp);

static __always_inline void fill(struct socket_entry *row, const struct sock_common *skc,
                                 __u16 proto) {
        __u8 version = 4;

        row->netns_id = BPF_CORE_READ(skc, skc_net.net, ns.inum);
        if (BPF_CORE_READ(skc, skc_family) == AF_INET6) {
                version = 6;
                bpf_core_read(row->src.addr_raw.v6, 16, &skc->skc_v6_rcv_saddr);
                bpf_core_read(row->dst.addr_raw.v6, 16, &skc->skc_v6_daddr);
        } else {
                row->src.addr_raw.v4 = BPF_CORE_READ(skc, skc_rcv_saddr);
                row->dst.addr_raw.v4 = BPF_CORE_READ(skc, skc_daddr);
        }
        row->src.version = row->dst.version = version;
        row->src.proto_raw = row->dst.proto_raw = proto;
        row->src.port = BPF_CORE_READ(skc, skc_num);
        row->dst.port = bpf_ntohs(BPF_CORE_READ(skc, skc_dport));
        row->state_raw = BPF_CORE_READ(skc, skc_state);
}

static __always_inline __u64 inode_of(const struct sock *sk) {
        return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

SEC("iter/tcp")
int on_tcp(struct bpf_iter__tcp *ctx) {
        struct sock_common *skc = ctx->sk_common;
        struct socket_entry row = {};

        if (!skc)
                return 0;
        fill(&row, skc, IPPROTO_TCP);
        row.uid = ctx->uid;
        /* The other two are no whole sockets. */
        if (row.state_raw != TIME_WAIT && row.state_raw != NEW_SYN_RECV)
                row.inode = inode_of((struct sock *)skc);
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

SEC("iter/udp")
int on_udp(struct bpf_iter__udp *ctx) {
        struct udp_sock *udp = ctx->udp_sk;
        struct socket_entry row = {};

        if (!udp)
                return 0;
        fill(&row, (struct sock_common *)udp, IPPROTO_UDP);
        row.uid = ctx->uid;
        row.inode = inode_of((struct sock *)udp);
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
