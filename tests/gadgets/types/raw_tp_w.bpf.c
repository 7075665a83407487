/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("raw_tp.w/bpf_test_finish")
int on_finish(struct bpf_raw_tracepoint_args *ctx) {
        put_current(ctx, 1, 1);
        return 0;
}
