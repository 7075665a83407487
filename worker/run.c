/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run.h"
#include "worker/hurry.h"
#include "worker/probes.h"
#include "worker/stack-maps.h"

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"

#define NAP_MAX (NSEC_PER_MSEC)
#define NAP_MIN (50 * NSEC_PER_USEC)
#define LOSSES_INTERVAL NSEC_PER_SEC
/* A program that was detached may still be between reserve and submit on another CPU, for
 * microseconds. */
#define LAST_ROUNDS_MAX 100
/* For names in the last rows; less than the broker gives to drain (STOP_DEADLINE_STACKS). */
#define NAMES_TIME (5 * NSEC_PER_SEC)

int run_init(struct run *run, const struct gadget *g, struct error *err) {
        int r;

        *run = (struct run){ .bell_fd = g->start->bell_fd, .nap_ns = NAP_MAX };
        r = ring_writer_init(&run->out, g->start->ring_fd);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "the event ring cannot be mapped");
        run->tracers = calloc(g->n_sources, sizeof(*run->tracers));
        run->readers = calloc(g->n_sources, sizeof(*run->readers));
        run->fds = calloc(g->n_sources * MAX(g->start->n_cpus, 1u) + 1, sizeof(*run->fds));
        if (!run->tracers || !run->readers || !run->fds)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for the data sources");
        for (size_t i = 0; r == 0 && i < g->n_sources; i++)
                r = g->sources[i].kind == STREAM_TRACER
                            ? tracer_init(&run->tracers[run->n_tracers++], g, (uint16_t)i,
                                          &run->out, err)
                            : reader_init(&run->readers[run->n_readers++], g, (uint16_t)i,
                                          &run->out, err);
        return r < 0 ? r : stack_maps_open(g, err);
}

void run_done(struct run *run) {
        stack_maps_close();
        for (size_t i = 0; i < run->n_tracers; i++)
                tracer_done(&run->tracers[i]);
        for (size_t i = 0; i < run->n_readers; i++)
                reader_done(&run->readers[i]);
        free(run->tracers);
        free(run->readers);
        free(run->fds);
        ring_writer_done(&run->out);
        *run = (struct run){ .bell_fd = -1 };
}

/* Readers are in the order of their sources. */
int run_attached(struct run *run, const struct gadget *g, struct error *err) {
        struct reader *reader = run->readers;

        for (size_t i = 0; i < g->n_sources; i++) {
                const struct source *source = &g->sources[i];

                for (size_t k = 0; k < source->n_programs; k++) {
                        struct bpf_link *link = gadget_link_of(g, source->programs[k]);
                        int r = 0;

                        /* One that is switched off, or optional and not there. */
                        if (link)
                                r = iterator_add_link(&reader->iterator, bpf_link__fd(link));
                        if (r < 0)
                                return error_set(err, ERROR_INTERNAL, r,
                                                 "iterator '%s' of data source '%s' cannot be kept",
                                                 bpf_program__name(source->programs[k]),
                                                 source->name);
                }
                reader += source->kind != STREAM_TRACER;
        }
        return 0;
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
                nap = MIN(nap, next_nap(run->nap_ns, found, tracer_size(&run->tracers[i])));
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
                if (tracer_rest(&run->tracers[i]))
                        is_empty = false;
        return is_empty;
}

uint64_t run_read_due(struct run *run, uint64_t now) {
        uint64_t next = UINT64_MAX;
        struct drain d;

        if (run->n_readers == 0)
                return next;
        drain_begin(&d, &run->out, run->bell_fd);
        for (size_t i = 0; i < run->n_readers; i++) {
                struct reader *reader = &run->readers[i];

                if (reader->next_ns <= now)
                        reader_read(reader, &d, now);
                next = MIN(next, reader->next_ns);
        }
        drain_end(&d);
        return next;
}

/* Maps hold what was counted since they were read last. */
static void read_last(struct run *run) {
        struct drain d;

        drain_begin(&d, &run->out, run->bell_fd);
        for (size_t i = 0; i < run->n_readers; i++)
                if (run->readers[i].reads_at_stop && !reader_is_finished(&run->readers[i]))
                        reader_read(&run->readers[i], &d, now_ns());
        drain_end(&d);
}

/* Programs are detached: nothing new begins, what is in the buffers is the rest. */
static void drain_last(struct run *run) {
        uint64_t nap = NAP_MAX;

        hurry(NAMES_TIME);
        for (unsigned int i = 0; i < LAST_ROUNDS_MAX; i++) {
                bool found = run_drain(run) > 0;

                wait_for(NULL, 0, nap);
                if (!found && i > 0 && rest(run))
                        break;
        }
        read_last(run);
        read_losses(run);
}

static bool is_finished(const struct run *run) {
        for (size_t i = 0; i < run->n_readers; i++)
                if (!reader_is_finished(&run->readers[i]))
                        return false;
        return run->n_tracers == 0;
}

static uint64_t until(uint64_t deadline, uint64_t now) {
        return deadline == UINT64_MAX ? UINT64_MAX : deadline > now ? deadline - now : 0;
}

/* One round: everything that is there is read, then waits for more. */
static void wait_for_more(struct run *run) {
        bool is_busy = run->n_tracers > 0 && (run_drain(run) > 0 || !rest(run));
        uint64_t now = now_ns(), next, wait;

        next = run_read_due(run, now);
        if (is_finished(run) || probes_have_work())
                return;
        if (run->losses_due && now - run->losses_read_ns >= LOSSES_INTERVAL) {
                read_losses(run);
                if (!is_busy)
                        ring_writer_rest(&run->out);
        }
        if (run->losses_due)
                next = MIN(next, run->losses_read_ns + LOSSES_INTERVAL);
        wait = until(next, now_ns());
        if (is_busy)
                wait_for(run->fds, 1, MIN(run->nap_ns, wait));
        else
                wait_for(run->fds, run->n_fds, wait);
}

int run_loop(struct run *run) {
        struct pollfd *fds = run->fds;

        fds[0] = (struct pollfd){ .fd = host_fd(), .events = POLLIN };
        run->n_fds = 1;
        for (size_t i = 0; i < run->n_tracers; i++)
                run->n_fds += tracer_poll(&run->tracers[i], fds + run->n_fds);
        run->losses_read_ns = now_ns();
        for (size_t i = 0; i < run->n_readers; i++)
                reader_start(&run->readers[i], run->losses_read_ns);
        while (!is_finished(run)) {
                fds[0].revents = 0;
                wait_for_more(run);
                switch (fds[0].revents ? host_next() : HOST_NONE) {
                case HOST_STOP:
                        drain_last(run);
                        return 0;
                case HOST_CLOSED:
                        return -ECONNRESET;
                case HOST_CONTAINER:
                case HOST_NONE:
                        break;
                }
                if (probes_have_work())
                        probes_update();
        }
        return 0;
}
