/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counting what is lost. A data source's map may have a counter beside it, <map>_lost_samples: of
 * events that found a kernel buffer full, or of entries that found a map full. Users are told the
 * number. The addition is atomic, because a program may be interrupted by another one on its CPU in
 * the middle of it; nobody ever resets a counter, readers take differences.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_helpers.h>

#ifndef NULL
#define NULL ((void *)0)
#endif

/* GADGET_TRACER_MAP() defines one too. */
#define GADGET_LOST_COUNTER(_map)                                                                  \
        struct {                                                                                   \
                __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
                __uint(max_entries, 1);                                                            \
                __type(key, __u32);                                                                \
                __type(value, __u64);                                                              \
        } _map##_lost_samples SEC(".maps")

/* Programs that reserved elsewhere pass NULL for the map. */
#define NULL_lost_samples NULL

/* gadget_count_lost(&map): one more is lost. Usable by a gadget that has a reason of its own to
 * drop what it should have sent. */
#define gadget_count_lost(_map) __gadget_count_lost(_map##_lost_samples)

static __always_inline void __gadget_count_lost(void *lost) {
        __u32 zero = 0;
        __u64 *count = lost ? bpf_map_lookup_elem(lost, &zero) : NULL;

        if (count)
                __sync_fetch_and_add(count, 1);
}
