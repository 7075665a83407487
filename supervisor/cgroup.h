/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups of instances: MOUNT/gadgetd/ID/{broker,worker} in cgroup v2, or in the v1 hierarchies of
 * memory and pids where that is where these controllers are. A host without either runs gadgets
 * without limits, after one warning.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "base/error.h"

#define CGROUP_HIERARCHIES_MAX 2
#define CGROUP_ID_MAX 80

struct cgroup_hierarchy {
        char mount[PATH_MAX];
        bool is_v2;
        bool has_memory;
        bool has_pids;
        int fd; /* of MOUNT/gadgetd */
};

struct cgroup_layout {
        struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
        size_t n;
};

/* Finds the hierarchies in a mountinfo file ("/proc/self/mountinfo"). Finding none is success with
 * n = 0. */
int cgroup_layout_read(const char *mountinfo, struct cgroup_layout *ret);

/* Makes MOUNT/gadgetd in each and switches the controllers on; hierarchies that refuse are left
 * out. */
void cgroup_layout_open(struct cgroup_layout *layout);
void cgroup_layout_done(struct cgroup_layout *layout);

struct cgroup_limits {
        uint64_t memory_bytes; /* of the worker */
        uint32_t pids;
};

/* One instance's cgroup in each hierarchy of the layout. */
struct cgroup {
        const struct cgroup_layout *layout;
        char id[CGROUP_ID_MAX];
        int fds[CGROUP_HIERARCHIES_MAX]; /* of MOUNT/gadgetd/ID */
        size_t n;
};
#define CGROUP_NONE ((struct cgroup){ .fds = { -1, -1 } })

int cgroup_create(const struct cgroup_layout *layout, const char *id,
                  const struct cgroup_limits *limits, struct cgroup *ret, struct error *err);

/* Other limits for its worker. */
int cgroup_limit(const struct cgroup *cgroup, const struct cgroup_limits *limits,
                 struct error *err);

/* Takes up what a predecessor left under this id; fine when there is nothing. */
void cgroup_adopt(const struct cgroup_layout *layout, const char *id, struct cgroup *ret);

/* SIGKILL to everything in it. */
void cgroup_kill(const struct cgroup *cgroup);

/* Removes the directories. -EBUSY while something in it has not gone yet. */
int cgroup_remove(struct cgroup *cgroup);

/* Closes the fds, leaves the directories. */
void cgroup_done(struct cgroup *cgroup);
