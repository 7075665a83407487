/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance's cgroups, one directory a hierarchy, each with broker/ and worker/ made by gadgetd.
 * A migration on a v1 hierarchy waits for an RCU grace period (some 10 ms), so a child does it
 * while the worker starts: no limit is in force until then, and no byte of the gadget reaches the
 * worker before (BROKER_START).
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

#define CGROUPS_MAX 2

struct cgroups {
        int dir_fds[CGROUPS_MAX];    /* owned */
        int parent_fds[CGROUPS_MAX]; /* what the directories are in */
        int root_fds[CGROUPS_MAX];   /* cgroup.procs of the hierarchy's root, for leaving; -1 = not
                                        found */
        char names[CGROUPS_MAX][256];
        size_t n;
};

/* Takes the fds, also on failure. */
int cgroups_init(struct cgroups *c, int *take_fds, size_t n);
void cgroups_done(struct cgroups *c);

/* Starts the child that puts both processes into their cgroups; its exit status is an errno. */
int cgroups_join(const struct cgroups *c, pid_t broker, pid_t worker, pid_t *ret_pid,
                 int *ret_pidfd);

/* How many processes of worker/ the kernel has killed for want of memory. */
uint32_t cgroups_oom_kills(const struct cgroups *c);

/* This process goes to the root of each hierarchy and removes the instance's directories: for a
 * broker whose gadgetd is gone. */
void cgroups_remove(struct cgroups *c);
