/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define ALLOW 1
#define SOL_SOCKET 1
#define SO_RCVLOWAT 18

SEC("cgroup/getsockopt")
int on_get(struct bpf_sockopt *ctx) {
        if (ctx->level == SOL_SOCKET && ctx->optname == SO_RCVLOWAT)
                put(ctx, 1, ctx->optname, 0);
        return ALLOW;
}

SEC("cgroup/setsockopt")
int on_set(struct bpf_sockopt *ctx) {
        if (ctx->level == SOL_SOCKET && ctx->optname == SO_RCVLOWAT)
                put(ctx, 2, ctx->optname, 0);
        return ALLOW;
}
