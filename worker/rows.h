/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of an event into the event ring: looked at by the user's filter, encoded where it will
 * lie, in frames of many rows, and counted when it goes no further.
 */
#pragma once

#include "ipc/ring.h"
#include "worker/event-filter.h"
#include "worker/gadget.h"
#include "worker/program.h"

/* A reader is woken for this much at least, however long a drain is. */
#define BELL_BYTES (64u << 10)

/* What one data source needs for its rows. */
struct rows {
        struct program program;
        struct event_filter *filter; /* NULL = every row passes */
        uint16_t stream;
        uint8_t *padded; /* room for an event that came shorter than its type */
        uint8_t *row;    /* room for a row that may be larger than a frame; NULL if none can be */
};

/* One round over the data sources: the clocks are read once, the bell is rung once in a while. */
struct drain {
        struct ring_writer *out;
        int bell_fd;
        uint64_t wall_ns;
        uint64_t wall_offset; /* added to the boot clock */
        uint64_t n_unrung;    /* bytes committed since the bell was rung */
};

/* The frame that rows are being added to; start is NULL while there is none. */
struct batch {
        uint8_t *start;
        uint8_t *pos;
        uint32_t n_rows;
        uint16_t flags; /* of the next frame that begins */
};

/* Compiles the source's type and the run's filter. rows_done() is due in any case. */
int rows_init(struct rows *rows, const struct gadget *g, uint16_t stream,
              const struct ring_writer *out, struct error *err);
void rows_done(struct rows *rows);

void drain_begin(struct drain *d, struct ring_writer *out, int bell_fd);
void drain_end(struct drain *d);

/* Wakes the ring's reader now. */
void rows_ring_bell(struct drain *d);

/* Publishes the batch's frame; without rows only when it carries flags. */
void rows_commit(struct drain *d, struct batch *b);

/* A frame for the batch, if it has none. */
static inline void rows_begin(const struct rows *rows, struct drain *d, struct batch *b) {
        b->start = b->pos = ring_writer_begin(d->out, rows->stream, b->flags);
        b->flags = 0;
}

/* Room for `need` more bytes, which is never more than a frame holds. */
static inline void rows_make_room(const struct rows *rows, struct drain *d, struct batch *b,
                                  uint32_t need) {
        if (b->start && d->out->frame_max - (uint32_t)(b->pos - b->start) >= need)
                return;
        if (b->start)
                rows_commit(d, b);
        rows_begin(rows, d, b);
}

/* Rows of this type can be larger than a frame: encode aside, then see. */
void rows_add_large(const struct rows *rows, struct drain *d, struct batch *b, const uint8_t *event,
                    uint32_t len);

/* An event that ends before its last text has zeroes for the rest. */
const uint8_t *rows_pad(const struct rows *rows, const uint8_t *event, uint32_t len);

/* True when the event is one of the type, maybe padded, and the filter lets it pass; else it is
 * counted. */
static inline bool rows_admit(const struct rows *rows, struct drain *d, const uint8_t **event,
                              uint32_t *len) {
        if (*len > rows->program.event_size || *len == 0) {
                ring_writer_drop(d->out, rows->stream, DROP_MALFORMED, 1);
                return false;
        }
        if (*len < rows->program.fixed_size) {
                *event = rows_pad(rows, *event, *len);
                *len = rows->program.event_size;
        }
        if (rows->filter && !event_filter_passes(rows->filter, *event, *len, d->wall_offset)) {
                ring_writer_drop(d->out, rows->stream, DROP_FILTERED, 1);
                return false;
        }
        return true;
}

/* Encodes an event that was admitted. */
static inline void rows_put(const struct rows *rows, struct drain *d, struct batch *b,
                            const uint8_t *event, uint32_t len) {
        if (rows->row) {
                rows_add_large(rows, d, b, event, len);
                return;
        }
        rows_make_room(rows, d, b, rows->program.row_max);
        b->pos = program_run(&rows->program, event, len, d->wall_offset, b->pos);
        b->n_rows++;
}
