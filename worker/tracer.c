/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tracer.h"

#include <bpf/bpf.h>
#include <stdio.h>

#include "base/clock.h"

/* A reader is woken for this much at least, however long a drain is. */
#define BELL_BYTES (64u << 10)

int tracer_init(struct tracer *t, const struct gadget *g, uint16_t stream,
                const struct ring_writer *out, struct error *err) {
        const struct source *source = &g->sources[stream];
        int fd, r;

        *t = (struct tracer){
                .ring.fd = -1, .stream = stream, .lost_map_fd = -1, .n_cpus = g->start->n_cpus
        };
        if (bpf_map__type(source->map) != BPF_MAP_TYPE_RINGBUF)
                return error_set(
                        err, ERROR_UNAVAILABLE, -EOPNOTSUPP,
                        "tracer '%s': map '%s' is a perf event array; only ring buffers are read",
                        source->name, bpf_map__name(source->map));
        r = program_init(&t->program, source->type);
        if (r < 0)
                return error_set(err, ERROR_LIMIT, r, "rows of data source '%s' can be too large",
                                 source->name);
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
        t->padded = calloc(1, t->program.event_size);
        t->lost_slots = calloc(t->n_cpus ? t->n_cpus : 1, sizeof(*t->lost_slots));
        if (t->program.row_max > out->frame_max)
                t->row = malloc(t->program.row_max);
        if (!t->padded || !t->lost_slots || (t->program.row_max > out->frame_max && !t->row))
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for data source '%s'",
                                 source->name);
        return 0;
}

void tracer_done(struct tracer *t) {
        kernel_ring_done(&t->ring);
        close_fd(&t->lost_map_fd);
        program_done(&t->program);
        free(t->padded);
        free(t->row);
        free(t->lost_slots);
        *t = (struct tracer){ .ring.fd = -1, .lost_map_fd = -1 };
}

void drain_begin(struct drain *d, struct ring_writer *out, int bell_fd) {
        uint64_t wall = clock_ns(CLOCK_REALTIME);

        *d = (struct drain){
                .out = out,
                .bell_fd = bell_fd,
                .wall_ns = wall,
                .wall_offset = wall - clock_ns(CLOCK_BOOTTIME),
        };
}

static void ring_bell(struct drain *d) {
        uint64_t one = 1;

        /* Full means that 2^64 - 2 wake-ups are waiting already. */
        (void)!write(d->bell_fd, &one, sizeof(one));
        d->n_unrung = 0;
}

void drain_end(struct drain *d) {
        if (d->n_unrung > 0)
                ring_bell(d);
}

/* The frame that rows are being added to; start is NULL while there is none. */
struct batch {
        uint8_t *start;
        uint8_t *pos;
        uint32_t n_rows;
};

static void commit(struct drain *d, struct batch *b) {
        uint32_t length = (uint32_t)(b->pos - b->start);

        ring_writer_commit(d->out, length, b->n_rows, d->wall_ns);
        *b = (struct batch){ 0 };
        d->n_unrung += length;
        if (d->n_unrung >= BELL_BYTES)
                ring_bell(d);
}

/* Room for `need` more bytes, which is never more than a frame holds. */
static inline void make_room(const struct tracer *t, struct drain *d, struct batch *b,
                             uint32_t need) {
        if (b->start && d->out->frame_max - (uint32_t)(b->pos - b->start) >= need)
                return;
        if (b->start)
                commit(d, b);
        b->start = b->pos = ring_writer_begin(d->out, t->stream, 0);
}

/* Rows of this type can be larger than a frame: encode aside, then see. */
static void add_large(struct tracer *t, struct drain *d, struct batch *b, const uint8_t *event,
                      uint32_t len) {
        uint32_t length =
                (uint32_t)(program_run(&t->program, event, len, d->wall_offset, t->row) - t->row);

        if (length > d->out->frame_max) {
                ring_writer_drop(d->out, t->stream, DROP_TOO_LARGE, 1);
                return;
        }
        make_room(t, d, b, length);
        memcpy(b->pos, t->row, length);
        b->pos += length;
        b->n_rows++;
}

/* An event that ends before its last text has zeroes for the rest. */
static const uint8_t *pad(struct tracer *t, const uint8_t *event, uint32_t len) {
        memcpy(t->padded, event, len);
        memset(t->padded + len, 0, t->program.event_size - len);
        return t->padded;
}

uint64_t tracer_drain(struct tracer *t, struct drain *d) {
        uint64_t start = t->ring.position, end = kernel_ring_end(&t->ring);
        const uint32_t event_size = t->program.event_size;
        struct batch batch = { 0 };
        const uint8_t *event;
        uint32_t len;

        while (kernel_ring_next(&t->ring, end, &event, &len)) {
                if (len > event_size || len == 0) {
                        ring_writer_drop(d->out, t->stream, DROP_MALFORMED, 1);
                        continue;
                }
                if (len < t->program.fixed_size) {
                        event = pad(t, event, len);
                        len = event_size;
                }
                if (t->row) {
                        add_large(t, d, &batch, event, len);
                        continue;
                }
                make_room(t, d, &batch, t->program.row_max);
                batch.pos = program_run(&t->program, event, len, d->wall_offset, batch.pos);
                batch.n_rows++;
        }
        if (batch.start)
                commit(d, &batch);
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
                ring_writer_drop(out, t->stream, DROP_KERNEL_FULL, sum - t->lost);
        t->lost = sum;
        return 0;
}
