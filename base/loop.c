/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <assert.h>
#include <sys/signalfd.h>

#include "base/clock.h"

#define EVENTS_PER_ROUND 64

struct loop {
        int epoll_fd;
        bool is_exiting;
        int exit_code;

        struct loop_io *ready_first; /* found ready in this round, not yet called */
        struct loop_io **ready_last;
        struct loop_defer *defer_first;
        struct loop_defer **defer_last;

        struct loop_timer **timers; /* binary heap, earliest first */
        size_t n_timers;
        size_t timers_cap;

        struct loop_stat stats[LOOP_STATS_MAX];
        size_t n_stats;
};

int loop_new(struct loop **ret) {
        cleanup(loop_freep) struct loop *loop = calloc(1, sizeof(*loop));

        if (!loop)
                return -ENOMEM;
        loop->ready_last = &loop->ready_first;
        loop->defer_last = &loop->defer_first;
        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll_fd < 0)
                return -errno;
        *ret = TAKE_PTR(loop);
        return 0;
}

struct loop *loop_free(struct loop *loop) {
        if (!loop)
                return NULL;
        for (size_t i = 0; i < loop->n_timers; i++)
                loop->timers[i]->index = 0;
        close_fd(&loop->epoll_fd);
        free(loop->timers);
        free(loop);
        return NULL;
}

void loop_exit(struct loop *loop, int code) {
        loop->is_exiting = true;
        loop->exit_code = code;
}

/* --- io --- */

int loop_io_add(struct loop *loop, struct loop_io *io, int fd, uint32_t events, const char *name,
                loop_io_func func) {
        struct epoll_event event = { .events = events, .data.ptr = io };

        assert(!io->loop);
        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        *io = (struct loop_io){
                .loop = loop, .fd = fd, .events = events, .name = name, .func = func
        };
        return 0;
}

int loop_io_modify(struct loop_io *io, uint32_t events) {
        struct epoll_event event = { .events = events, .data.ptr = io };

        if (!io->loop)
                return -EINVAL;
        if (io->events == events)
                return 0;
        if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &event) < 0)
                return -errno;
        io->events = events;
        return 0;
}

static void ready_push(struct loop *loop, struct loop_io *io) {
        io->ready_next = NULL;
        io->is_queued = true;
        *loop->ready_last = io;
        loop->ready_last = &io->ready_next;
}

static void ready_unlink(struct loop *loop, struct loop_io *io) {
        struct loop_io **at = &loop->ready_first;

        if (!io->is_queued)
                return;
        while (*at != io)
                at = &(*at)->ready_next;
        *at = io->ready_next;
        if (loop->ready_last == &io->ready_next)
                loop->ready_last = at;
        io->is_queued = false;
}

void loop_io_remove(struct loop_io *io) {
        int r;

        if (!io->loop)
                return;
        ready_unlink(io->loop, io);
        r = epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
        /* A failure means that the fd was closed first: its number may be somebody else's by now.
         */
        assert(r == 0);
        (void)r;
        io->loop = NULL;
}

/* --- timers --- */

static void heap_place(struct loop *loop, size_t at, struct loop_timer *timer) {
        loop->timers[at] = timer;
        timer->index = at + 1;
}

/* Puts timer, which belongs somewhere at or around `at`, where heap order wants it. */
static void heap_sift(struct loop *loop, size_t at, struct loop_timer *timer) {
        while (at > 0 && timer->deadline_ns < loop->timers[(at - 1) / 2]->deadline_ns) {
                heap_place(loop, at, loop->timers[(at - 1) / 2]);
                at = (at - 1) / 2;
        }
        for (;;) {
                size_t child = 2 * at + 1;

                if (child + 1 < loop->n_timers &&
                    loop->timers[child + 1]->deadline_ns < loop->timers[child]->deadline_ns)
                        child++;
                if (child >= loop->n_timers ||
                    timer->deadline_ns <= loop->timers[child]->deadline_ns)
                        break;
                heap_place(loop, at, loop->timers[child]);
                at = child;
        }
        heap_place(loop, at, timer);
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns, const char *name,
                   loop_timer_func func) {
        uint64_t deadline;

        if (__builtin_add_overflow(now_ns(), delay_ns, &deadline))
                deadline = UINT64_MAX;
        if (timer->index == 0) {
                if (loop->n_timers == loop->timers_cap) {
                        size_t cap = MAX(loop->timers_cap * 2, (size_t)16);
                        struct loop_timer **timers =
                                reallocarray(loop->timers, cap, sizeof(*timers));

                        if (!timers)
                                return -ENOMEM;
                        loop->timers = timers;
                        loop->timers_cap = cap;
                }
                timer->index = ++loop->n_timers;
        }
        timer->loop = loop;
        timer->deadline_ns = deadline;
        timer->name = name;
        timer->func = func;
        heap_sift(loop, timer->index - 1, timer);
        return 0;
}

void loop_timer_clear(struct loop_timer *timer) {
        struct loop *loop = timer->loop;
        struct loop_timer *last;
        size_t at;

        if (timer->index == 0)
                return;
        at = timer->index - 1;
        timer->index = 0;
        last = loop->timers[--loop->n_timers];
        if (last != timer)
                heap_sift(loop, at, last);
}

