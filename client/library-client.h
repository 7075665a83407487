/* SPDX-License-Identifier: Apache-2.0 */
/* The client that gadget/client.h keeps to itself. Inside of client/library*.c only. */
#pragma once

#include "client/library.h"

enum client_select {
        CLIENT_SELECT_NAME,
        CLIENT_SELECT_RUNTIME,
        CLIENT_SELECT_IMAGE,
        CLIENT_SELECT_DIGEST,
        CLIENT_SELECT_ID,
        CLIENT_SELECT_K8S_NAMESPACE,
        CLIENT_SELECT_K8S_POD,
        CLIENT_SELECT_K8S_CONTAINER,
        _CLIENT_SELECT_MAX,
};

struct gadget_client {
        char *name;
        struct connection *connection; /* NULL: not yet, or gadgetd is away */
        int poll_fd; /* epoll: the connection's fd, or the timer while gadgetd is away */
        int timer_fd;
        struct schema *schema;
        struct error err;
        char id[80];
        uint32_t stream;
        uint32_t stop_id;
        bool is_running; /* there is a stream */
        bool is_owner;
        bool is_stopping;
        bool is_done;
        char cause[32];
        /* the frame that rows are being taken from: */
        uint32_t source;
        struct bytes rows;
        uint64_t array;
        uint64_t arrays[LIMIT_STREAMS_MAX];
        bool has_row;
        struct row row;
        struct format_clock clock;
        char **texts; /* handed out for this row */
        size_t n_texts;
        uint64_t lost[LIMIT_STREAMS_MAX];
        uint64_t lost_before; /* under earlier gadgetds */
        /* What was begun, to begin it again: */
        struct client_request {
                char *path;     /* of the socket */
                char *image;    /* or */
                char *instance; /* attached to; or */
                struct buf object;
                struct buf definition;
                struct buf params;
                uint64_t tail;
        } begun;
        char *selection[_CLIENT_SELECT_MAX];
        bool wants_host;
        bool is_host_said;
        uint64_t patience_ns; /* how long gadgetd may be away; 0 = not at all */
        uint64_t give_up_ns;
        bool is_away;
        unsigned int n_restarts;
};

/* Watches the connection that the client has now. */
int client_watch(struct gadget_client *client);

/* gadgetd has closed the connection: true when the client waits for another one. */
bool client_lose(struct gadget_client *client);

/* While gadgetd is away: looks for it. 0 = not yet, or the gadget runs again; -ECONNRESET =
 * patience is at its end; or why the gadget cannot be begun again. */
int client_return(struct gadget_client *client);

void client_start_done(struct gadget_client *client);
