/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs, long id) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid)
                put_current(ctx, 1, id);
        return 0;
}
