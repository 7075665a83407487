/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker of one instance, or of none yet (spare.h), as gadgetd sees it: a child process with a
 * message channel, a log, cgroups and a directory, and all of it released after its death. Only
 * gadgetd's reaper waits for it (reaper.c).
 */
#pragma once

#include <sys/types.h>

#include "base/loop.h"
#include "ipc/channel.h"
#include "supervisor/cgroup.h"
#include "supervisor/instance-names.h"

struct instance;
struct supervisor;

#define LOG_TAIL_SIZE 4096

struct broker {
        struct supervisor *sup;
        struct instance *instance;    /* NULL = it is the spare */
        char id[INSTANCE_ID_LEN + 1]; /* its instance's; of its directory and cgroups */
        uint32_t worker_uid;          /* of no other worker */
        pid_t pid;                    /* 0 = no process */
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
        bool is_prepared; /* the worker is confined, and waits */
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

int broker_new(struct supervisor *sup, struct broker **ret);
/* Leaves what it has on the host: that is broker_release()'s. */
struct broker *broker_free(struct broker *broker);

/* Starts the process under this id and sends MSG_PREPARE. What failed half way is released by
 * broker_release(). */
int broker_prepare(struct broker *broker, const char *id, struct error *err);

/* Sends MSG_START for its instance; prepares first what is not prepared yet. */
int broker_start(struct broker *broker, struct error *err);

/* Asks it to end; a broker that cannot be told is killed by the state's deadline. */
void broker_stop(struct broker *broker);

/* SIGKILL to broker and worker. */
void broker_kill(struct broker *broker);

/* The reaper has its wait status: hears the last words, then releases what it had and raises
 * EVENT_EXITED. */
void broker_on_exit(struct broker *broker, int status);

/* Removes cgroups and directory, as soon as nothing lives in them; then raises EVENT_EXITED (or
 * tells spare.c). */
void broker_release(struct broker *broker);

/* It cannot go on: tells its instance, or spare.c. */
void broker_on_fault(struct broker *broker, const struct error *err, const char *detail);
