/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gadget-fetch process as gadgetd sees it: a channel, a log, a cgroup, and all of it released
 * after its death. It knows one registry and one repository; who owns it decides what it gets.
 */
#pragma once

#include <sys/types.h>

#include "base/loop.h"
#include "ipc/channel.h"
#include "supervisor/cgroup.h"
#include "supervisor/instance-names.h"

struct supervisor;

struct fetcher_proc {
        struct supervisor *sup;
        pid_t pid; /* 0 = no process */
        int pidfd;
        struct channel *channel;
        int log_fd;
        struct loop_io log_io;
        struct cgroup cgroup;
        char id[INSTANCE_ID_LEN + 1]; /* of its cgroup and its directory below instances/, for
                                         sweeping */
        uint32_t uid;
        bool has_dir;
};

/* ca: PEM in addition to the system's roots. open is sent at once. What failed half way is released
 * by fetcher_done(). */
int fetcher_start(struct supervisor *sup, const struct msg_fetch_open *open, struct bytes ca,
                  const struct channel_ops *ops, void *owner, struct fetcher_proc *fetcher,
                  struct error *err);

/* It ends by itself when its channel is gone. */
void fetcher_stop(struct fetcher_proc *fetcher);
void fetcher_kill(struct fetcher_proc *fetcher);

/* The reaper has its wait status. Removes cgroup and directory. */
void fetcher_on_exit(struct fetcher_proc *fetcher);

void fetcher_init(struct fetcher_proc *fetcher);
void fetcher_done(struct fetcher_proc *fetcher);
