/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("kretsyscall/getsid")
int BPF_KRETPROBE(on_getsid, int result) {
        put_current(ctx, 1, result);
        return 0;
}
