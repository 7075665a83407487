/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own consumer of a BPF ring buffer. The kernel wakes a reader only for a record that is
 * written when the reader has caught up, so when the position is published is what decides how
 * often a producer pays for a wake-up: here in quarters of the ring while draining, and up to the
 * last record only before waiting (kernel_ring_rest).
 */
#pragma once

#include "base/util.h"

struct kernel_ring {
        uint64_t *consumer;       /* shared with the kernel: what we have read */
        const uint64_t *producer; /* shared: what has been reserved */
        const uint8_t *data;      /* mapped twice in a row, so that a record never wraps */
        uint64_t size;
        uint64_t mask;
        uint64_t position;  /* ours; ahead of *consumer by what is not published yet */
        uint64_t last;      /* where the last record read begins */
        uint64_t published; /* what *consumer says */
        int fd;             /* of the map, for poll */
};

/* take_fd is the real fd of a BPF_MAP_TYPE_RINGBUF of `size` bytes. */
int kernel_ring_init(struct kernel_ring *ring, int take_fd, size_t size);
void kernel_ring_done(struct kernel_ring *ring);

/* How far producers had come when asked. */
static inline uint64_t kernel_ring_end(const struct kernel_ring *ring) {
        return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

static inline void kernel_ring_publish(struct kernel_ring *ring, uint64_t position) {
        if (ring->published == position)
                return;
        ring->published = position;
        __atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
}

/* The next record before `end`: 1, or 0 when there is none or when its producer is still writing
 * it. */
static inline int kernel_ring_next(struct kernel_ring *ring, uint64_t end, const uint8_t **ret,
                                   uint32_t *ret_len) {
        const uint32_t is_busy = UINT32_C(1) << 31, is_discarded = UINT32_C(1) << 30,
                       header_size = 8;

        while (ring->position < end) {
                const uint8_t *record = ring->data + (ring->position & ring->mask);
                uint32_t head =
                        __atomic_load_n((const uint32_t *)(const void *)record, __ATOMIC_ACQUIRE);
                uint32_t len = head & ~(is_busy | is_discarded);

                if (head & is_busy)
                        return 0;
                ring->last = ring->position;
                ring->position += ALIGN_UP((uint64_t)len + header_size, 8);
                if (ring->position - ring->published > ring->size / 4)
                        kernel_ring_publish(ring, ring->last);
                if (head & is_discarded)
                        continue;
                *ret = record + header_size;
                *ret_len = len;
                return 1;
        }
        return 0;
}

/* At the end of a drain of a busy ring: gives back all but the last record, so that the next one
 * wakes nobody. */
static inline void kernel_ring_pause(struct kernel_ring *ring) {
        kernel_ring_publish(ring, ring->last);
}

/* Before waiting in poll: gives everything back. True when records came meanwhile; then do not
 * wait. */
static inline bool kernel_ring_rest(struct kernel_ring *ring) {
        kernel_ring_publish(ring, ring->position);
        /* Against the producer, which stores its position and then looks at ours. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        return kernel_ring_end(ring) != ring->position;
}
