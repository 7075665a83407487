/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How long block devices take, as a histogram of microseconds for each device and direction. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/bits.bpf.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

#define N_SLOTS 27
#define UNDER_WAY_MAX 10240
#define DEVICES_MAX 256
#define MINOR_BITS 20

struct io_request {
        __u64 sector;
        __u32 dev;
        __u32 nr_sector;
};

struct io_device {
        __u32 major;
        __u32 minor;
        bool is_write;
};

struct latency {
        gadget_histogram_slot__u32 latency[N_SLOTS];
};

/* When requests went to their devices. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, UNDER_WAY_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, struct io_request);
        __type(value, __u64);
} under_way SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, DEVICES_MAX);
        __type(key, struct io_device);
        __type(value, struct latency);
} latencies SEC(".maps");

GADGET_MAPITER(blockio, latencies);

SEC("tracepoint/block/block_rq_issue")
int on_issue(struct trace_event_raw_block_rq *ctx) {
        struct io_request request = { .sector = ctx->sector,
                                      .dev = ctx->dev,
                                      .nr_sector = ctx->nr_sector };
        __u64 now = bpf_ktime_get_ns();

        /* Flushes carry no data and all look alike. */
        if (request.nr_sector > 0)
                bpf_map_update_elem(&under_way, &request, &now, BPF_ANY);
        return 0;
}

SEC("tracepoint/block/block_rq_complete")
int on_complete(struct trace_event_raw_block_rq_completion *ctx) {
        static const struct latency none = {};
        struct io_request request = { .sector = ctx->sector,
                                      .dev = ctx->dev,
                                      .nr_sector = ctx->nr_sector };
        struct io_device device = {};
        struct latency *latency;
        __u64 *begun, slot;

        begun = bpf_map_lookup_elem(&under_way, &request);
        if (!begun)
                return 0;
        slot = get_slot_idx((bpf_ktime_get_ns() - *begun) / 1000, N_SLOTS);
        bpf_map_delete_elem(&under_way, &request);
        device.major = ctx->dev >> MINOR_BITS;
        device.minor = ctx->dev & ((1 << MINOR_BITS) - 1);
        device.is_write = ctx->rwbs[0] == 'W' || ctx->rwbs[1] == 'W';
        latency = bpf_map_lookup_or_try_init(&latencies, &device, &none);
        if (latency && slot < N_SLOTS)
                __sync_fetch_and_add(&latency->latency[slot], 1);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
