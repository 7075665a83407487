/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gadgetd as a whole: what its parts share, and its beginning and end. One of these exists in the
 * process; everything hangs on it, so that tests can make several.
 */
#pragma once

#include <sys/queue.h>

#include "base/loop.h"
#include "supervisor/cgroup.h"
#include "supervisor/config.h"
#include "supervisor/container.h"
#include "supervisor/image-service.h"
#include "supervisor/inflight.h"
#include "supervisor/options.h"
#include "supervisor/paths.h"
#include "supervisor/server.h"
#include "supervisor/socket-enricher.h"
#include "supervisor/spare.h"
#include "supervisor/transfer.h"

struct fsck;

LIST_HEAD(instance_list, instance);
LIST_HEAD(client_list, client);

struct supervisor {
        struct loop *loop;
        struct options options;
        struct paths paths;
        struct cgroup_layout cgroups;
        struct config config;
        struct image_service images;
        struct server server;
        struct loop_io signals_io;
        int signals_fd;
        struct loop_timer end_deadline;
        struct instance_list instances;
        size_t n_instances;
        struct spare spare;
        struct client_list clients;
        size_t n_clients;
        struct transfer_list transfers;
        size_t n_transfers;
        struct inflight_list inflight;
        struct fsck *fsck; /* of the store; NULL = there was none yet */
        struct containers containers;
        struct socket_enricher socket_enrichers[_SOCKET_VALUES_MAX];
        bool is_ending;
        bool is_last_call; /* only clients are left */
};

/* Takes the run directory, sweeps what a predecessor left, opens the socket (or takes the private
 * client). */
int supervisor_init(struct supervisor *sup, const struct options *options, struct error *err);
int supervisor_run(struct supervisor *sup);
void supervisor_done(struct supervisor *sup);

/* Stops every instance, tells the clients, then ends the loop. Idempotent. */
void supervisor_end(struct supervisor *sup, const char *why);

/* A connection has gone; a private gadgetd goes with its only one. */
void supervisor_on_client_gone(struct supervisor *sup);

/* Called when an instance or client has gone: ends the loop when the last has and an end was asked
 * for. */
void supervisor_check_end(struct supervisor *sup);
