/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("uprobe.s/libc:getsid")
int BPF_KPROBE(on_getsid, pid_t pid) {
        put_current(ctx, 1, pid);
        return 0;
}
