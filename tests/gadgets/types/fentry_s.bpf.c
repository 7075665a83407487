/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#if defined(__TARGET_ARCH_arm64)
#define GETSID "__arm64_sys_getsid"
#else
#define GETSID "__x64_sys_getsid"
#endif

SEC("fentry.s/" GETSID)
int BPF_PROG(on_enter) {
        put_current(ctx, 1, 1);
        return 0;
}

SEC("fexit.s/" GETSID)
int BPF_PROG(on_exit, const struct pt_regs *regs, int result) {
        put_current(ctx, 2, result);
        return 0;
}
