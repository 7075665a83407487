/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers that a runtime is making: what its command line tells of them, from the moment that it
 * is executed. The kernel tells of that by a permission event, so it waits meanwhile.
 */
#pragma once

#include "watcher/watch.h"

struct pending {
        LIST_ENTRY(pending) link;
        pid_t runtime;  /* the container's first process descends from it */
        pid_t init;     /* that process, once there is a state; 0 = there is none yet */
        char dir[4096]; /* ROOT/ID, where its state will be */
        struct oci_info info;
        uint64_t born_ns;
};

/* `pid` is about to execute `runtime`. NULL unless that makes a container; else the bundle has been
 * read and its file system is marked when a gadget filters. */
struct pending *pending_on_runtime(struct watch *watch, pid_t pid, const char *runtime);

/* Reads what else there is to know; nobody waits for it. */
void pending_complete(struct watch *watch, struct pending *p);

/* That which this process, in a mount namespace of its own, is the first one of. */
struct pending *pending_find(struct watch *watch, pid_t pid);

/* Names the container. */
void pending_name(struct pending *p, struct container *c);

/* For one that ran before: the runtime or monitor that stays above it tells what it is, or at least
 * where its state is. */
void pending_learn(struct container *c);

void pending_free(struct pending *p);
/* Frees those that are too old; returns when the next one will be, UINT64_MAX = there is none. */
uint64_t pending_expire(struct watch *watch);
