/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/perf-ring.h"

#include <bpf/bpf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* A record's size is a 16-bit number. */
#define RECORD_MAX (64u << 10)

int perf_ring_init(struct perf_ring *ring, int map_fd, uint32_t cpu) {
        struct perf_event_attr attr = {
                .type = PERF_TYPE_SOFTWARE,
                .size = sizeof(attr),
                .config = PERF_COUNT_SW_BPF_OUTPUT,
                .sample_type = PERF_SAMPLE_RAW,
                .sample_period = 1,
                .wakeup_events = 1,
        };
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        void *p;

        *ring = (struct perf_ring){ .fd = -1 };
        ring->fd = (int)syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1,
                                (unsigned long)PERF_FLAG_FD_CLOEXEC);
        if (ring->fd < 0)
                return -errno;
        p = mmap(NULL, page + PERF_RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
        if (p == MAP_FAILED)
                return -errno;
        ring->page = p;
        ring->data = (const uint8_t *)p + page;
        ring->size = PERF_RING_SIZE;
        ring->wrapped = malloc(RECORD_MAX);
        if (!ring->wrapped)
                return -ENOMEM;
        if (bpf_map_update_elem(map_fd, &cpu, &ring->fd, BPF_ANY) < 0 ||
            ioctl(ring->fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
                return -errno;
        return 0;
}

void perf_ring_done(struct perf_ring *ring) {
        if (ring->page)
                munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->size);
        close_fd(&ring->fd);
        free(ring->wrapped);
        *ring = (struct perf_ring){ .fd = -1 };
}

/* n bytes at the position, put together when they wrap. */
static const uint8_t *bytes_at(const struct perf_ring *ring, uint64_t position, size_t n) {
        uint64_t at = position & (ring->size - 1), to_end = ring->size - at;

        if (n <= to_end)
                return ring->data + at;
        memcpy(ring->wrapped, ring->data + at, to_end);
        memcpy(ring->wrapped + to_end, ring->data, n - to_end);
        return ring->wrapped;
}

int perf_ring_next(struct perf_ring *ring, uint64_t end, const uint8_t **ret, uint32_t *ret_len,
                   uint64_t *lost) {
        struct perf_event_header header;
        const uint8_t *record;
        uint64_t n_lost;

        /* Headers never wrap: records are multiples of 8 bytes. */
        while (ring->position < end) {
                memcpy(&header, ring->data + (ring->position & (ring->size - 1)), sizeof(header));
                if (header.size < sizeof(header)) {
                        ring->position = end; /* the kernel writes no such thing */
                        return 0;
                }
                record = bytes_at(ring, ring->position, header.size);
                ring->position += header.size;
                if (header.type == PERF_RECORD_LOST &&
                    header.size >= sizeof(header) + 2 * sizeof(n_lost)) {
                        memcpy(&n_lost, record + sizeof(header) + sizeof(n_lost), sizeof(n_lost));
                        *lost += n_lost;
                } else if (header.type == PERF_RECORD_SAMPLE &&
                           header.size >= sizeof(header) + sizeof(*ret_len)) {
                        memcpy(ret_len, record + sizeof(header), sizeof(*ret_len));
                        *ret = record + sizeof(header) + sizeof(*ret_len);
                        *ret_len = MIN(*ret_len,
                                       (uint32_t)(header.size - sizeof(header) - sizeof(*ret_len)));
                        return 1;
                }
        }
        return 0;
}
