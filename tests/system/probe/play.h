/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays gadgetd for one broker: makes its directory, cgroups, ring and bell, starts the real
 * gadget-broker with any program in the worker's place, and keeps what the broker says. Everything
 * is removed again by play_free().
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/loop.h"
#include "gadget/event-ring.h"
#include "ipc/channel.h"

#define PLAY_CGROUPS 2

struct play_options {
        const char *broker;
        const char *worker; /* executable */
        const char *image;  /* for a probe: what it is to try */
        struct bytes object;
        struct bytes definition;
        struct bytes params; /* empty: no parameters */
        size_t ring_size;    /* 0 = EVENT_RING_DEFAULT */
        bool inspect;
        bool allow_unsafe;
        const char *kernel_btf;
};

struct play {
        struct loop *loop;
        struct channel *channel;
        struct loop_io log_io;
        int log_fd;
        pid_t broker_pid;
        int broker_pidfd;
        char dir[64];
        char id[65];
        char cgroups[PLAY_CGROUPS][128];
        size_t n_cgroups;
        int ring_fd;
        int bell_fd;
        size_t ring_size;

        /* what the broker said */
        pid_t worker_pid;
        bool is_started, is_ready, is_faulted, is_stopped, is_closed;
        uint64_t start_ns, started_ns, ready_ns;
        struct buf schema;
        struct buf permissions;
        char fault_code[32];
        char fault[1025];
        char *fault_detail;
        struct msg_stopped stopped;
        struct buf log; /* of broker and worker, a record a line */
};

int play_new(const struct play_options *options, struct play **ret);
struct play *play_free(struct play *play);
DEFINE_CLEANUP(struct play, play_free)

/* Runs the loop until *flag or the deadline; -ETIMEDOUT. */
int play_wait(struct play *play, const bool *flag, uint64_t timeout_ns);

int play_stop(struct play *play, bool kill);

/* Closes gadgetd's end: as if it had died. */
void play_hang_up(struct play *play);
