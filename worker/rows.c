/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/rows.h"

#include "base/clock.h"
#include "worker/id-names.h"
#include "worker/kernel-stack.h"

int rows_init(struct rows *rows, const struct gadget *g, uint16_t stream,
              const struct ring_writer *out, struct error *err) {
        const struct source *source = &g->sources[stream];
        int r;

        *rows = (struct rows){ .stream = stream };
        r = program_init(&rows->program, source->type);
        if (r < 0)
                return error_set(err, ERROR_LIMIT, r, "rows of data source '%s' can be too large",
                                 source->name);
        rows->padded = calloc(1, rows->program.event_size);
        if (rows->program.row_max > out->frame_max)
                rows->row = malloc(rows->program.row_max);
        if (!rows->padded || (rows->program.row_max > out->frame_max && !rows->row))
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for data source '%s'",
                                 source->name);
        return event_filter_new(g, source, &rows->filter, err);
}

void rows_done(struct rows *rows) {
        program_done(&rows->program);
        event_filter_free(rows->filter);
        free(rows->padded);
        free(rows->row);
        *rows = (struct rows){ 0 };
}

void drain_begin(struct drain *d, struct ring_writer *out, int bell_fd) {
        uint64_t wall = clock_ns(CLOCK_REALTIME);

        id_names_expire(wall);
        kernel_stack_expire(wall);
        *d = (struct drain){
                .out = out,
                .bell_fd = bell_fd,
                .wall_ns = wall,
                .wall_offset = wall - clock_ns(CLOCK_BOOTTIME),
        };
}

void rows_ring_bell(struct drain *d) {
        uint64_t one = 1;

        /* Full means that 2^64 - 2 wake-ups are waiting already. */
        (void)!write(d->bell_fd, &one, sizeof(one));
        d->n_unrung = 0;
}

void drain_end(struct drain *d) {
        if (d->n_unrung > 0)
                rows_ring_bell(d);
}

void rows_commit(struct drain *d, struct batch *b) {
        uint32_t length = (uint32_t)(b->pos - b->start);

        ring_writer_commit(d->out, length, b->n_rows, d->wall_ns);
        *b = (struct batch){ 0 };
        d->n_unrung += MAX(length, 1u); /* an empty array is news as well */
        if (d->n_unrung >= BELL_BYTES)
                rows_ring_bell(d);
}

void rows_add_large(const struct rows *rows, struct drain *d, struct batch *b, const uint8_t *event,
                    uint32_t len) {
        uint32_t length =
                (uint32_t)(program_run(&rows->program, event, len, d->wall_offset, rows->row) -
                           rows->row);

        if (length > d->out->frame_max) {
                ring_writer_drop(d->out, rows->stream, DROP_TOO_LARGE, 1);
                return;
        }
        rows_make_room(rows, d, b, length);
        memcpy(b->pos, rows->row, length);
        b->pos += length;
        b->n_rows++;
}

const uint8_t *rows_pad(const struct rows *rows, const uint8_t *event, uint32_t len) {
        memcpy(rows->padded, event, len);
        memset(rows->padded + len, 0, rows->program.event_size - len);
        return rows->padded;
}
