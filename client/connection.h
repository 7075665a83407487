/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to gadgetd as its clients see it (ipc/methods.h): calls that wait for their answer,
 * and what arrives unasked, parsed in place from one large input buffer. One thread; nothing here
 * is shared between connections.
 */
#pragma once

#include "base/error.h"
#include "ipc/rpc.h"

struct connection;

/* Connects and says hello. A wait, here or inside of a call, ends with -EINTR when interrupt_fd is
 * readable; -1 = none, borrowed. -ENOENT and -ECONNREFUSED: nobody listens there. -EACCES: the
 * caller may not. */
int connection_open(const char *path, const char *client, int interrupt_fd, struct connection **ret,
                    struct error *err);

/* The same over a connected stream socket; take_fd becomes the connection's, also on failure. */
int connection_new(int take_fd, const char *client, int interrupt_fd, struct connection **ret,
                   struct error *err);
struct connection *connection_free(struct connection *connection);
DEFINE_CLEANUP(struct connection, connection_free)

/* To poll for POLLIN once connection_next() has returned 0. */
int connection_fd(const struct connection *connection);
const char *connection_server_version(const struct connection *connection);

/*
 * Sends the request and waits for its answer; strings and bytes of the reply live until the next
 * function of this connection is called. What arrives meanwhile is kept for connection_next().
 * -EREMOTEIO: gadgetd answered with an error, which is in err, with connection_hint() and
 * connection_detail() beside it. -ECONNRESET: it is gone.
 */
int connection_call(struct connection *connection, enum method method, const void *request,
                    void *reply, struct error *err);
const char *connection_hint(const struct connection *connection);   /* "" = none */
const char *connection_detail(const struct connection *connection); /* several lines; "" = none */

/* Sends the request only; its answer comes from connection_next() as RPC_RESPONSE with this id. */
int connection_send(struct connection *connection, enum method method, const void *request,
                    uint32_t *ret_id, struct error *err);

/* What arrived: a notification, or the answer to connection_send(). Everything lives until the next
 * call. */
struct incoming {
        enum rpc_kind kind;
        uint32_t id;   /* RPC_RESPONSE */
        bool is_error; /* RPC_RESPONSE: the request failed, see connection_hint() and `error` */
        struct error error;
        enum notification
                type; /* RPC_NOTIFICATION; _NOTIFY_MAX = one that we do not know: ignore it */
        uint32_t stream;
        uint32_t source; /* events, losses */
        uint32_t flags;  /* events */
        uint64_t first_seq;
        uint64_t lost;
        struct bytes rows;   /* with RENDER_SLACK readable bytes behind */
        struct bytes ledger; /* losses: one encoded map; done: an encoded array of them */
        struct bytes cause;  /* done */
        struct bytes message;
        struct bytes detail;
        struct bytes digest; /* progress: of a blob of the request `id` */
        uint64_t bytes;
        uint64_t total;
        struct bytes params; /* RPC_RESPONSE: the result, for record_decode() */
};

/* 1 = ret is set; 0 = nothing now, poll; -ECONNRESET, -EBADMSG: the connection is over. Reads at
 * most once. */
int connection_next(struct connection *connection, struct incoming *ret, struct error *err);
