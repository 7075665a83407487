/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tracer.h"

#include <stdio.h>

static int open_ring(struct tracer *t, const struct source *source, struct error *err) {
        int fd, r;

        r = host_map_fd(bpf_map__fd(source->map), &fd);
        if (r == 0)
                r = kernel_ring_init(&t->ring, fd, bpf_map__max_entries(source->map));
        return r < 0 ? error_set(err, ERROR_UNAVAILABLE, r, "map '%s' cannot be read: %s",
                                 bpf_map__name(source->map), strerror(-r))
                     : 0;
}

static int open_perf(struct tracer *t, const struct source *source, struct error *err) {
        size_t n_online = 0;

        t->perf = calloc(t->n_cpus, sizeof(*t->perf));
        if (!t->perf)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for perf buffers");
        for (uint32_t cpu = 0; cpu < t->n_cpus; cpu++) {
                int r = perf_ring_init(&t->perf[t->n_perf++], bpf_map__fd(source->map), cpu);

                n_online += r == 0;
                if (r < 0 && r != -ENODEV)
                        return error_set(err, ERROR_UNAVAILABLE, r,
                                         "the perf buffer of map '%s' on CPU %u cannot be made: %s",
                                         bpf_map__name(source->map), cpu, strerror(-r));
        }
        return n_online > 0 ? 0
                            : error_set(err, ERROR_UNAVAILABLE, -ENODEV,
                                        "no CPU has a perf buffer for map '%s'",
                                        bpf_map__name(source->map));
}

int tracer_init(struct tracer *t, const struct gadget *g, uint16_t stream,
                const struct ring_writer *out, struct error *err) {
        const struct source *source = &g->sources[stream];
        int r;

        *t = (struct tracer){ .ring.fd = -1, .losses.fd = -1, .n_cpus = g->start->n_cpus };
        r = rows_init(&t->rows, g, stream, out, err);
        if (r < 0)
                return r;
        r = bpf_map__type(source->map) == BPF_MAP_TYPE_RINGBUF ? open_ring(t, source, err)
                                                               : open_perf(t, source, err);
        if (r < 0)
                return r;
        return losses_init(&t->losses, source, t->n_cpus, err);
}

void tracer_done(struct tracer *t) {
        kernel_ring_done(&t->ring);
        for (size_t i = 0; i < t->n_perf; i++)
                perf_ring_done(&t->perf[i]);
        free(t->perf);
        losses_done(&t->losses);
        rows_done(&t->rows);
        *t = (struct tracer){ .ring.fd = -1, .losses.fd = -1 };
}

size_t tracer_poll(const struct tracer *t, struct pollfd *out) {
        size_t n = 0;

        if (!t->perf)
                out[n++] = (struct pollfd){ .fd = t->ring.fd, .events = POLLIN };
        for (size_t i = 0; i < t->n_perf; i++)
                if (t->perf[i].page)
                        out[n++] = (struct pollfd){ .fd = t->perf[i].fd, .events = POLLIN };
        return n;
}

uint64_t tracer_size(const struct tracer *t) {
        return t->perf ? PERF_RING_SIZE : t->ring.size;
}

bool tracer_rest(struct tracer *t) {
        if (!t->perf)
                return kernel_ring_rest(&t->ring);
        for (size_t i = 0; i < t->n_perf; i++)
                if (perf_ring_end(&t->perf[i]) != t->perf[i].position)
                        return true;
        return false;
}

static uint64_t drain_ring(struct tracer *t, struct drain *d) {
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

static uint64_t drain_perf(struct tracer *t, struct perf_ring *ring, struct drain *d) {
        uint64_t start = ring->position, end = perf_ring_end(ring), lost = 0;
        const uint32_t event_size = t->rows.program.event_size;
        struct batch batch = { 0 };
        const uint8_t *event;
        uint32_t len;

        if (end == start)
                return 0;
        container_begin_drain();
        while (perf_ring_next(ring, end, &event, &len, &lost)) {
                /* What is too much may be padding. */
                if (len > event_size && len - event_size < 8)
                        len = event_size;
                if (rows_admit(&t->rows, d, &event, &len))
                        rows_put(&t->rows, d, &batch, event, len);
        }
        if (batch.start)
                rows_commit(d, &batch);
        perf_ring_publish(ring);
        /* What the gadget counts by itself is not counted twice. */
        if (lost > 0 && !losses_are_counted(&t->losses))
                ring_writer_drop(d->out, t->rows.stream, DROP_KERNEL_FULL, lost);
        return end - start;
}

/* The fullest buffer decides how soon to look again. */
static uint64_t drain_all_perf(struct tracer *t, struct drain *d) {
        uint64_t most = 0;

        for (size_t i = 0; i < t->n_perf; i++)
                most = MAX(most, drain_perf(t, &t->perf[i], d));
        return most;
}

uint64_t tracer_drain(struct tracer *t, struct drain *d) {
        if (t->perf)
                return drain_all_perf(t, d);
        return drain_ring(t, d);
}
