/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Data sources that are read: the design document's names for a map, a histogram and an iterator,
 * and today's for an array and an iterator over a map. The test fills the maps. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/macros.h>
#include <gadget/types.h>

struct call_key {
        __u32 id;
        __u8 name[8];
};

struct call_value {
        __u64 count;
        __s32 delta;
        __u32 id; /* as in the key: left out */
};

struct slots {
        __u32 slots[8];
};

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 4096);
        __type(key, struct call_key);
        __type(value, struct call_value);
} stats_calls SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 8);
        __type(key, __u32);
        __type(value, struct slots);
} hist_sizes SEC(".maps");

/* Not a data source: by its type. */
struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u64);
} stats_internal SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 4);
        __type(key, __u32);
        __type(value, __u64);
} table SEC(".maps");

GADGET_MAPITER(table, table);

/* Values of all CPUs as one: numbers are added, the rest is that of one CPU. */
struct cpu_value {
        __u64 count;
        char text[8];
        __s32 delta;
        gadget_pid pid;
        __u16 small;
        gadget_bytes bytes_raw;
        gadget_histogram_slot__u32 slots[4];
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
        __uint(max_entries, 4096);
        __type(key, __u32);
        __type(value, struct cpu_value);
} cpu_table SEC(".maps");

GADGET_MAPITER(cpus, cpu_table);

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 3);
        __type(key, __u32);
        __type(value, __u64);
} cpu_array SEC(".maps");

GADGET_MAPITER(cpu_elements, cpu_array);

struct element {
        __u32 id;
        __u64 count;
};

GADGET_ITER(elements, element, on_element);
GADGET_ITER_TARGET_MAP(on_element, stats_calls);

SEC("iter/bpf_map_elem")
int on_element(struct bpf_iter__bpf_map_elem *ctx) {
        struct call_key *key = ctx->key;
        struct call_value *value = ctx->value;
        struct element row = {};

        if (!key || !value)
                return 0;
        row.id = key->id;
        row.count = value->count;
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
