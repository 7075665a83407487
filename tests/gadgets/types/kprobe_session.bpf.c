/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

__u64 count = 0;

/* Twice a call: three of them in the test make six. */
SEC("kprobe.session/vfs_rmdi?")
int BPF_KPROBE(on_both) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid)
                put_current(ctx, 1, __sync_fetch_and_add(&count, 1) + 1);
        return 0;
}
