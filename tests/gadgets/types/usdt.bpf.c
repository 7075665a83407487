/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#include <bpf/usdt.bpf.h>

const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

/* glibc has probes of its own. */
SEC("usdt/libc:libc:setjmp")
int BPF_USDT(on_setjmp) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid)
                put_current(ctx, 1, bpf_usdt_arg_cnt(ctx));
        return 0;
}
