/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define PASS 1

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb) {
        put_packet(skb, 1, 0);
        return PASS;
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb) {
        put_packet(skb, 2, 0);
        return PASS;
}
