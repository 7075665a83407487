/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespaces that this gadget's programs go into: those of its containers, each once
 * however many share it, and the host's when the gadget may see the host or a container that is in
 * it. Filled once the gadget has a program that needs them (containers_want()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;

struct netns {
        uint64_t id; /* inode */
        int fd;      /* owned */
        size_t n_users;
};

struct netns_table {
        struct netns *items; /* by id */
        size_t n;
        bool is_full; /* one was left out, and the log has it */
};

/* One more user of this namespace, which is entered into the table when it is new and *take_fd >= 0
 * leads into it. False: it is not there, and not to be dropped. */
bool netns_use(struct broker *b, uint64_t id, int *take_fd);
void netns_drop(struct broker *b, uint64_t id);

/* The process is in it from enter to leave, which cannot fail: a broker that finds no way back
 * dies. Nothing but what must happen there stands in between. */
int netns_enter(struct broker *b, const struct netns *netns);
void netns_leave(struct broker *b);

/* The one with the smallest id above `after`, NULL = there is none. */
const struct netns *netns_next(const struct broker *b, uint64_t after);

void netns_done(struct broker *b);
