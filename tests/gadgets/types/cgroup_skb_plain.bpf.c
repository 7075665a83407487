/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define PASS 1

SEC("cgroup/skb")
int on_packet(struct __sk_buff *skb) {
        put_packet(skb, 1, 0);
        return PASS;
}
