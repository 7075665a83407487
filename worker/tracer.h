/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tracer at work: records of a kernel buffer become rows in the event ring, with no copy in
 * between, and what is lost is counted by reason.
 */
#pragma once

#include "ipc/ring.h"
#include "worker/gadget.h"
#include "worker/kernel-ring.h"
#include "worker/program.h"

struct tracer {
        struct kernel_ring ring;
        struct program program;
        uint16_t stream;
        uint8_t *padded; /* room for an event that came shorter than its type */
        uint8_t *row;    /* room for a row that may be larger than a frame; NULL if none can be */
        int lost_map_fd; /* of <map>_lost_samples, -1 = the gadget has none */
        uint32_t n_cpus;
        uint64_t lost;        /* as read last */
        uint64_t *lost_slots; /* one a CPU */
};

/* One round over the kernel buffers: the clocks are read once, the bell is rung once in a while. */
struct drain {
        struct ring_writer *out;
        int bell_fd;
        uint64_t wall_ns;
        uint64_t wall_offset; /* added to the boot clock */
        uint64_t n_unrung;    /* bytes committed since the bell was rung */
};

int tracer_init(struct tracer *t, const struct gadget *g, uint16_t stream,
                const struct ring_writer *out, struct error *err);
void tracer_done(struct tracer *t);

void drain_begin(struct drain *d, struct ring_writer *out, int bell_fd);
void drain_end(struct drain *d);

/* Turns everything that lay in the buffer when called into rows; returns the bytes of kernel buffer
 * read. */
uint64_t tracer_drain(struct tracer *t, struct drain *d);

/* Reads the gadget's own count of events it could not reserve and books what is new. */
int tracer_read_losses(struct tracer *t, struct ring_writer *out);
