/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/kernel-ring.h"

#include <sys/mman.h>

int kernel_ring_init(struct kernel_ring *ring, int take_fd, size_t size) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        cleanup_close int fd = take_fd;
        void *consumer, *producer;

        *ring = (struct kernel_ring){ .fd = -1 };
        if (size < page || (size & (size - 1)) != 0)
                return -EINVAL;
        consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (consumer == MAP_FAILED)
                return -errno;
        producer = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, fd, (off_t)page);
        if (producer == MAP_FAILED) {
                int r = -errno;

                munmap(consumer, page);
                return r;
        }
        *ring = (struct kernel_ring){
                .consumer = consumer,
                .producer = producer,
                .data = (const uint8_t *)producer + page,
                .size = size,
                .mask = size - 1,
                .fd = TAKE_FD(fd),
        };
        ring->position = ring->last = ring->published =
                __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
        return 0;
}

void kernel_ring_done(struct kernel_ring *ring) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);

        if (ring->consumer) {
                munmap(ring->consumer, page);
                munmap((void *)(uintptr_t)ring->producer, page + 2 * ring->size);
        }
        close_fd(&ring->fd);
        *ring = (struct kernel_ring){ .fd = -1 };
}
