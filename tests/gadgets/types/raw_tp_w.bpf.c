/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("raw_tp.w/bpf_test_finish")
int on_finish(struct bpf_raw_tracepoint_args *ctx) {
        put_current(ctx, 1, 1);
        return 0;
}

SEC("raw_tracepoint.w/bpf_test_finish")
int on_finish_too(struct bpf_raw_tracepoint_args *ctx) {
        put_current(ctx, 2, 1);
        return 0;
}
