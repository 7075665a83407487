/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("tracepoint/syscalls/sys_enter_getsid")
int on_enter(struct syscall_trace_enter *ctx) {
        put_current(ctx, 1, ctx->args[0]);
        return 0;
}

SEC("tp/syscalls/sys_exit_getsid")
int on_exit(struct syscall_trace_exit *ctx) {
        put_current(ctx, 2, ctx->ret);
        return 0;
}
