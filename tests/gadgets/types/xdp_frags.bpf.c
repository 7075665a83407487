/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("xdp.frags")
int on_packet(struct xdp_md *ctx) {
        const __u8 *data = (const __u8 *)(long)ctx->data, *end = (const __u8 *)(long)ctx->data_end;
        const __u8 *ip = data + ETHERNET_HEADER;

        if (ip + IP_HEADER + 4 > end || ip[IP_PROTOCOL] != PROTOCOL_UDP ||
            (ip[IP_HEADER + 2] << 8 | ip[IP_HEADER + 3]) != TEST_PORT)
                return XDP_PASS;
        put(ctx, 1, TEST_PORT, 0);
        return XDP_PASS;
}
