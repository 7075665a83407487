/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

const volatile __u32 only_pid = 0;
GADGET_PARAM(only_pid);

SEC("perf_event/sampler")
int on_sample(struct bpf_perf_event_data *ctx) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid)
                put_current(ctx, 1, 1);
        return 0;
}

SEC("perf_event")
int on_clock(struct bpf_perf_event_data *ctx) {
        if (bpf_get_current_pid_tgid() >> 32 == only_pid)
                put_current(ctx, 2, 1);
        return 0;
}
