/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/container-fds.h"

#include "base/log.h"
#include "supervisor/container.h"
#include "supervisor/instance.h"

static struct container_netns *netns_ref(struct containers *cs, uint64_t id) {
        struct container_netns *netns;

        LIST_FOREACH (netns, &cs->netns_list, link)
                if (netns->id == id) {
                        netns->n_users++;
                        return netns;
                }
        return NULL;
}

static void netns_unref(struct containers *cs, struct container_netns *netns) {
        if (!netns || --netns->n_users > 0)
                return;
        LIST_REMOVE(netns, link);
        close_fd(&netns->fd);
        cs->n_fds--;
        free(netns);
}

static struct container_netns *netns_new(struct containers *cs, uint64_t id, int *take_fd) {
        struct container_netns *netns = calloc(1, sizeof(*netns));

        if (!netns)
                return NULL;
        *netns = (struct container_netns){ .id = id, .fd = TAKE_FD(*take_fd), .n_users = 1 };
        LIST_INSERT_HEAD(&cs->netns_list, netns, link);
        cs->n_fds++;
        return netns;
}

static bool has_room(struct containers *cs) {
        if (cs->n_fds < cs->fds_max)
                return true;
        if (!cs->is_short_of_fds)
                log_warning("%zu descriptors lead into containers and no more may be open: "
                            "programs do not get into further containers; raise LimitNOFILE",
                            cs->n_fds);
        cs->is_short_of_fds = true;
        return false;
}

void container_fds_take(struct containers *cs, struct container *c, struct received *received) {
        const struct msg_container_added *info = &received->msg->container_added;
        size_t n = 0;

        if (info->has_netns_fd && n < received->n_fds) {
                struct container_netns *old = c->fds.netns;
                int *fd = &received->fds[n++];

                c->fds.netns = netns_ref(cs, info->netns);
                if (!c->fds.netns && has_room(cs))
                        c->fds.netns = netns_new(cs, info->netns, fd);
                netns_unref(cs, old);
        }
        if (info->has_root_fd && n < received->n_fds && (c->fds.root_fd >= 0 || has_room(cs))) {
                cs->n_fds += c->fds.root_fd < 0;
                close_fd(&c->fds.root_fd);
                c->fds.root_fd = TAKE_FD(received->fds[n]);
        }
}

void container_fds_close(struct containers *cs, struct container *c) {
        netns_unref(cs, c->fds.netns);
        cs->n_fds -= c->fds.root_fd >= 0;
        close_fd(&c->fds.root_fd);
        c->fds = CONTAINER_FDS_NONE;
}

size_t container_fds_get(const struct container *c, const struct instance *in,
                         struct msg_container_set *set, int *fds) {
        size_t n = 0;

        set->has_netns_fd = in->wants_netns && c->fds.netns;
        if (set->has_netns_fd)
                fds[n++] = c->fds.netns->fd;
        set->has_root_fd = in->wants_roots && c->fds.root_fd >= 0;
        if (set->has_root_fd)
                fds[n++] = c->fds.root_fd;
        return n;
}
