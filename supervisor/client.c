/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/client.h"

#include <assert.h>
#include <sys/socket.h>

#include "base/log.h"
#include "supervisor/client-routes.h"
#include "supervisor/fsck.h"
#include "supervisor/store-import.h"
#include "supervisor/stream.h"
#include "supervisor/supervisor.h"
#include "supervisor/waiter.h"

#define READ_SIZE (64u << 10)
#define MESSAGES_PER_CALL 64
#define BYTES_PER_PUMP (256u << 10)
/* While this much waits to be sent, requests wait as well. */
#define REQUESTS_PAUSE_AT ((size_t)LIMIT_CLIENT_BUFFER_MAX / 2)
/* A buffer that grew beyond this is given back when it is empty. */
#define KEEP_BUFFER (CLIENT_FILL_MAX + (128u << 10))

/* --- who it is --- */

static bool is_member(int fd, gid_t primary, gid_t wanted) {
        gid_t groups[256];
        socklen_t size = sizeof(groups);

        if (primary == wanted)
                return true;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false; /* more groups than we look at: not a member */
        for (size_t i = 0; i < size / sizeof(gid_t); i++)
                if (groups[i] == wanted)
                        return true;
        return false;
}

static int identify(struct client *client) {
        const struct server *server = &client->sup->server;
        struct ucred cred;
        socklen_t size = sizeof(cred);

        if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return -errno;
        client->pid = cred.pid;
        client->uid = cred.uid;
        if (cred.uid == 0)
                client->right = RIGHT_ADMIN;
        else if (server->has_group && is_member(client->fd, cred.gid, server->group))
                client->right = RIGHT_VIEW;
        return 0;
}

/* --- writing --- */

size_t client_unsent(const struct client *client) {
        return client->out.len - client->out_sent;
}

