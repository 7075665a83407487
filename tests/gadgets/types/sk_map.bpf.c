/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

/* Both ends of a connection to the port of the tests go into the map. */
struct {
        __uint(type, BPF_MAP_TYPE_SOCKMAP);
        __uint(max_entries, 2);
        __type(key, __u32);
        __type(value, __u64);
} sockets SEC(".maps");

GADGET_SK_TARGET_MAP(on_message, sockets);
GADGET_SK_TARGET_MAP(on_parse, sockets);
GADGET_SK_TARGET_MAP(on_stream, sockets);

SEC("sockops")
int on_event(struct bpf_sock_ops *ctx) {
        __u32 key = ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB;

        if (key ? ctx->local_port != TEST_PORT
                : (ctx->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ||
                   bpf_ntohl(ctx->remote_port) != TEST_PORT))
                return 1;
        bpf_sock_map_update(ctx, &sockets, &key, BPF_ANY);
        return 1;
}

SEC("sk_msg")
int on_message(struct sk_msg_md *msg) {
        put(msg, 1, msg->size, 0);
        return SK_PASS;
}

SEC("sk_skb/stream_verdict")
int on_stream(struct __sk_buff *skb) {
        put(skb, 2, skb->len, 0);
        return SK_PASS;
}

SEC("sk_skb/stream_parser")
int on_parse(struct __sk_buff *skb) {
        put(skb, 3, skb->len, 0);
        return skb->len;
}
