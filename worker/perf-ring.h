/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The perf buffer of one CPU, one of those that a perf event array has. Records are samples and
 * numbers of those that were lost; a record that wraps around the end is put together aside.
 */
#pragma once

#include <linux/perf_event.h>

#include "base/util.h"

/* Of each CPU. */
#define PERF_RING_SIZE (256u << 10)

struct perf_ring {
        struct perf_event_mmap_page *page; /* NULL = this CPU is offline */
        const uint8_t *data;
        uint64_t size;
        uint64_t position;
        uint8_t *wrapped; /* room for a record */
        int fd;
};

/* Opens and maps the buffer and puts it into the perf event array. -ENODEV for an offline CPU. */
int perf_ring_init(struct perf_ring *ring, int map_fd, uint32_t cpu);
void perf_ring_done(struct perf_ring *ring);

static inline uint64_t perf_ring_end(const struct perf_ring *ring) {
        return ring->page ? __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE) : 0;
}

/* Gives everything back that was read. */
static inline void perf_ring_publish(struct perf_ring *ring) {
        if (ring->page)
                __atomic_store_n(&ring->page->data_tail, ring->position, __ATOMIC_RELEASE);
}

/* The next sample before `end`: 1, or 0 when there is none. Adds what was lost in between to
 * *lost. The kernel pads samples by up to 7 bytes. */
int perf_ring_next(struct perf_ring *ring, uint64_t end, const uint8_t **ret, uint32_t *ret_len,
                   uint64_t *lost);
