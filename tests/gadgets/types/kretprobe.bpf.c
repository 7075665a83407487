/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("kretprobe/vfs_rmdir")
int BPF_KRETPROBE(on_rmdir, int result) {
        put_current(ctx, 1, -result);
        return 0;
}
