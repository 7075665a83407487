/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the gadgets of this folder share: one data source, "seen", of small events. `hook` says
 * which of a gadget's programs saw it, `value` what it saw. */
#pragma once

#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

/* What the tests use, and nothing else on the machine does. */
#define TEST_PORT 47111
#define TEST_PROTOCOL 253

#define ETHERNET_HEADER 14
#define IP_HEADER 20
#define IP_PROTOCOL 9
#define PROTOCOL_UDP 17

struct event {
        __u32 hook;
        __u32 value;
        __u32 pid;
};

GADGET_TRACER_MAP(events, 64 * 1024);
GADGET_TRACER(seen, events, event);

static __always_inline void put(void *ctx, __u32 hook, __u32 value, __u32 pid) {
        struct event *event = gadget_reserve_buf(&events, sizeof(*event));

        if (!event)
                return;
        event->hook = hook;
        event->value = value;
        event->pid = pid;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

static __always_inline void put_current(void *ctx, __u32 hook, __u32 value) {
        put(ctx, hook, value, bpf_get_current_pid_tgid() >> 32);
}

/* A UDP packet over IPv4 for the port of the tests. */
static __always_inline void put_packet(struct __sk_buff *skb, __u32 hook, __u32 ip_offset) {
        __u8 protocol = 0;
        __u16 port = 0;

        if (bpf_skb_load_bytes(skb, ip_offset + IP_PROTOCOL, &protocol, sizeof(protocol)) < 0 ||
            protocol != PROTOCOL_UDP ||
            bpf_skb_load_bytes(skb, ip_offset + IP_HEADER + 2, &port, sizeof(port)) < 0 ||
            port != bpf_htons(TEST_PORT))
                return;
        put(skb, hook, bpf_ntohs(port), 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
