/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much kernel memory a map takes, from its attributes alone, so that a limit can hold before
 * the map exists. Follows what the kernel's map_mem_usage callbacks count (6.4 and later;
 * tests/unit/policy compares); a map that grows with use is taken as full.
 */
#include "policy/permissions.h"

#define WORD 8u            /* a pointer, and what values are rounded up to */
#define PAGE 4096u         /* with larger pages (arm64) a map takes a little more */
#define MAP_STRUCT 320u    /* struct bpf_map and what most types wrap around it */
#define HASH_STRUCT 896u   /* struct bpf_htab */
#define HASH_BUCKET 16u    /* struct bucket: list head, lock */
#define HASH_ELEMENT 48u   /* struct htab_elem before the key */
#define STACK_BUCKET 16u   /* struct stack_map_bucket before its frames */
#define TRIE_NODE 40u      /* struct lpm_trie_node before its prefix, as the allocator rounds it */
#define LOCAL_ELEMENT 64u  /* struct bpf_local_storage_elem before the data */
#define LOCAL_OWNERS 1024u /* local storage has no max_entries: as many owners are assumed */
#define RING_PAGES 3u      /* consumer, producer and the ring's own page */

/* Saturates: an impossible size must stay impossible. */
static uint64_t mul(uint64_t a, uint64_t b) {
        uint64_t v;

        return __builtin_mul_overflow(a, b, &v) ? UINT64_MAX : v;
}

static uint64_t add(uint64_t a, uint64_t b) {
        uint64_t v;

        return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

static uint64_t power_of_two(uint32_t n) {
        uint64_t v = 1;

        while (v < n)
                v <<= 1;
        return v;
}

static uint64_t pages(uint64_t n) {
        return n > UINT64_MAX - PAGE ? UINT64_MAX : ALIGN_UP(n, (uint64_t)PAGE);
}

static uint64_t hash_bytes(uint64_t key, uint64_t value, uint64_t entries, uint32_t n_cpus,
                           bool is_percpu, bool is_lru) {
        uint64_t element = HASH_ELEMENT + key + (is_percpu ? WORD : value);
        uint64_t total = mul(power_of_two((uint32_t)entries), HASH_BUCKET);

        /* Preallocated plain tables keep one spare element per CPU, for updates in place. */
        if (!is_percpu && !is_lru)
                entries = add(entries, n_cpus);
        total = add(total, mul(element, entries));
        if (!is_percpu && !is_lru)
                total = add(total, (uint64_t)n_cpus * WORD);
        if (is_percpu)
                total = add(total, mul(mul(value, n_cpus), entries));
        return add(total, HASH_STRUCT);
}

/* The data pages are mapped twice in a row, by an array of pointers that is counted too. */
static uint64_t ring_bytes(uint64_t size) {
        uint64_t data = pages(size);

        return data + data / PAGE * 2 * WORD + RING_PAGES * PAGE + MAP_STRUCT;
}

/* entries * hash functions * 7/5 bits, up to a power of two; five hash functions unless map_extra
 * says else. */
static uint64_t bloom_bytes(uint64_t entries) {
        uint64_t bits = MIN(entries * 5 * 7 / 5, (uint64_t)UINT32_MAX);

        return add(power_of_two((uint32_t)bits) / 8, MAP_STRUCT);
}

uint64_t map_bytes_estimate(uint32_t type, uint32_t key_size, uint32_t value_size,
                            uint32_t max_entries, uint32_t flags, uint32_t n_cpus) {
        uint64_t key = ALIGN_UP((uint64_t)key_size, WORD);
        uint64_t value = ALIGN_UP((uint64_t)value_size, WORD);
        uint64_t entries = max_entries;

        switch (type) {
        case BPF_MAP_TYPE_ARRAY:
                if (flags & BPF_F_MMAPABLE)
                        return add(pages(mul(entries, value)), PAGE);
                return add(mul(entries, value), MAP_STRUCT);
        case BPF_MAP_TYPE_PERCPU_ARRAY:
                return add(mul(entries, WORD + mul(value, n_cpus)), MAP_STRUCT);
        case BPF_MAP_TYPE_HASH:
                return hash_bytes(key, value, entries, n_cpus, false, false);
        case BPF_MAP_TYPE_LRU_HASH:
                return hash_bytes(key, value, entries, n_cpus, false, true);
        case BPF_MAP_TYPE_PERCPU_HASH:
                return hash_bytes(key, value, entries, n_cpus, true, false);
        case BPF_MAP_TYPE_LRU_PERCPU_HASH:
                return hash_bytes(key, value, entries, n_cpus, true, true);
        case BPF_MAP_TYPE_HASH_OF_MAPS:
        case BPF_MAP_TYPE_SOCKHASH:
        case BPF_MAP_TYPE_DEVMAP_HASH:
                return hash_bytes(key, WORD, entries, n_cpus, false, false);
        case BPF_MAP_TYPE_RINGBUF:
        case BPF_MAP_TYPE_USER_RINGBUF:
                return ring_bytes(entries);
        case BPF_MAP_TYPE_STACK_TRACE:
                return add(add(mul(power_of_two(max_entries), WORD),
                               mul(entries, STACK_BUCKET + value)),
                           MAP_STRUCT);
        case BPF_MAP_TYPE_LPM_TRIE:
                return add(mul(entries, TRIE_NODE + key + value), MAP_STRUCT);
        case BPF_MAP_TYPE_QUEUE:
        case BPF_MAP_TYPE_STACK:
                return add(mul(entries + 1, value_size), MAP_STRUCT);
        case BPF_MAP_TYPE_BLOOM_FILTER:
                return bloom_bytes(entries);
        case BPF_MAP_TYPE_SK_STORAGE:
        case BPF_MAP_TYPE_INODE_STORAGE:
        case BPF_MAP_TYPE_TASK_STORAGE:
        case 32: /* cgrp_storage */
                return add(mul(LOCAL_OWNERS, LOCAL_ELEMENT + value), MAP_STRUCT);
        case 33: /* arena: pages are given out up to max_entries */
                return add(mul(entries, PAGE), MAP_STRUCT);
        default:
                /* Arrays of pointers to something (programs, events, devices, sockets, maps), and
                 * what is not known. */
                return add(mul(entries, MAX(value, (uint64_t)WORD)), MAP_STRUCT);
        }
}
