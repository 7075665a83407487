/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long packets wait in the queues of network interfaces, as a histogram of microseconds for
 * each queue. A queue that is empty may be passed by, which no tracepoint tells.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <gadget/bits.bpf.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define N_SLOTS 27
#define WAITING_MAX 65536
#define QUEUES_MAX 1024
#define NAME_LEN 16
#define BULK_MAX 64

struct queue {
        gadget_netns_id netns_id;
        __u32 handle;
        char interface[NAME_LEN];
        char kind[NAME_LEN];
};

struct latency {
        gadget_histogram_slot__u32 latency[N_SLOTS];
};

/* When packets came; those that a queue drops make room for others in time. */
struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, WAITING_MAX);
        __type(key, __u64);
        __type(value, __u64);
} waiting SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, QUEUES_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, struct queue);
        __type(value, struct latency);
} latencies SEC(".maps");
GADGET_LOST_COUNTER(latencies);

GADGET_MAPITER(qdisc, latencies);

SEC("tracepoint/qdisc/qdisc_enqueue")
int on_enqueue(struct trace_event_raw_qdisc_enqueue *ctx) {
        __u64 skb = (__u64)ctx->skbaddr, now = bpf_ktime_get_ns();

        bpf_map_update_elem(&waiting, &skb, &now, BPF_ANY);
        return 0;
}

/* Global, so that the verifier looks at it once and not for each packet of a bulk. */
__noinline int slot_of(__u64 us) {
        return get_slot_idx(us, N_SLOTS);
}

/* Books one packet; waits for none that came before we did. */
static __always_inline void leave(__u64 skb, __u64 now, struct latency *latency) {
        __u64 *came = bpf_map_lookup_elem(&waiting, &skb), slot;

        if (!came)
                return;
        slot = (__u32)slot_of((now - *came) / 1000);
        bpf_map_delete_elem(&waiting, &skb);
        if (slot < N_SLOTS)
                __sync_fetch_and_add(&latency->latency[slot], 1);
}

SEC("tracepoint/qdisc/qdisc_dequeue")
int on_dequeue(struct trace_event_raw_qdisc_dequeue *ctx) {
        static const struct latency none = {};
        struct sk_buff *skb = ctx->skbaddr;
        __u64 now = bpf_ktime_get_ns();
        struct net_device *device;
        struct latency *latency;
        struct queue queue = {};

        if (!skb)
                return 0;
        device = BPF_CORE_READ(ctx->txq, dev);
        queue.netns_id = BPF_CORE_READ(device, nd_net.net, ns.inum);
        queue.handle = ctx->handle;
        BPF_CORE_READ_STR_INTO(&queue.interface, device, name);
        BPF_CORE_READ_STR_INTO(&queue.kind, ctx->qdisc, ops, id);
        latency = gadget_map_lookup_or_init(&latencies, &queue, &none);
        if (!latency)
                return 0;
        /* Several at a time hang together. */
        for (int i = 0; i < BULK_MAX && i < ctx->packets && skb; i++) {
                leave((__u64)skb, now, latency);
                skb = BPF_CORE_READ(skb, next);
        }
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
