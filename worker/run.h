/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running worker. While events come it naps about a millisecond, drains, and naps again: the
 * kernel wakes nobody meanwhile. When a drain finds nothing it waits in poll without a timer, and
 * drains at once when woken. Maps and iterators are read when their time has come.
 */
#pragma once

#include <poll.h>

#include "ipc/ring.h"
#include "worker/gadget.h"
#include "worker/reader.h"
#include "worker/tracer.h"

struct run {
        struct ring_writer out;
        int bell_fd;
        struct tracer *tracers;
        size_t n_tracers;
        struct reader *readers;
        size_t n_readers;
        struct pollfd *fds; /* the broker, then the kernel buffers */
        size_t n_fds;
        uint64_t losses_read_ns; /* CLOCK_MONOTONIC */
        bool losses_due;         /* events came since */
        uint64_t nap_ns;
};

/* Maps the event ring and the kernel buffers of a loaded gadget. run_done() is due in any case. */
int run_init(struct run *run, const struct gadget *g, struct error *err);
void run_done(struct run *run);

/* Between gadget_attach() and gadget_forget(): what needs links. */
int run_attached(struct run *run, const struct gadget *g, struct error *err);

/* Reads what is due now; when the next read is, UINT64_MAX = none. */
uint64_t run_read_due(struct run *run, uint64_t now);

/* Until the broker says stop or nothing will ever come any more (0, everything drained and
 * counted), or until the broker is gone (-ECONNRESET). */
int run_loop(struct run *run);

/* One round over all tracers; returns the bytes of kernel buffers read and sets the next nap. */
uint64_t run_drain(struct run *run);
