/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running worker. While events come it naps about a millisecond, drains, and naps again: the
 * kernel wakes nobody meanwhile. When a drain finds nothing it waits in poll without a timer, and
 * drains at once when woken.
 */
#pragma once

#include <poll.h>

#include "ipc/ring.h"
#include "worker/gadget.h"
#include "worker/tracer.h"

struct run {
        struct ring_writer out;
        int bell_fd;
        struct tracer *tracers;
        size_t n_tracers;
        struct pollfd *fds;      /* the broker, then the kernel buffers */
        uint64_t losses_read_ns; /* CLOCK_MONOTONIC */
        bool losses_due;         /* events came since */
        uint64_t nap_ns;
};

/* Maps the event ring and the kernel buffers of a loaded gadget. run_done() is due in any case. */
int run_init(struct run *run, const struct gadget *g, struct error *err);
void run_done(struct run *run);

/* Until the broker says stop (0, everything drained and counted) or is gone (-ECONNRESET). */
int run_loop(struct run *run);

/* One round over all tracers; returns the bytes of kernel buffers read and sets the next nap. */
uint64_t run_drain(struct run *run);
