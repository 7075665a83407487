/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define TC_ACT_UNSPEC (-1)

SEC("tc")
int on_packet(struct __sk_buff *skb) {
        put_packet(skb, 1, ETHERNET_HEADER);
        return TC_ACT_UNSPEC;
}
