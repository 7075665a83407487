/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("fexit/vfs_rmdir")
int BPF_PROG(on_rmdir) {
        __u64 result = 0;

        bpf_get_func_ret(ctx, &result);
        put_current(ctx, 1, -(int)result);
        return 0;
}
