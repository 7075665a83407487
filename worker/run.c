/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run.h"

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"

#define NAP_MAX (NSEC_PER_MSEC)
#define NAP_MIN (50 * NSEC_PER_USEC)
#define LOSSES_INTERVAL NSEC_PER_SEC
/* A program that was detached may still be between reserve and submit on another CPU, for
 * microseconds. */
#define LAST_ROUNDS_MAX 100

int run_init(struct run *run, const struct gadget *g, struct error *err) {
        int r;

        *run = (struct run){ .bell_fd = g->start->bell_fd, .nap_ns = NAP_MAX };
        r = ring_writer_init(&run->out, g->start->ring_fd);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "the event ring cannot be mapped");
        run->tracers = calloc(g->n_sources, sizeof(*run->tracers));
        run->fds = calloc(g->n_sources + 1, sizeof(*run->fds));
        if (!run->tracers || !run->fds)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for the data sources");
        for (size_t i = 0; r == 0 && i < g->n_sources; i++)
                r = tracer_init(&run->tracers[run->n_tracers++], g, (uint16_t)i, &run->out, err);
        return r;
}

void run_done(struct run *run) {
        for (size_t i = 0; i < run->n_tracers; i++)
                tracer_done(&run->tracers[i]);
        free(run->tracers);
        free(run->fds);
        ring_writer_done(&run->out);
        *run = (struct run){ .bell_fd = -1 };
}

/* So long that the fullest buffer is about a quarter full after the next nap, at most NAP_MAX. */
static uint64_t next_nap(uint64_t nap, uint64_t found, uint64_t size) {
        if (found > size / 4) {
                nap = nap * (size / 4) / found;
                return found > size / 4 * 3 ? 0 : MAX(nap, NAP_MIN);
        }
        return MIN(MAX(nap, NAP_MIN) * 2, NAP_MAX);
}

uint64_t run_drain(struct run *run) {
        uint64_t total = 0, nap = NAP_MAX;
        struct drain d;

        drain_begin(&d, &run->out, run->bell_fd);
        for (size_t i = 0; i < run->n_tracers; i++) {
                uint64_t found = tracer_drain(&run->tracers[i], &d);

                total += found;
                nap = MIN(nap, next_nap(run->nap_ns, found, run->tracers[i].ring.size));
        }
        drain_end(&d);
        run->nap_ns = nap;
        run->losses_due |= total > 0;
        return total;
}

static void read_losses(struct run *run) {
        for (size_t i = 0; i < run->n_tracers; i++) {
                int r = tracer_read_losses(&run->tracers[i], &run->out);

                if (r < 0)
                        log_warning_errno(
                                r, "cannot read the losses of data source %zu, trying again later",
                                i);
        }
        run->losses_due = false;
        run->losses_read_ns = now_ns();
}

static void wait_for(struct pollfd *fds, size_t n, uint64_t timeout_ns) {
        struct timespec ts = { .tv_sec = (time_t)(timeout_ns / NSEC_PER_SEC),
                               .tv_nsec = (long)(timeout_ns % NSEC_PER_SEC) };

        /* A signal or a lack of memory looks like a timeout: the next round waits again. */
        (void)ppoll(fds, n, timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
}

/* Gives all kernel buffers back before waiting on them. False when one of them is not empty. */
static bool rest(struct run *run) {
        bool is_empty = true;

        for (size_t i = 0; i < run->n_tracers; i++)
                if (kernel_ring_rest(&run->tracers[i].ring))
                        is_empty = false;
        return is_empty;
}

/* Programs are detached: nothing new begins, what is in the buffers is the rest. */
static void drain_last(struct run *run) {
        uint64_t nap = NAP_MAX;

        for (unsigned int i = 0; i < LAST_ROUNDS_MAX; i++) {
                bool found = run_drain(run) > 0;

                wait_for(NULL, 0, nap);
                if (!found && i > 0 && rest(run))
                        break;
        }
        read_losses(run);
}

int run_loop(struct run *run) {
        struct pollfd *fds = run->fds;

        fds[0] = (struct pollfd){ .fd = host_fd(), .events = POLLIN };
        for (size_t i = 0; i < run->n_tracers; i++)
                fds[i + 1] = (struct pollfd){ .fd = run->tracers[i].ring.fd, .events = POLLIN };
        run->losses_read_ns = now_ns();
        for (;;) {
                bool is_busy = run_drain(run) > 0 || !rest(run);
                uint64_t now = now_ns();

                if (run->losses_due && now - run->losses_read_ns >= LOSSES_INTERVAL)
                        read_losses(run);
                if (is_busy)
                        wait_for(fds, 1, run->nap_ns);
                else
                        wait_for(fds, run->n_tracers + 1,
                                 run->losses_due ? run->losses_read_ns + LOSSES_INTERVAL - now
                                                 : UINT64_MAX);
                switch (fds[0].revents ? host_next() : HOST_NONE) {
                case HOST_STOP:
                        drain_last(run);
                        return 0;
                case HOST_CLOSED:
                        return -ECONNRESET;
                case HOST_NONE:
                        break;
                }
        }
}
