/* SPDX-License-Identifier: Apache-2.0 */
#include "client/connection.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/render.h"
#include "gadget/api.h"
#include "ipc/mp.h"

#define IN_SIZE (256u << 10)
/* With less than this free behind the data, what is left of it moves to the front before the next
 * read. */
#define IN_ROOM_MIN (64u << 10)
#define IN_MAX (LIMIT_CLIENT_FRAME_MAX + (1u << 20))
#define BACKLOG_MAX (64u << 20)

struct connection {
        int fd;
        int interrupt_fd;
        uint32_t next_id;
        char version[64];
        uint8_t *in;
        size_t start; /* of what is not yet handled */
        size_t end;
        size_t size;        /* allocated, less RENDER_SLACK */
        size_t last;        /* bytes of the message handed out last, dropped with the next call */
        bool is_drained;    /* the last read got less than it asked for */
        struct buf backlog; /* notifications that came while a call waited */
        size_t backlog_at;
        struct buf out;
        char *hint;
        char *detail;
};

static int lost(struct error *err) {
        return error_set(err, ERROR_UNAVAILABLE, -ECONNRESET, "gadgetd closed the connection");
}

/* Waits until the socket is ready for `events`. */
static int wait_for(struct connection *connection, short events, struct error *err) {
        struct pollfd fds[] = { { .fd = connection->fd, .events = events },
                                { .fd = connection->interrupt_fd, .events = POLLIN } };

        for (;;) {
                if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_set(err, ERROR_INTERNAL, -errno, "poll: %m");
                }
                if (fds[1].revents)
                        return error_set(err, ERROR_UNAVAILABLE, -EINTR, "interrupted");
                if (fds[0].revents)
                        return 0;
        }
}

