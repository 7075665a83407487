/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose packet is it? Asked of every packet of TCP and UDP in the namespaces of interest. */
#include <vmlinux.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GADGET_TYPE_NETWORKING
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/sockets-map.h>

struct event {
        gadget_netns_id netns_id;
        bool is_outgoing;
        struct gadget_process proc;
};

GADGET_TRACER_MAP(events, 64 * 1024);
GADGET_TRACER(packets, events, event);

SEC("socket1")
int on_packet(struct __sk_buff *skb) {
        struct gadget_socket_value *value = gadget_socket_lookup(skb);
        struct event *event;

        if (!value)
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->netns_id = skb->cb[0];
        event->is_outgoing = skb->pkt_type == GADGET_PACKET_OUTGOING;
        gadget_process_populate_from_socket(value, &event->proc);
        gadget_submit_buf(skb, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
