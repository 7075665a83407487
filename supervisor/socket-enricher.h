/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gadget that gadgetd runs for itself: it notes which process has which port
 * (gadgets/socket_enricher), in a map that it fills and the gadgets that ask for it read. It runs
 * while one of them does. When it is lost it is started again, and its successor goes on filling
 * the same map: what the others read is old for a moment, never gone. There are up to two of them,
 * the second one for the gadgets that read paths too (gadgets/socket_enricher_paths): it comes and
 * goes without the readers of the first one.
 */
#pragma once

#include "base/error.h"
#include "base/loop.h"

struct supervisor;
struct instance;

enum socket_use {
        SOCKET_USE_NONE,
        SOCKET_USE_WAITS, /* its broker has asked for the map, and reads no request meanwhile */
        SOCKET_USE_READS,
};

enum socket_values {
        SOCKET_VALUES_PLAIN,
        SOCKET_VALUES_WITH_PATHS, /* as long as twelve of the others */
        _SOCKET_VALUES_MAX,
};

struct socket_enricher {
        struct supervisor *sup;
        enum socket_values values;
        struct instance *instance; /* NULL = it does not run */
        int map_fd;                /* -1 = none has been made */
        bool is_filled;            /* what was open before it came is in the map */
        struct loop_defer restart;
};

/* _SOCKET_VALUES_MAX of them. */
void socket_enrichers_init(struct socket_enricher *all, struct supervisor *sup);
void socket_enrichers_done(struct socket_enricher *all);

/* The one that the instance is, or uses. */
struct socket_enricher *socket_enricher_of(const struct instance *in);

/* The instance's gadget reads the map: it is answered once that is filled, or cannot be had. */
void socket_enricher_want(struct instance *in, bool with_paths);

/* Its broker hands the map over; takes the fd. -EPROTO: it is not the one. */
int socket_enricher_on_offer(struct socket_enricher *e, struct instance *in, int take_fd);

/* It has read what there is for the first time. */
void socket_enricher_on_rows(struct socket_enricher *e, struct instance *in);

/* The instance is over: one that read the map, or the enricher itself. */
void socket_enricher_on_end(struct socket_enricher *e, struct instance *in);
