/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

/* All system calls pass here. */
const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args *ctx) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid)
                put_current(ctx, 1, ctx->args[1]);
        return 0;
}

SEC("raw_tracepoint/sys_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid)
                put_current(ctx, 2, ctx->args[1]);
        return 0;
}
