/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("fexit/do_rmdir")
int BPF_PROG(on_rmdir, int dfd, struct filename *name, int result) {
        put_current(ctx, 1, -result);
        return 0;
}