static int send_out(struct connection *connection, struct error *err) {
        size_t sent = 0;

        if (connection->out.failed)
                return error_set(err, ERROR_LIMIT, -EFBIG, "the request is larger than %u bytes",
                                 (unsigned int)LIMIT_CLIENT_FRAME_MAX);
        while (sent < connection->out.len) {
                ssize_t n = send(connection->fd, connection->out.data + sent,
                                 connection->out.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
                int r;

                if (n >= 0) {
                        sent += (size_t)n;
                        continue;
                }
                if (errno != EAGAIN && errno != EINTR)
                        return lost(err);
                r = wait_for(connection, POLLOUT, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int connection_send(struct connection *connection, enum method method, const void *request,
                    uint32_t *ret_id, struct error *err) {
        uint32_t id = connection->next_id++;
        int r;

        buf_reset(&connection->out);
        r = rpc_put_request(&connection->out, id, method, request);
        if (r < 0 && !connection->out.failed)
                return error_prefix(err,
                                    record_encode_error(&methods[method].request, request, r, err),
                                    "%s", methods[method].name);
        r = send_out(connection, err);
        if (r < 0)
                return r;
        *ret_id = id;
        return 0;
}

/* --- input --- */

/* Makes room behind `end`: moves what is left to the front when that is little or needed, grows
 * when a message fills it all. */
static int make_room(struct connection *connection, struct error *err) {
        uint8_t *in;
        size_t size;

        if (connection->start == connection->end)
                connection->start = connection->end = 0;
        if (connection->size - connection->end >= IN_ROOM_MIN)
                return 0;
        if (connection->start > 0) {
                memmove(connection->in, connection->in + connection->start,
                        connection->end - connection->start);
                connection->end -= connection->start;
                connection->start = 0;
        }
        if (connection->size - connection->end >= IN_ROOM_MIN)
                return 0;
        if (connection->size >= IN_MAX)
                return error_set(err, ERROR_UNAVAILABLE, -EBADMSG,
                                 "gadgetd sent a message that is too large");
        size = MIN(connection->size * 2, (size_t)IN_MAX);
        in = realloc(connection->in, size + RENDER_SLACK);
        if (!in)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        connection->in = in;
        connection->size = size;
        return 0;
}

/* One recv(): 1 = there is more, 0 = nothing now. */
static int read_more(struct connection *connection, struct error *err) {
        size_t room;
        ssize_t n;
        int r;

        r = make_room(connection, err);
        if (r < 0)
                return r;
        room = connection->size - connection->end;
        n = recv(connection->fd, connection->in + connection->end, room, MSG_DONTWAIT);
        if (n == 0)
                return lost(err);
        if (n < 0) {
                if (errno == EAGAIN || errno == EINTR)
                        return 0;
                return lost(err);
        }
        connection->end += (size_t)n;
        connection->is_drained = (size_t)n < room;
        return 1;
}

static void drop_last(struct connection *connection) {
        connection->start += connection->last;
        connection->last = 0;
}

/* The next whole message in the input buffer, which stays there until drop_last(). */
static int peek_message(struct connection *connection, struct rpc_message *ret, struct error *err) {
        int r;

        drop_last(connection);
        if (connection->start == connection->end)
                return 0;
        r = rpc_next(connection->in + connection->start, connection->end - connection->start,
                     LIMIT_CLIENT_FRAME_MAX, ret);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, -EBADMSG,
                                 "gadgetd sent something that is not a message");
        if (r > 0)
                connection->last = ret->size;
        return r;
}

static void remember(char **where, const char *text) {
        free(*where);
        *where = text && text[0] ? strdup(text) : NULL;
}

/* Takes the error of a response apart. */
static void read_error(struct connection *connection, const struct rpc_message *msg,
                       struct error *err) {
        struct rpc_error error;

        remember(&connection->hint, NULL);
        remember(&connection->detail, NULL);
        if (record_decode(&rpc_error_record, (uint8_t *)msg->error.data, msg->error.len,
                          RECORD_LENIENT, &error, NULL) < 0) {
                error_set(err, ERROR_INTERNAL, -EREMOTEIO,
                          "gadgetd sent an error that cannot be read");
                return;
        }
        error_set(err, error_code_from_name(error.code ? error.code : ""), -EREMOTEIO, "%s",
                  error.message ? error.message : "failed");
        remember(&connection->hint, error.hint);
        remember(&connection->detail, error.detail);
}

static int read_reply(const struct rpc_message *msg, enum method method, void *reply,
                      struct error *err) {
        struct error why = { 0 };
        int r;

        if (!reply)
                return 0;
        r = record_decode(&methods[method].reply, (uint8_t *)msg->params.data, msg->params.len,
                          RECORD_LENIENT, reply, &why);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, -EBADMSG, "%s: gadgetd's answer: %s",
                                 methods[method].name, error_text(&why));
        return 0;
}

static int keep_for_later(struct connection *connection, const struct rpc_message *msg,
                          struct error *err) {
        struct buf *b = &connection->backlog;

        if (connection->backlog_at == b->len) {
                buf_reset(b);
                connection->backlog_at = 0;
        }
        if (buf_append(b, connection->in + connection->start, msg->size) < 0 ||
            !buf_reserve(b, RENDER_SLACK))
                return error_set(err, ERROR_LIMIT, -ENOBUFS, "too many rows arrived during a call");
        return 0;
}

int connection_call(struct connection *connection, enum method method, const void *request,
                    void *reply, struct error *err) {
        struct rpc_message msg;
        uint32_t id;
        int r;

        r = connection_send(connection, method, request, &id, err);
        if (r < 0)
                return r;
        for (;;) {
                r = peek_message(connection, &msg, err);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = read_more(connection, err);
                        if (r == 0)
                                r = wait_for(connection, POLLIN, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (msg.kind == RPC_RESPONSE && msg.id == id)
                        break;
                r = keep_for_later(connection, &msg, err);
                if (r < 0)
                        return r;
        }
        if (msg.error.len > 0) {
                read_error(connection, &msg, err);
                return -EREMOTEIO;
        }
        return read_reply(&msg, method, reply, err);
}

static int bad_notification(struct error *err, const char *name) {
        return error_set(err, ERROR_UNAVAILABLE, -EBADMSG,
                         "gadgetd sent a notification \"%s\" that cannot be read", name);
}

static int read_u32(struct mp_reader *r, uint32_t *ret) {
        uint64_t v;

        if (mp_read_uint(r, &v) < 0 || v > UINT32_MAX)
                return -EBADMSG;
        *ret = (uint32_t)v;
        return 0;
}

/* One whole object, still encoded. */
static int read_object(struct mp_reader *r, struct bytes *ret) {
        const uint8_t *start = r->pos;

        if (mp_skip(r) < 0)
                return -EBADMSG;
        *ret = BYTES(start, (size_t)(r->pos - start));
        return 0;
}

static bool read_events(struct mp_reader *r, uint32_t n, struct incoming *ret) {
        return n >= 6 && read_u32(r, &ret->stream) == 0 && read_u32(r, &ret->source) == 0 &&
               read_u32(r, &ret->flags) == 0 && mp_read_uint(r, &ret->first_seq) == 0 &&
               mp_read_uint(r, &ret->lost) == 0 && mp_read_bin(r, &ret->rows) == 0;
}

static bool read_losses(struct mp_reader *r, uint32_t n, struct incoming *ret) {
        return n >= 3 && read_u32(r, &ret->stream) == 0 && read_u32(r, &ret->source) == 0 &&
               read_object(r, &ret->ledger) == 0;
}

static bool read_done(struct mp_reader *r, uint32_t n, struct incoming *ret) {
        return n >= 5 && read_u32(r, &ret->stream) == 0 && mp_read_str(r, &ret->cause) == 0 &&
               mp_read_str(r, &ret->message) == 0 && mp_read_str(r, &ret->detail) == 0 &&
               read_object(r, &ret->ledger) == 0;
}

static bool read_progress(struct mp_reader *r, uint32_t n, struct incoming *ret) {
        return n >= 4 && read_u32(r, &ret->id) == 0 && mp_read_str(r, &ret->digest) == 0 &&
               mp_read_uint(r, &ret->bytes) == 0 && mp_read_uint(r, &ret->total) == 0;
}

static int read_notification(const struct rpc_message *msg, struct incoming *ret,
                             struct error *err) {
        static bool (*const readers[_NOTIFY_MAX])(struct mp_reader *, uint32_t,
                                                  struct incoming *) = {
                [NOTIFY_EVENTS] = read_events,
                [NOTIFY_LOSSES] = read_losses,
                [NOTIFY_DONE] = read_done,
                [NOTIFY_PROGRESS] = read_progress,
        };
        struct mp_reader r = mp_reader_of(msg->params);
        uint32_t n;

        ret->type = NOTIFY_EVENTS;
        while (ret->type < _NOTIFY_MAX && !bytes_eq(msg->method, notification_names[ret->type]))
                ret->type++;
        if (ret->type == _NOTIFY_MAX || !readers[ret->type]) {
                ret->type = _NOTIFY_MAX;
                return 1;
        }
        if (mp_read_array(&r, &n) < 0 || !readers[ret->type](&r, n, ret))
                return bad_notification(err, notification_names[ret->type]);
        return 1;
}

static int read_incoming(struct connection *connection, const struct rpc_message *msg,
                         struct incoming *ret, struct error *err) {
        *ret = (struct incoming){ .kind = msg->kind, .id = msg->id };
        switch (msg->kind) {
        case RPC_NOTIFICATION:
                return read_notification(msg, ret, err);
        case RPC_RESPONSE:
                ret->is_error = msg->error.len > 0;
                ret->params = msg->params;
                if (ret->is_error)
                        read_error(connection, msg, &ret->error);
                return 1;
        case RPC_REQUEST:
                break;
        }
        return error_set(err, ERROR_UNAVAILABLE, -EBADMSG, "gadgetd sent a request to its client");
}

/* The oldest message kept by a call. */
static int next_of_backlog(struct connection *connection, struct rpc_message *ret) {
        struct buf *b = &connection->backlog;

        if (connection->backlog_at == b->len)
                return 0;
        if (rpc_next(b->data + connection->backlog_at, b->len - connection->backlog_at,
                     LIMIT_CLIENT_FRAME_MAX, ret) <= 0)
                return 0;
        connection->backlog_at += ret->size;
        return 1;
}

int connection_next(struct connection *connection, struct incoming *ret, struct error *err) {
        struct rpc_message msg;
        int r;

        r = next_of_backlog(connection, &msg);
        if (r == 0)
                r = peek_message(connection, &msg, err);
        if (r == 0 && connection->is_drained) {
                connection->is_drained = false;
                return 0;
        }
        if (r == 0) {
                r = read_more(connection, err);
                if (r <= 0)
                        return r;
                r = peek_message(connection, &msg, err);
        }
        if (r <= 0)
                return r;
        return read_incoming(connection, &msg, ret, err);
}

/* --- life --- */

static int say_hello(struct connection *connection, const char *client, struct error *err) {
        struct req_hello request = { .protocol = GADGET_PROTOCOL, .client = client };
        struct rep_hello reply;
        int r;

        r = connection_call(connection, METHOD_HELLO, &request, &reply, err);
        if (r < 0)
                return r;
        if (reply.protocol < GADGET_PROTOCOL_MIN || reply.protocol > GADGET_PROTOCOL)
                return error_set(err, ERROR_UNAVAILABLE, -EPROTONOSUPPORT,
                                 "gadgetd %s speaks protocol %u, this program %u to %u",
                                 reply.version, reply.protocol, GADGET_PROTOCOL_MIN,
                                 GADGET_PROTOCOL);
        snprintf(connection->version, sizeof(connection->version), "%s", reply.version);
        return 0;
}

int connection_new(int take_fd, const char *client, int interrupt_fd, struct connection **ret,
                   struct error *err) {
        cleanup(connection_freep) struct connection *connection = NULL;
        cleanup_close int fd = take_fd;
        int r;

        connection = calloc(1, sizeof(*connection));
        if (!connection)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        connection->fd = TAKE_FD(fd);
        connection->interrupt_fd = interrupt_fd;
        connection->backlog = BUF_INIT(BACKLOG_MAX);
        connection->out = BUF_INIT(LIMIT_CLIENT_FRAME_MAX);
        connection->size = IN_SIZE;
        connection->in = malloc(IN_SIZE + RENDER_SLACK);
        if (!connection->in)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        r = say_hello(connection, client, err);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(connection);
        return 0;
}

/* As wait_for(): a signal that means something makes interrupt_fd readable. */
static bool is_interrupted(int interrupt_fd) {
        struct pollfd p = { .fd = interrupt_fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

int connection_open(const char *path, const char *client, int interrupt_fd, struct connection **ret,
                    struct error *err) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_close int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return error_set(err, ERROR_INVALID, -ENAMETOOLONG,
                                 "socket path '%s' is longer than %zu bytes", path,
                                 sizeof(address.sun_path) - 1);
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "socket: %m");
        while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                if (errno == EINTR && !is_interrupted(interrupt_fd))
                        continue;
                return error_set(
                        err, errno == EACCES || errno == EPERM ? ERROR_DENIED : ERROR_UNAVAILABLE,
                        -errno, "cannot connect to '%s': %m", path);
        }
        return connection_new(TAKE_FD(fd), client, interrupt_fd, ret, err);
}

struct connection *connection_free(struct connection *connection) {
        if (!connection)
                return NULL;
        close_fd(&connection->fd);
        buf_done(&connection->backlog);
        buf_done(&connection->out);
        free(connection->in);
        free(connection->hint);
        free(connection->detail);
        free(connection);
        return NULL;
}

int connection_fd(const struct connection *connection) {
        return connection->fd;
}

const char *connection_server_version(const struct connection *connection) {
        return connection->version;
}

const char *connection_hint(const struct connection *connection) {
        return connection->hint ? connection->hint : "";
}

const char *connection_detail(const struct connection *connection) {
        return connection->detail ? connection->detail : "";
}
