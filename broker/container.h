/* SPDX-License-Identifier: Apache-2.0 */
/* Containers on their way from gadgetd into the kernel's filter and to the worker. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "gadget/container-row.h"

struct broker;
struct object;
struct msg_container_set;

struct container_row {
        uint64_t mntns;
        uint64_t netns; /* in the table of broker/netns.h; 0 = it is in none that is known */
        uint32_t root;  /* number of what root_fd is */
        int root_fd; /* its root directory, O_PATH; -1 = not wanted, not known, or it has ended */
        struct buf data; /* struct broker_container and texts */
        bool is_sent;
        bool is_filtered_out; /* it has ended: only its name is of use */
};

struct container_rows {
        struct container_row *items;
        size_t n;
        size_t n_unsent;
};

/* What programs that go into containers need of each one. */
enum container_want {
        WANT_NETNS = 1 << 0,
        WANT_ROOTS = 1 << 1,
};

/* Asks gadgetd for this as well, unless it has been asked already. The worker's next request is
 * read when all containers have been told of with it; those that come later are as well. */
void containers_want(struct broker *b, enum container_want want);

/* MSG_CONTAINER_ALL: that is the case. */
int containers_on_all(struct broker *b);

/* MSG_CONTAINER_SET: the filter has it when this returns, and gadgetd is told so. Takes the fds
 * that it keeps. */
int containers_set(struct broker *b, const struct msg_container_set *set, int *fds);

struct container_row *containers_find(const struct broker *b, uint64_t mntns); /* NULL = none */

/* The filter map has just been made. */
void containers_fill_filter(struct broker *b, const struct object *map);

/* Tells the worker what it can be told now. */
void containers_flush(struct broker *b);
void containers_done(struct broker *b);
