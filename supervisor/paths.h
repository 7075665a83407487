/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything lies, behind --root. The run directory is also held open: an instance's
 * directory is made and removed relative to that fd. A private gadgetd has a run directory of its
 * own, RUN/private-XXXXXX, which it removes.
 */
#pragma once

#include "base/error.h"

struct options;

struct paths {
        char *run;    /* RUN, or RUN/private-XXXXXX */
        char *socket; /* RUN/gadgetd.sock */
        char *broker; /* executables */
        char *worker;
        char *fetcher;
        char *watcher;
        char *asker;
        char *config;        /* gadgetd.yaml */
        char *policy;        /* policy.yaml */
        char *bundled_store; /* read-only, beside the programs */
        char *local_store;   /* STATE/store */
        int run_fd;          /* of `run` */
        int instances_fd;    /* of `run`/instances */
        int top_fd;          /* of RUN, also when private */
        int lock_fd;         /* flock()ed as long as we live */
        char *private_name;  /* last component of a private `run`, else NULL */
};

/* Makes the run directory and locks it. -EBUSY: another gadgetd has it. */
int paths_init(struct paths *paths, const struct options *options, struct error *err);

/* Closes; removes what a private gadgetd made. */
void paths_done(struct paths *paths);

/* Takes the lock file in dir_fd: fd, or -EWOULDBLOCK when a living gadgetd holds it (its pid in
 * ret_pid, 0 = unknown). */
int paths_lock(int dir_fd, pid_t *ret_pid);
