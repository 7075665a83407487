/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("lwt_in")
int on_route(struct __sk_buff *skb) {
        put_packet(skb, 1, 0);
        return 0;
}
