/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker of one instance as gadgetd sees it: a child process with a message channel, a log,
 * cgroups and a directory, and all of it released after its death. Only gadgetd's reaper waits for
 * it (reaper.c).
 */
#pragma once

#include <sys/types.h>

#include "base/loop.h"
#include "ipc/channel.h"
#include "supervisor/cgroup.h"

struct instance;

#define LOG_TAIL_SIZE 4096

struct broker {
        pid_t pid; /* 0 = no process */
        int pidfd;
        struct channel *channel;
        int log_fd;
        struct loop_io log_io;
        struct loop_timer grace;   /* between the end of its channel and SIGKILL */
        struct loop_timer remains; /* tries until nothing is left */
        uint64_t remains_until_ns;
        uint64_t remains_delay_ns;
        struct cgroup cgroup;
        pid_t worker_pid; /* 0 = not started yet */
        int worker_pidfd;
        uint32_t worker_status;
        bool has_stopped; /* MSG_STOPPED has come: it said everything */
        bool is_clean;    /* ... and its worker had drained */
        bool has_dir;     /* RUN/instances/ID exists */
        /* The last log text, for show and for failures that explain themselves no other way. */
        char log_tail[LOG_TAIL_SIZE + 1];
        size_t log_tail_len;
        uint64_t log_second; /* records are passed on at a limited rate */
        uint32_t log_count;
        uint32_t log_suppressed;
};

/* Starts the broker and sends MSG_START. What failed half way is released by broker_release(). */
int broker_start(struct instance *in, struct error *err);

/* Asks it to end; a broker that cannot be told is killed by the state's deadline. */
void broker_stop(struct instance *in);

/* SIGKILL to broker and worker. */
void broker_kill(struct instance *in);

/* The reaper has its wait status: hears the last words, then releases what it had and raises
 * EVENT_EXITED. */
void broker_on_exit(struct instance *in, int status);

/* Removes cgroups and directory, as soon as nothing lives in them; then raises EVENT_EXITED. */
void broker_release(struct instance *in);

void broker_init(struct broker *broker);
void broker_done(struct broker *broker);
