/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("socket1")
int on_packet(struct __sk_buff *skb) {
        put_packet(skb, 1, ETHERNET_HEADER);
        return 0;
}
