/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the event ring (include/gadget/event-ring.h): the worker's writer and gadgetd's
 * distrusting reader. */
#pragma once

#include "base/util.h"
#include "gadget/event-ring.h"

/* --- writer: the worker; the mapping is its own, the header is initialised here --- */
struct ring_writer {
        struct event_ring_header *header;
        uint8_t *data;
        uint64_t size;
        uint64_t mask;
        uint64_t head;
        uint64_t tail;
        uint32_t frame_max; /* largest payload of one frame: size/8, at most 64 KiB less the header
                             */
        struct event_frame *frame; /* open frame or NULL */
};

/* Maps fd (n bytes as memfd_sized made it) and initialises it. */
int ring_writer_init(struct ring_writer *w, int fd);
void ring_writer_done(struct ring_writer *w);

/* Opens a frame with room for frame_max payload bytes and returns where the payload begins; the
 * oldest frames go. */
uint8_t *ring_writer_begin(struct ring_writer *w, uint16_t stream, uint16_t flags);

/* Publishes the open frame: n_rows rows of `length` bytes; 0 rows without flags = nothing is
 * published. */
void ring_writer_commit(struct ring_writer *w, uint32_t length, uint32_t n_rows, uint64_t time_ns);

/* No frame is open, and the next one may be long in coming: this process keeps no page of the ring
 * mapped. What was written stays. */
void ring_writer_rest(struct ring_writer *w);

static inline void ring_writer_drop(struct ring_writer *w, uint16_t stream, enum drop_reason reason,
                                    uint64_t n) {
        uint64_t *slot = &w->header->streams[stream].dropped[reason];

        __atomic_store_n(slot, *slot + n, __ATOMIC_RELAXED);
}

/* --- reader: gadgetd, mapped read-only; one mapping, many cursors --- */
struct ring_reader {
        const struct event_ring_header *header;
        const uint8_t *data;
        uint64_t size; /* as created by us, not as the header says */
        uint64_t mask;
};

struct ring_cursor {
        uint64_t position;
        uint64_t start_limit; /* frames up to here may lie before next_seq: written while we took
                                 our place */
        uint64_t next_seq[LIMIT_STREAMS_MAX]; /* per stream: sequence number expected next */
};

int ring_reader_init(struct ring_reader *r, int fd, size_t data_size);
void ring_reader_done(struct ring_reader *r);

/* At the newest end (live), or at the oldest frame still held. */
void ring_cursor_newest(const struct ring_reader *r, struct ring_cursor *cursor);
void ring_cursor_oldest(const struct ring_reader *r, struct ring_cursor *cursor);
/* So far back that `rows` rows of all streams together lie before the end, as far as the ring holds
 * them. */
int ring_cursor_tail(const struct ring_reader *r, struct ring_cursor *cursor, uint64_t rows);

struct ring_frame {
        struct event_frame header; /* a copy, validated */
        uint64_t lost;             /* rows of this stream missing since the cursor's last frame */
};

/* Copies the frame's payload at the cursor into out (header.length bytes, needs EVENT_FRAME room of
 * `room`) and moves on. 1 = a frame, 0 = nothing new, -ENOBUFS = needs more room than `room`
 * (ret->header.length says how much), -EPROTO = the writer wrote nonsense: end it. */
int ring_read(const struct ring_reader *r, struct ring_cursor *cursor, uint8_t *out, size_t room,
              struct ring_frame *ret);

/* True when something lies behind the cursor. */
bool ring_has_more(const struct ring_reader *r, const struct ring_cursor *cursor);

/*
 * Rows of the stream that were overwritten behind the last frame the cursor has seen of it, and
 * counts them as seen: 0 when asked again. Only for a writer that has stopped and a cursor that has
 * read everything: then, over the life of a cursor, rows read + sum of `lost` + this = rows the
 * stream got since the cursor took its place.
 */
uint64_t ring_cursor_lost_tail(const struct ring_reader *r, struct ring_cursor *cursor,
                               unsigned int stream);

/* A copy of one stream's counters. */
void ring_stream_counters(const struct ring_reader *r, unsigned int stream,
                          struct event_ring_stream *ret);

/* "kernel-full", "malformed", ... ; NULL past the last. */
const char *drop_reason_name(enum drop_reason reason);