/* Hands the kernel what it takes; -errno when the connection is gone. */
static int flush(struct client *client) {
        struct buf *out = &client->out;

        while (client->out_sent < out->len) {
                ssize_t n = send(client->fd, out->data + client->out_sent,
                                 out->len - client->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                client->out_sent += (size_t)n;
        }
        client->out_sent = 0;
        if (out->cap > KEEP_BUFFER) {
                size_t max = out->max;

                buf_done(out);
                *out = BUF_INIT(max);
        }
        buf_reset(out);
        return 0;
}

/* Forgets what has been sent, so that the rest begins at the front; only when that moves little. */
static void compact(struct client *client) {
        if (client->out_sent == 0 || client_unsent(client) > client->out_sent)
                return;
        buf_consume(&client->out, client->out_sent);
        client->out_sent = 0;
}

static void update_interest(struct client *client, bool has_more_rows) {
        uint32_t events = 0;

        if (client_unsent(client) < REQUESTS_PAUSE_AT && !client->has_input)
                events |= EPOLLIN;
        if (client_unsent(client) > 0 || has_more_rows || client->has_input)
                events |= EPOLLOUT;
        (void)loop_io_modify(&client->io, events);
}

/* True when some stream could not copy everything that is there. */
static bool fill_streams(struct client *client, size_t *budget) {
        struct stream *stream, *next;
        bool has_more = false;

        for (stream = LIST_FIRST(&client->streams); stream && !client->is_closing; stream = next) {
                next = LIST_NEXT(stream, of_client);
                has_more |= stream_fill(stream, budget);
        }
        return has_more;
}

void client_pump(struct client *client) {
        size_t budget = BYTES_PER_PUMP;
        bool has_more;
        int r;

        do {
                compact(client);
                has_more = fill_streams(client, &budget);
                if (client->is_closing)
                        return;
                r = client->out.failed ? buf_result(&client->out) : flush(client);
                if (r < 0) {
                        client_close(client);
                        return;
                }
        } while (has_more && budget > 0 && client_unsent(client) == 0);
        update_interest(client, has_more);
}

void client_want_write(struct client *client) {
        if (!client->is_closing)
                (void)loop_io_modify(&client->io, client->io.events | EPOLLOUT);
}

void client_reply(struct client *client, uint32_t id, enum method method, const void *reply) {
        size_t before = client->out.len;
        struct error err = {};

        if (client->is_closing)
                return;
        if (rpc_put_reply(&client->out, id, method, reply) < 0) {
                client->out.len = before;
                client->out.failed = false;
                error_set(&err, ERROR_LIMIT, -EFBIG, "the answer to %s is too large",
                          methods[method].name);
                client_error(client, id, &err, NULL, NULL);
                return;
        }
        client_want_write(client);
}

void client_error(struct client *client, uint32_t id, const struct error *err, const char *hint,
                  const char *detail) {
        if (client->is_closing)
                return;
        if (rpc_put_error(&client->out, id, err, hint, detail) < 0) {
                client_close(client);
                return;
        }
        client_want_write(client);
}

/* --- reading --- */

/* Says why before closing: a confused client should not have to guess. */
static void reject(struct client *client, uint32_t id, int r) {
        struct error err = {};

        log_info("client of uid %u (pid %d): malformed message (%s), closing", client->uid,
                 client->pid, strerror(-r));
        error_set(&err, r == -EFBIG || r == -E2BIG ? ERROR_LIMIT : ERROR_INVALID, r,
                  "this is not a request that gadgetd understands: %s",
                  r == -EFBIG || r == -E2BIG ? "it passes a limit" : "malformed message");
        client_error(client, id, &err, NULL, NULL);
        if (!client->is_closing)
                (void)flush(client);
        client_close(client);
}

/* Handles the first message in data. Bytes taken, 0 = incomplete, negative = the client is being
 * closed. */
static ssize_t next_message(struct client *client, uint8_t *data, size_t len) {
        struct rpc_message message = {};
        int r;

        r = rpc_next(data, len, LIMIT_CLIENT_FRAME_MAX, &message);
        if (r > 0 && message.kind != RPC_REQUEST)
                r = -EBADMSG;
        if (r < 0)
                reject(client, 0, r);
        if (r <= 0)
                return r;
        client_dispatch(client, &message);
        return client->is_closing ? -ECONNRESET : (ssize_t)message.size;
}

/* Handles what is in the buffer, up to a bound. True when there may be another whole message. */
static bool handle_messages(struct client *client) {
        size_t taken = 0;
        bool more = false;

        for (unsigned int i = 0; taken < client->in.len; i++) {
                ssize_t n;

                if (i == MESSAGES_PER_CALL || client_unsent(client) >= REQUESTS_PAUSE_AT) {
                        more = true;
                        break;
                }
                n = next_message(client, client->in.data + taken, client->in.len - taken);
                if (n < 0)
                        return false;
                if (n == 0)
                        break;
                taken += (size_t)n;
        }
        buf_consume(&client->in, taken);
        if (client->in.len == 0 && client->in.cap > READ_SIZE) {
                buf_done(&client->in);
                client->in = BUF_INIT(LIMIT_CLIENT_FRAME_MAX + READ_SIZE);
        }
        return more;
}

/* 1 = something came, 0 = nothing now, negative = the connection is gone. */
static int read_some(struct client *client) {
        uint8_t *room = buf_reserve(&client->in, READ_SIZE);
        ssize_t n;

        if (!room)
                return buf_result(&client->in);
        n = recv(client->fd, room, READ_SIZE, MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        client->in.len += (size_t)n;
        return 1;
}

static int on_io(struct loop_io *io, uint32_t events) {
        struct client *client = container_of(io, struct client, io);
        int r = 0;

        if (client->is_closing)
                return 0;
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                r = read_some(client);
        if (r < 0) {
                client_close(client);
                return 0;
        }
        if (r > 0 || client->has_input)
                client->has_input = handle_messages(client);
        if (!client->is_closing)
                client_pump(client);
        supervisor_check_end(client->sup);
        return 0;
}

/* --- life --- */

static void refuse(int fd) {
        cleanup_buf struct buf out = BUF_INIT(4096);
        struct error err = {};

        error_set(&err, ERROR_LIMIT, -EMFILE, "gadgetd serves %d clients already",
                  LIMIT_CLIENTS_MAX);
        if (rpc_put_error(&out, 0, &err, "end one of them", NULL) == 0)
                (void)send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int client_new(struct supervisor *sup, int take_fd, struct client **ret) {
        cleanup_close int fd = take_fd;
        struct client *client;
        int r;

        if (sup->n_clients >= LIMIT_CLIENTS_MAX) {
                refuse(fd);
                return -EMFILE;
        }
        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        client->sup = sup;
        client->fd = TAKE_FD(fd);
        client->in = BUF_INIT(LIMIT_CLIENT_FRAME_MAX + READ_SIZE);
        client->out = BUF_INIT(LIMIT_CLIENT_BUFFER_MAX + CLIENT_REPLY_MAX);
        client->next_stream = 1;
        LIST_INIT(&client->streams);
        LIST_INIT(&client->waiters);
        LIST_INSERT_HEAD(&sup->clients, client, link);
        sup->n_clients++;
        r = identify(client);
        if (r == 0)
                r = loop_io_add(sup->loop, &client->io, client->fd, EPOLLIN, "client", on_io);
        if (r < 0) {
                client_free(client);
                return r;
        }
        *ret = client;
        return 0;
}

struct client *client_free(struct client *client) {
        struct waiter *waiter;
        struct stream *stream;

        if (!client)
                return NULL;
        containers_forget_client(&client->sup->containers, client);
        while ((waiter = LIST_FIRST(&client->waiters)))
                waiter_free(waiter);
        while ((stream = LIST_FIRST(&client->streams)))
                stream_free(stream);
        loop_defer_cancel(&client->free_defer);
        loop_io_remove(&client->io);
        close_fd(&client->fd);
        buf_done(&client->in);
        buf_done(&client->out);
        transfers_on_client_gone(client);
        fsck_on_client_gone(client);
        client->import = import_free(client->import);
        LIST_REMOVE(client, link);
        client->sup->n_clients--;
        free(client);
        return NULL;
}

static int on_free(struct loop_defer *defer) {
        struct client *client = container_of(defer, struct client, free_defer);
        struct supervisor *sup = client->sup;

        client_free(client);
        supervisor_on_client_gone(sup);
        return 0;
}

void client_close(struct client *client) {
        struct supervisor *sup = client->sup;
        struct instance *in, *next;

        if (client->is_closing)
                return;
        client->is_closing = true;
        transfers_on_client_gone(client);
        fsck_on_client_gone(client);
        loop_io_remove(&client->io);
        loop_defer(sup->loop, &client->free_defer, on_free);
        for (in = LIST_FIRST(&sup->instances); in; in = next) {
                next = LIST_NEXT(in, link);
                if (in->owner != client)
                        continue;
                in->owner = NULL;
                instance_stop(in, CAUSE_STOPPED);
        }
}
