/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket RUN/gadgetd.sock: root:gadgetd 0660 where that group exists, else 0600. */
#pragma once

#include "base/error.h"
#include "base/loop.h"

struct supervisor;

struct server {
        int fd;
        struct loop_io io;
        struct loop_timer pause; /* after accept() found no descriptor left */
        bool has_group;
        gid_t group;
};

/* Looks the group up in ROOT/etc/group; the socket is not opened yet. */
void server_init(struct server *server, const char *root);

/* Whoever holds the run directory's lock may replace a socket that a dead gadgetd left. */
int server_listen(struct supervisor *sup, struct error *err);

/* Stops accepting and removes the socket. Idempotent. */
void server_close(struct supervisor *sup);
