/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leads into a container: its network namespace and its root directory, as gadget-watch has
 * opened them while the container's first process lived. Brokers whose programs go there get them.
 * They are closed when the container ends: an open root keeps a file system busy, and an open
 * network namespace its interfaces.
 */
#pragma once

#include <sys/queue.h>

#include "ipc/channel.h"

struct containers;
struct container;
struct instance;

/* Containers of a pod have one together. */
struct container_netns {
        LIST_ENTRY(container_netns) link;
        uint64_t id;
        int fd;
        size_t n_users;
};
LIST_HEAD(container_netns_list, container_netns);

struct container_fds {
        struct container_netns *netns; /* NULL = the host's, or not known */
        int root_fd;                   /* O_PATH; -1 = not known */
};
#define CONTAINER_FDS_NONE ((struct container_fds){ NULL, -1 })

/* Keeps the fds that came with CONTAINER_ADDED in place of older ones. Past cs->fds_max they are
 * closed, and the log says so once. */
void container_fds_take(struct containers *cs, struct container *c, struct received *received);
void container_fds_close(struct containers *cs, struct container *c);

/* Writes what this instance wants into fds[CONTAINER_FDS_MAX], borrowed; returns how many. */
size_t container_fds_get(const struct container *c, const struct instance *in,
                         struct msg_container_set *set, int *fds);
