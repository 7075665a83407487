/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("sockops")
int on_event(struct bpf_sock_ops *ctx) {
        if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && ctx->local_port == TEST_PORT)
                put(ctx, 1, ctx->local_port, 0);
        return 1;
}
