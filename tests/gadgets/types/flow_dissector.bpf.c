/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

/* Leaves the work to the kernel's own dissector. */
#define BPF_FLOW_DISSECTOR_CONTINUE 129

SEC("flow_dissector")
int on_packet(struct __sk_buff *skb) {
        return BPF_FLOW_DISSECTOR_CONTINUE;
}
