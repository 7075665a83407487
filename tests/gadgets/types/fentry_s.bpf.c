/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("fentry.s/vfs_rmdir")
int BPF_PROG(on_rmdir) {
        put_current(ctx, 1, 1);
        return 0;
}
