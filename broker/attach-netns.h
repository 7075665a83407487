/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are attached once in every network namespace that the gadget goes into: socket
 * filters, by a packet socket that is made there; tc programs, on the host's end of each veth
 * interface there. A namespace that comes later gets them, one that goes loses them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct broker;
struct netns;
struct object;
struct program_type;

/* A program that goes into all of them. */
struct netns_program {
        uint32_t link; /* its handle */
        const struct program_type *type;
        bool is_at_interface;
        int prog_fd;  /* owned */
        int array_fd; /* of a socket filter: what its dispatchers call; owned */
};

/* Where one is attached. */
struct netns_link {
        uint32_t link;
        uint64_t netns;   /* 0 = the host's, by an interface that was named */
        uint32_t ifindex; /* the host's end; 0 = a socket */
        int fd;           /* owned: a socket, or a link */
};

struct netns_programs {
        struct netns_program *items;
        size_t n;
        struct netns_link *links;
        size_t n_links;
        int watch_fd; /* interfaces of the host that come; 0 = nobody is interested */
        struct loop_io watch_io;
};

/* From now on this program is in all namespaces, or (a socket filter) at one interface of the host;
 * link is the handle that stands for it. */
int netns_add_program(struct broker *b, const struct object *prog, const struct program_type *type,
                      uint32_t link, int ifindex);
void netns_remove_program(struct broker *b, uint32_t link);

/* broker/netns.c: the table has this one, anew or with something changed in it; or no longer. */
void netns_on_use(struct broker *b, const struct netns *netns);
void netns_on_drop(struct broker *b, uint64_t id);

/* Hands over what has to be closed for nothing to be attached any more; n_links fds fit into fds.
 */
size_t netns_steal_links(struct broker *b, int *fds);
void netns_programs_done(struct broker *b);
