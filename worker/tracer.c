/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tracer.h"

#include <bpf/bpf.h>
#include <stdio.h>

int tracer_init(struct tracer *t, const struct gadget *g, uint16_t stream,
                const struct ring_writer *out, struct error *err) {
        const struct source *source = &g->sources[stream];
        int fd, r;

        *t = (struct tracer){ .ring.fd = -1, .lost_map_fd = -1, .n_cpus = g->start->n_cpus };
        if (bpf_map__type(source->map) != BPF_MAP_TYPE_RINGBUF)
                return error_set(
                        err, ERROR_UNAVAILABLE, -EOPNOTSUPP,
                        "tracer '%s': map '%s' is a perf event array; only ring buffers are read",
                        source->name, bpf_map__name(source->map));
        r = rows_init(&t->rows, g, stream, out, err);
        if (r < 0)
                return r;
        r = host_map_fd(bpf_map__fd(source->map), &fd);
        if (r == 0)
                r = kernel_ring_init(&t->ring, fd, bpf_map__max_entries(source->map));
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "map '%s' cannot be read: %s",
                                 bpf_map__name(source->map), strerror(-r));
        if (source->lost) {
                r = host_map_fd(bpf_map__fd(source->lost), &t->lost_map_fd);
                if (r < 0)
                        return error_set(err, ERROR_UNAVAILABLE, r, "map '%s' cannot be read: %s",
                                         bpf_map__name(source->lost), strerror(-r));
        }
        t->lost_slots = calloc(t->n_cpus ? t->n_cpus : 1, sizeof(*t->lost_slots));
        if (!t->lost_slots)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for data source '%s'",
                                 source->name);
        return 0;
}

void tracer_done(struct tracer *t) {
        kernel_ring_done(&t->ring);
        close_fd(&t->lost_map_fd);
        rows_done(&t->rows);
        free(t->lost_slots);
        *t = (struct tracer){ .ring.fd = -1, .lost_map_fd = -1 };
}

uint64_t tracer_drain(struct tracer *t, struct drain *d) {
        uint64_t start = t->ring.position, end = kernel_ring_end(&t->ring);
        const struct rows *rows = &t->rows;
        struct batch batch = { 0 };
        const uint8_t *event;
        uint32_t len;

        if (end != start)
                container_begin_drain();
        while (kernel_ring_next(&t->ring, end, &event, &len))
                if (rows_admit(rows, d, &event, &len))
                        rows_put(rows, d, &batch, event, len);
        if (batch.start)
                rows_commit(d, &batch);
        kernel_ring_pause(&t->ring);
        return t->ring.position - start;
}

int tracer_read_losses(struct tracer *t, struct ring_writer *out) {
        uint32_t key = 0;
        uint64_t sum = 0;

        if (t->lost_map_fd < 0)
                return 0;
        if (bpf_map_lookup_elem(t->lost_map_fd, &key, t->lost_slots) < 0)
                return -errno;
        for (uint32_t i = 0; i < t->n_cpus; i++)
                sum += t->lost_slots[i];
        if (sum != t->lost)
                ring_writer_drop(out, t->rows.stream, DROP_KERNEL_FULL, sum - t->lost);
        t->lost = sum;
        return 0;
}
