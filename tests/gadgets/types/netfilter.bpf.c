/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define NF_ACCEPT 1

/* As kernels have it since 6.4, newer than vmlinux.h. */
struct nf_ctx {
        const struct nf_hook_state *state;
        struct sk_buff *skb;
};

static __always_inline int seen(struct nf_ctx *ctx, __u32 hook) {
        struct sk_buff *skb = ctx->skb;
        const unsigned char *ip = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
        __u8 protocol = 0;
        __u16 port = 0;

        if (bpf_probe_read_kernel(&protocol, sizeof(protocol), ip + IP_PROTOCOL) == 0 &&
            bpf_probe_read_kernel(&port, sizeof(port), ip + IP_HEADER + 2) == 0 &&
            protocol == PROTOCOL_UDP && port == bpf_htons(TEST_PORT))
                put(ctx, hook, bpf_ntohs(port), 0);
        return NF_ACCEPT;
}

SEC("netfilter/ipv4/input")
int on_input(struct nf_ctx *ctx) {
        return seen(ctx, 1);
}

/* The definition says where; at the same hook, so that each needs a priority of its own. */
SEC("netfilter")
int on_chosen(struct nf_ctx *ctx) {
        return seen(ctx, 2);
}
