/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define ALLOW 1
#define MAJOR_MEM 1
#define MINOR_FULL 7

SEC("cgroup/dev")
int on_device(struct bpf_cgroup_dev_ctx *ctx) {
        if (ctx->major == MAJOR_MEM && ctx->minor == MINOR_FULL)
                put(ctx, 1, ctx->minor, 0);
        return ALLOW;
}
