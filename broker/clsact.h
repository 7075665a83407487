/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tc programs on kernels that have no links for them (before 6.6): a filter of the interface's
 * clsact queue. A filter outlives who made it, so what it runs is a stub of our own, which jumps
 * through a table to the gadget's program. The kernel empties such a table when the last process
 * that holds it is gone: the gadget's program goes with its broker, however that ends. What a
 * broker that was killed leaves is a stub that jumps nowhere and lets every packet pass; the next
 * one that comes to the interface takes it away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clsact_filter {
        int interface;
        uint32_t parent;
        uint32_t handle;
        bool made_queue; /* it was not there before */
};

struct clsact {
        struct clsact_filter *filters;
        size_t n;
};

/* The fd of the table, which is the program's attachment: closing it ends it. -errno. */
int clsact_link(struct clsact *c, int prog_fd, int interface, bool is_egress);

/* Takes the filters away, and queues that were made for them and are empty. */
void clsact_done(struct clsact *c);

/* How many filters of ours there are on an interface; for tests. -errno. */
int clsact_count(int interface);
