/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tracer at work: records of a kernel buffer become rows in the event ring, with no copy in
 * between, and what is lost is counted by reason.
 */
#pragma once

#include <poll.h>

#include "worker/kernel-ring.h"
#include "worker/losses.h"
#include "worker/perf-ring.h"
#include "worker/rows.h"

struct tracer {
        struct kernel_ring ring; /* of a ring buffer, or */
        struct perf_ring *perf;  /* of a perf event array, one a CPU */
        size_t n_perf;
        struct rows rows;
        struct losses losses;
        uint32_t n_cpus;
};

int tracer_init(struct tracer *t, const struct gadget *g, uint16_t stream,
                const struct ring_writer *out, struct error *err);
void tracer_done(struct tracer *t);

/* What to poll for; at most n_cpus descriptors. */
size_t tracer_poll(const struct tracer *t, struct pollfd *out);

/* Bytes of the kernel buffer, of one CPU where each has its own. */
uint64_t tracer_size(const struct tracer *t);

/* Before waiting: gives the kernel buffer back. True when something came meanwhile. */
bool tracer_rest(struct tracer *t);

/* Turns everything that lay in the buffer when called into rows; returns the bytes of kernel buffer
 * read. */
uint64_t tracer_drain(struct tracer *t, struct drain *d);

/* Books what the gadget has counted as lost. */
static inline int tracer_read_losses(struct tracer *t, struct ring_writer *out) {
        return losses_read(&t->losses, t->rows.stream, out);
}
