/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("sk_lookup")
int on_lookup(struct bpf_sk_lookup *ctx) {
        if (ctx->local_port == TEST_PORT)
                put(ctx, 1, ctx->local_port, 0);
        return SK_PASS;
}

SEC("sk_lookup/named")
int on_lookup_too(struct bpf_sk_lookup *ctx) {
        if (ctx->local_port == TEST_PORT)
                put(ctx, 2, ctx->local_port, 0);
        return SK_PASS;
}
