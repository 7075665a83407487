/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll, one thread, one loop per process. Sources are embedded in their owners: adding
 * allocates nothing. Level-triggered. remove/clear are idempotent and legal inside any callback,
 * also for a source that is ready in this same round. The fd of a loop_io is borrowed and must be
 * removed before it is closed. A callback never frees its own owner: loop_defer() does at the end
 * of the round. A callback's negative result means that this process cannot go on and ends
 * loop_run() with that number; everything else is handled inside. A source does a bounded amount of
 * work per call and returns; the loop calls it again.
 */
#pragma once

#include <signal.h>
#include <sys/epoll.h>

#include "base/util.h"

struct loop;
struct loop_io;
struct loop_timer;
struct loop_defer;

typedef int (*loop_io_func)(struct loop_io *io, uint32_t events);
typedef int (*loop_timer_func)(struct loop_timer *timer);
typedef int (*loop_defer_func)(struct loop_defer *defer);

/* Zero-initialised is "not added". Fields belong to loop.c. */
struct loop_io {
        struct loop *loop;
        int fd;
        uint32_t events;
        uint32_t ready;
        const char *name;
        loop_io_func func;
        struct loop_io *ready_next;
        bool is_queued;
};

struct loop_timer {
        struct loop *loop;
        uint64_t deadline_ns; /* CLOCK_MONOTONIC */
        size_t index;         /* heap position + 1; 0 = not set */
        const char *name;
        loop_timer_func func;
};

struct loop_defer {
        struct loop *loop;
        struct loop_defer *next;
        loop_defer_func func;
        bool is_queued;
};

int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop, loop_free)

/* Runs until loop_exit(); returns its code, or the negative result of a callback. */
int loop_run(struct loop *loop);

/* One round: waits up to timeout_ns (UINT64_MAX = for ever) and dispatches. Returns 0 or a negative
 * result. */
int loop_run_once(struct loop *loop, uint64_t timeout_ns);
void loop_exit(struct loop *loop, int code);

int loop_io_add(struct loop *loop, struct loop_io *io, int fd, uint32_t events, const char *name,
                loop_io_func func);
int loop_io_modify(struct loop_io *io, uint32_t events);
void loop_io_remove(struct loop_io *io);

/* (Re)arms: fires once, delay_ns from now. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns, const char *name,
                   loop_timer_func func);
void loop_timer_clear(struct loop_timer *timer);

/* Runs func at the end of this round, once. */
void loop_defer(struct loop *loop, struct loop_defer *defer, loop_defer_func func);
void loop_defer_cancel(struct loop_defer *defer);

/* What sources of one name have cost so far: timers and io, by the name they were added with. */
struct loop_stat {
        const char *name;
        uint64_t calls;
        uint64_t ns; /* CLOCK_MONOTONIC, preemption included */
};

/* Borrowed until the loop runs again; at most LOOP_STATS_MAX names, the rest together as "others".
 */
#define LOOP_STATS_MAX 32
size_t loop_stats(const struct loop *loop, const struct loop_stat **ret);

/* Blocks the signals and returns a CLOEXEC non-blocking signalfd for them. */
int loop_signal_fd(const sigset_t *set);
