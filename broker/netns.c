/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/netns.h"

#include <sched.h>

#include "base/log.h"
#include "broker/broker.h"

/* Where this id is, or would be. */
static size_t position(const struct netns_table *table, uint64_t id) {
        size_t low = 0, high = table->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (table->items[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static struct netns *find(const struct netns_table *table, uint64_t id) {
        size_t at = position(table, id);

        return at < table->n && table->items[at].id == id ? &table->items[at] : NULL;
}

static struct netns *insert(struct netns_table *table, uint64_t id, int *take_fd) {
        size_t at = position(table, id);
        struct netns *items;

        if (table->n >= LIMIT_NETNS_MAX) {
                if (!table->is_full)
                        log_warning("the gadget looks into %d network namespaces, which are the "
                                    "most; it misses the others",
                                    LIMIT_NETNS_MAX);
                table->is_full = true;
                return NULL;
        }
        items = reallocarray(table->items, table->n + 1, sizeof(*items));
        if (!items)
                return NULL;
        table->items = items;
        memmove(items + at + 1, items + at, (table->n - at) * sizeof(*items));
        table->n++;
        items[at] = (struct netns){ .id = id, .fd = TAKE_FD(*take_fd) };
        return &items[at];
}

bool netns_use(struct broker *b, uint64_t id, int *take_fd) {
        struct netns *netns = find(&b->netns, id);

        if (!netns && *take_fd >= 0)
                netns = insert(&b->netns, id, take_fd);
        if (!netns)
                return false;
        netns->n_users++;
        netns_on_use(b, netns);
        return true;
}

void netns_drop(struct broker *b, uint64_t id) {
        struct netns_table *table = &b->netns;
        struct netns *netns = find(table, id);
        size_t at;

        if (!netns || --netns->n_users > 0)
                return;
        netns_on_drop(b, id);
        close_fd(&netns->fd);
        at = (size_t)(netns - table->items);
        table->n--;
        memmove(netns, netns + 1, (table->n - at) * sizeof(*netns));
}

const struct netns *netns_next(const struct broker *b, uint64_t after) {
        size_t at = after == UINT64_MAX ? b->netns.n : position(&b->netns, after + 1);

        return at < b->netns.n ? &b->netns.items[at] : NULL;
}

int netns_enter(struct broker *b, const struct netns *netns) {
        if (b->host_netns_fd < 0)
                return -EBADF;
        return setns(netns->fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

void netns_leave(struct broker *b) {
        if (setns(b->host_netns_fd, CLONE_NEWNET) == 0)
                return;
        log_error_errno(-errno, "there is no way back into the host's network namespace");
        _exit(EXIT_FAILURE);
}

void netns_done(struct broker *b) {
        for (size_t i = 0; i < b->netns.n; i++)
                close_fd(&b->netns.items[i].fd);
        free(b->netns.items);
        b->netns = (struct netns_table){ 0 };
}