/* --- defers --- */

void loop_defer(struct loop *loop, struct loop_defer *defer, loop_defer_func func) {
        defer->func = func;
        if (defer->is_queued)
                return;
        defer->loop = loop;
        defer->next = NULL;
        defer->is_queued = true;
        *loop->defer_last = defer;
        loop->defer_last = &defer->next;
}

void loop_defer_cancel(struct loop_defer *defer) {
        struct loop *loop = defer->loop;
        struct loop_defer **at;

        if (!defer->is_queued)
                return;
        for (at = &loop->defer_first; *at != defer;)
                at = &(*at)->next;
        *at = defer->next;
        if (loop->defer_last == &defer->next)
                loop->defer_last = at;
        defer->is_queued = false;
}

/* --- statistics --- */

/* Names are literals: the same pointer nearly always, else the same text. */
static struct loop_stat *find_stat(struct loop *loop, const char *name) {
        for (size_t i = 0; i < loop->n_stats; i++)
                if (loop->stats[i].name == name)
                        return &loop->stats[i];
        for (size_t i = 0; i < loop->n_stats; i++)
                if (str_eq(loop->stats[i].name, name))
                        return &loop->stats[i];
        if (loop->n_stats == LOOP_STATS_MAX)
                return &loop->stats[LOOP_STATS_MAX - 1];
        loop->stats[loop->n_stats].name = loop->n_stats == LOOP_STATS_MAX - 1 ? "others" : name;
        return &loop->stats[loop->n_stats++];
}

/* Adds a call that began at *since, and moves *since on to now. */
static void account(struct loop *loop, const char *name, uint64_t *since) {
        struct loop_stat *stat = find_stat(loop, name);
        uint64_t now = now_ns();

        stat->calls++;
        stat->ns += now - *since;
        *since = now;
}

size_t loop_stats(const struct loop *loop, const struct loop_stat **ret) {
        *ret = loop->stats;
        return loop->n_stats;
}

/* --- rounds --- */

/* How long epoll may wait, in its milliseconds: rounded up, or a timer would be asked for several
 * times. */
static int wait_ms(const struct loop *loop, uint64_t timeout_ns) {
        uint64_t wait_ns = timeout_ns;

        if (loop->defer_first)
                return 0;
        if (loop->n_timers > 0) {
                uint64_t now = now_ns(), deadline = loop->timers[0]->deadline_ns;

                wait_ns = MIN(wait_ns, deadline > now ? deadline - now : 0);
        }
        if (wait_ns == UINT64_MAX)
                return -1;
        return (int)MIN(wait_ns / NSEC_PER_MSEC + (wait_ns % NSEC_PER_MSEC > 0),
                        (uint64_t)INT32_MAX);
}

static int dispatch_ready(struct loop *loop) {
        uint64_t since = loop->ready_first ? now_ns() : 0;

        while (loop->ready_first) {
                struct loop_io *io = loop->ready_first;
                const char *name = io->name;
                int r;

                ready_unlink(loop, io);
                r = io->func(io, io->ready);
                account(loop, name, &since);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int dispatch_timers(struct loop *loop) {
        uint64_t now, since;

        if (loop->n_timers == 0)
                return 0;
        since = now = now_ns();
        while (loop->n_timers > 0 && loop->timers[0]->deadline_ns <= now) {
                struct loop_timer *timer = loop->timers[0];
                const char *name = timer->name;
                int r;

                loop_timer_clear(timer);
                r = timer->func(timer);
                account(loop, name, &since);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Only what is queued now: a defer that queues another one leaves it to the next round. */
static int dispatch_defers(struct loop *loop) {
        struct loop_defer mark = { 0 };
        int r = 0;

        if (!loop->defer_first)
                return 0;
        loop_defer(loop, &mark, NULL);
        while (r >= 0 && loop->defer_first != &mark) {
                struct loop_defer *defer = loop->defer_first;

                loop_defer_cancel(defer);
                r = defer->func(defer);
        }
        loop_defer_cancel(&mark);
        return MIN(r, 0);
}

int loop_run_once(struct loop *loop, uint64_t timeout_ns) {
        struct epoll_event events[EVENTS_PER_ROUND];
        int n, r;

        n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, wait_ms(loop, timeout_ns));
        if (n < 0 && errno != EINTR)
                return -errno;
        for (int i = 0; i < n; i++) {
                struct loop_io *io = events[i].data.ptr;

                io->ready = events[i].events;
                ready_push(loop, io);
        }

        r = dispatch_ready(loop);
        if (r >= 0)
                r = dispatch_timers(loop);
        if (r >= 0)
                r = dispatch_defers(loop);
        /* After a failure the rest is not called; level-triggered sources report again if anybody
         * goes on. */
        while (loop->ready_first)
                ready_unlink(loop, loop->ready_first);
        return MIN(r, 0);
}

int loop_run(struct loop *loop) {
        loop->is_exiting = false;
        while (!loop->is_exiting) {
                int r = loop_run_once(loop, UINT64_MAX);

                if (r < 0)
                        return r;
        }
        return loop->exit_code;
}

int loop_signal_fd(const sigset_t *set) {
        int fd;

        if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
                return -errno;
        fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}
