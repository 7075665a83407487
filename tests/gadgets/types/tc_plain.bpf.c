/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define TC_ACT_UNSPEC (-1)
#define ON_PACKET(_section, _hook)                                                                 \
        SEC(_section) int on_packet_##_hook(struct __sk_buff *skb) {                               \
                put_packet(skb, _hook, ETHERNET_HEADER);                                           \
                return TC_ACT_UNSPEC;                                                              \
        }

ON_PACKET("tc", 1)
ON_PACKET("tc/ingress", 2)
ON_PACKET("tc/egress", 3)
ON_PACKET("tcx/ingress", 4)
ON_PACKET("tcx/egress", 5)
ON_PACKET("classifier", 6)
