/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a user: cut into requests, authorised by what the kernel says of the peer
 * (SO_PEERCRED), answered from a bounded buffer. A client that does not read falls behind its own
 * cursors; while its buffer is full its requests wait too.
 */
#pragma once

#include <sys/queue.h>

#include "base/loop.h"
#include "ipc/rpc.h"
#include "supervisor/instance.h"

/* Rows are copied into the buffer up to here; above it they stay in the ring. */
#define CLIENT_FILL_MAX ((size_t)LIMIT_CLIENT_BUFFER_MAX / 4)
/* The largest single reply: image.inspect with manifest, definition and schema. */
#define CLIENT_REPLY_MAX                                                                           \
        ((size_t)(LIMIT_MANIFEST_SIZE_MAX + LIMIT_DEFINITION_SIZE_MAX + LIMIT_SCHEMA_SIZE_MAX +    \
                  LIMIT_FRAME_MAX))

/* What a peer may do; each method asks for one of them. */
enum client_right {
        RIGHT_NONE,  /* anyone who can connect */
        RIGHT_VIEW,  /* members of the group gadgetd */
        RIGHT_ADMIN, /* root */
};

struct client {
        struct supervisor *sup;
        LIST_ENTRY(client) link;
        int fd;
        struct loop_io io;
        struct loop_defer free_defer;
        pid_t pid;
        uid_t uid;
        enum client_right right;
        bool has_said_hello;
        bool is_closing;
        bool has_input; /* `in` may hold a whole message that was not handled yet */
        struct buf in;
        struct buf out;
        size_t out_sent; /* of `out`, by the kernel */
        struct stream_list streams;
        uint32_t n_streams;
        uint32_t next_stream;
        struct waiter_list waiters;
        struct import *import; /* by image.write, NULL = none */
};

/* take_fd becomes the client's, also on failure. At LIMIT_CLIENTS_MAX the peer is told and closed.
 */
int client_new(struct supervisor *sup, int take_fd, struct client **ret);

/* Ends the connection: its foreground instances are stopped, the object goes at the end of this
 * loop round. */
void client_close(struct client *client);
struct client *client_free(struct client *client);

/* Queues an answer; the client is closed when it cannot be queued. reply NULL = the empty map. */
void client_reply(struct client *client, uint32_t id, enum method method, const void *reply);
void client_error(struct client *client, uint32_t id, const struct error *err, const char *hint,
                  const char *detail);

/* Bytes not yet taken by the kernel. */
size_t client_unsent(const struct client *client);

/* Copies rows of its streams as far as its buffer allows, and sends. Call after anything was
 * queued. */
void client_pump(struct client *client);

/* Queued something outside client_pump(): sent at the latest when the loop finds the socket
 * writable. */
void client_want_write(struct client *client);
