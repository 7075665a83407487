/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define TC_ACT_UNSPEC (-1)

SEC("classifier/ingress/main")
int on_ingress(struct __sk_buff *skb) {
        put_packet(skb, 1, ETHERNET_HEADER);
        return TC_ACT_UNSPEC;
}

SEC("classifier/egress/main")
int on_egress(struct __sk_buff *skb) {
        put_packet(skb, 2, ETHERNET_HEADER);
        return TC_ACT_UNSPEC;
}
