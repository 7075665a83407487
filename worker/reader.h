/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data source that is read rather than listened to, and when: a map or iterators, once or again
 * and again, at the start or at the stop.
 *
 *                 interval 0                     interval > 0
 *   map           once, at the stop              every interval, and the rest at the stop
 *   snapshot      once, at the start             at the start and every interval
 *   snapshot with ebpf.iter.fetch-on-stop: as a map
 *   count 1       once, at the start, then the source is finished
 *   count N       as if the interval was 1 s     N reads, then the source is finished
 */
#pragma once

#include "worker/iterator.h"
#include "worker/losses.h"
#include "worker/map-reader.h"

struct reader {
        char name[64]; /* of the data source, for messages */
        enum stream_kind kind;
        struct array array;
        struct map_reader map;
        struct iterator iterator;
        struct losses losses; /* of a map that was full */
        uint64_t interval_ns; /* 0 = no reads by the clock */
        uint64_t next_ns;     /* CLOCK_MONOTONIC; UINT64_MAX = none */
        uint64_t reads_left;  /* UINT64_MAX = no end */
        bool reads_at_stop;
};

int reader_init(struct reader *reader, const struct gadget *g, uint16_t stream,
                const struct ring_writer *out, struct error *err);
void reader_done(struct reader *reader);

/* The gadget runs from now on. */
void reader_start(struct reader *reader, uint64_t now);

/* Reads and sends one array, and plans the next read. */
void reader_read(struct reader *reader, struct drain *d, uint64_t now);

/* True when nothing will ever come any more. */
static inline bool reader_is_finished(const struct reader *reader) {
        return reader->reads_left == 0;
}
