/* SPDX-License-Identifier: Apache-2.0 */
/* The installed interface (gadget/client.h) on top of a connection: one gadget, one row at a time.
 */
#include "client/library-client.h"

#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "gadget/event-ring.h"

#define TEXT_MAX (1u << 20)

struct gadget_client *gadget_client_new(const char *name) {
        struct gadget_client *client = calloc(1, sizeof(*client));

        if (!client)
                return NULL;
        client->name = strdup(name ? name : "libgadget");
        client->poll_fd = epoll_create1(EPOLL_CLOEXEC);
        client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        client->begun = (struct client_request){ .object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX),
                                                 .definition = BUF_INIT(LIMIT_DEFINITION_SIZE_MAX),
                                                 .params = BUF_INIT(LIMIT_CLIENT_FRAME_MAX) };
        if (client->name && client->poll_fd >= 0 && client->timer_fd >= 0)
                return client;
        gadget_client_free(client);
        return NULL;
}

static void forget_texts(struct gadget_client *client) {
        for (size_t i = 0; i < client->n_texts; i++)
                free(client->texts[i]);
        client->n_texts = 0;
}

void gadget_client_free(struct gadget_client *client) {
        if (!client)
                return;
        forget_texts(client);
        free(client->texts);
        connection_free(client->connection);
        client_start_done(client);
        schema_free(client->schema);
        free(client->name);
        free(client);
}

const char *gadget_client_error(const struct gadget_client *client) {
        return client->err.msg;
}

void gadget_client_use(struct gadget_client *client, struct connection *take_connection) {
        client->connection = take_connection;
        (void)client_watch(client);
}

const struct schema *gadget_client_schema(const struct gadget_client *client) {
        return client->schema;
}

const struct row *gadget_client_row(const struct gadget_client *client) {
        return client->has_row ? &client->row : NULL;
}

const char *gadget_client_id(const struct gadget_client *client) {
        return client->id;
}

int gadget_client_fd(const struct gadget_client *client) {
        return client->connection || client->is_away ? client->poll_fd : -1;
}

/* --- what arrives --- */

/* {"lost": u64, "dropped": {reason: u64}}: what the user has asked to be left out is no loss. */
static void read_ledger(struct gadget_client *client, uint32_t source, struct bytes ledger) {
        struct mp_reader r = mp_reader_of(ledger);
        uint64_t sum = 0, v;
        uint32_t n, m;
        struct bytes key;

        if (source >= LIMIT_STREAMS_MAX || mp_read_map(&r, &n) < 0)
                return;
        for (uint32_t i = 0; i < n && mp_read_str(&r, &key) == 0; i++) {
                if (bytes_eq(key, "lost") && mp_read_uint(&r, &v) == 0) {
                        sum += v;
                } else if (bytes_eq(key, "dropped") && mp_read_map(&r, &m) == 0) {
                        for (uint32_t k = 0;
                             k < m && mp_read_str(&r, &key) == 0 && mp_read_uint(&r, &v) == 0; k++)
                                if (!bytes_eq(key, "filtered") && !bytes_eq(key, "limited"))
                                        sum += v;
                } else if (mp_skip(&r) < 0) {
                        return;
                }
        }
        client->lost[source] = sum;
}

static void on_done(struct gadget_client *client, const struct incoming *in) {
        struct mp_reader r = mp_reader_of(in->ledger);
        uint32_t n;

        snprintf(client->cause, sizeof(client->cause), "%.*s", (int)MIN(in->cause.len, 31u),
                 (const char *)in->cause.data);
        if (str_eq(client->cause, "failed"))
                error_set(&client->err, ERROR_INTERNAL, -EREMOTEIO, "the gadget failed: %.*s",
                          (int)MIN(in->message.len, 400u), (const char *)in->message.data);
        if (mp_read_array(&r, &n) == 0)
                for (uint32_t i = 0; i < n; i++) {
                        const uint8_t *start = r.pos;

                        if (mp_skip(&r) < 0)
                                break;
                        read_ledger(client, i, BYTES(start, r.pos - start));
                }
        /* Who is patient waits for the next gadgetd: the end of this one's connection is near. */
        client->is_done = !(str_eq(client->cause, "shutdown") && client->patience_ns > 0 &&
                            !client->is_stopping && client->begun.path);
        if (!client->is_done)
                client->cause[0] = '\0';
}

static int on_events(struct gadget_client *client, const struct incoming *in) {
        if (in->source >= client->schema->n_streams)
                return error_set(&client->err, ERROR_UNAVAILABLE, -EBADMSG,
                                 "rows came of a data source that the gadget does not have");
        if (in->flags & EVENT_FRAME_SNAPSHOT)
                client->arrays[in->source]++;
        client->lost[in->source] += in->lost;
        client->source = in->source;
        client->array = client->arrays[in->source];
        client->rows = in->rows;
        return 0;
}

static int on_incoming(struct gadget_client *client, const struct incoming *in) {
        if (in->kind == RPC_RESPONSE) {
                if (client->is_stopping && in->id == client->stop_id && in->is_error)
                        client->is_done = true; /* it ended by itself meanwhile */
                return 0;
        }
        if (in->type == _NOTIFY_MAX || in->stream != client->stream)
                return 0;
        if (in->type == NOTIFY_EVENTS)
                return on_events(client, in);
        if (in->type == NOTIFY_LOSSES)
                read_ledger(client, in->source, in->ledger);
        else if (in->type == NOTIFY_DONE)
                on_done(client, in);
        return 0;
}

/* The next row of the frame at hand. */
static int take_row(struct gadget_client *client) {
        int r = row_next(&client->schema->streams[client->source], &client->rows, &client->row);

        if (r < 0) {
                client->rows = BYTES(NULL, 0);
                return error_set(&client->err, ERROR_UNAVAILABLE, r,
                                 "rows came that do not match the gadget's schema");
        }
        client->has_row = r > 0;
        return r;
}

int gadget_client_next(struct gadget_client *client) {
        struct incoming in;
        int r;

        forget_texts(client);
        client->has_row = false;
        if (!client->is_running)
                return error_set(&client->err, ERROR_INVALID, -EINVAL, "no gadget was started");
        for (;;) {
                r = client->rows.len > 0 ? take_row(client) : 0;
                if (r != 0)
                        return r;
                if (client->is_done)
                        return -ENODATA;
                if (client->is_away) {
                        r = client_return(client);
                        if (r < 0 || client->is_away)
                                return r;
                }
                r = connection_next(client->connection, &in, &client->err);
                if (r < 0 && client_lose(client))
                        continue;
                if (r <= 0)
                        return r;
                r = on_incoming(client, &in);
                if (r < 0)
                        return r;
        }
}

int gadget_client_wait(struct gadget_client *client, int timeout_ms) {
        uint64_t end = now_ns() + (uint64_t)MAX(timeout_ms, 0) * NSEC_PER_MSEC;

        for (;;) {
                struct pollfd p = { .fd = gadget_client_fd(client), .events = POLLIN };
                uint64_t now;
                int r = gadget_client_next(client);

                if (r != 0)
                        return r;
                now = now_ns();
                if (timeout_ms >= 0 && now >= end)
                        return 0;
                r = poll(&p, 1,
                         timeout_ms < 0 ? -1
                                        : (int)((end - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC));
                if (r < 0 && errno != EINTR)
                        return error_set(&client->err, ERROR_INTERNAL, -errno, "poll: %m");
        }
}

/* --- the row --- */

const char *gadget_client_source(const struct gadget_client *client) {
        return client->has_row ? client->row.stream->name : "";
}

uint64_t gadget_client_array(const struct gadget_client *client) {
        return client->has_row ? client->array : 0;
}

static int find(struct gadget_client *client, const char *field, struct field_ref *ret) {
        if (!client->has_row)
                return error_set(&client->err, ERROR_INVALID, -ENOENT, "there is no row");
        if (field_find(client->row.stream, field, ret) < 0)
                return error_set(&client->err, ERROR_NOT_FOUND, -ENOENT,
                                 "data source '%s' has no field '%.64s'", client->row.stream->name,
                                 field);
        return 0;
}

static int find_number(struct gadget_client *client, const char *field, struct value *ret) {
        struct field_ref ref;
        int r = find(client, field, &ref);

        if (r < 0)
                return r;
        *ret = row_value(&client->row, &ref);
        if (!value_is_number(ret))
                return error_set(&client->err, ERROR_INVALID, -EINVAL, "field '%.64s' is no number",
                                 field);
        return 0;
}

static int out_of_range(struct gadget_client *client, const char *field) {
        return error_set(&client->err, ERROR_INVALID, -ERANGE,
                         "field '%.64s' has a value that does not fit", field);
}

int gadget_client_get_u64(struct gadget_client *client, const char *field, uint64_t *ret) {
        struct value n;
        int r = find_number(client, field, &n);

        if (r < 0)
                return r;
        if (n.type != VALUE_UINT)
                return out_of_range(client, field);
        *ret = n.u;
        return 0;
}

int gadget_client_get_i64(struct gadget_client *client, const char *field, int64_t *ret) {
        struct value n;
        int r = find_number(client, field, &n);

        if (r < 0)
                return r;
        if (n.type == VALUE_FLOAT || (n.type != VALUE_INT && n.u > INT64_MAX))
                return out_of_range(client, field);
        *ret = n.i;
        return 0;
}

int gadget_client_get_double(struct gadget_client *client, const char *field, double *ret) {
        struct value n;
        int r = find_number(client, field, &n);

        if (r < 0)
                return r;
        *ret = n.type == VALUE_FLOAT ? n.f : n.type == VALUE_INT ? (double)n.i : (double)n.u;
        return 0;
}

int gadget_client_get_bytes(struct gadget_client *client, const char *field, const void **ret,
                            size_t *ret_n) {
        struct field_ref ref;
        struct value v;
        int r = find(client, field, &ref);

        if (r < 0)
                return r;
        v = row_value(&client->row, &ref);
        if (v.type != VALUE_BYTES)
                return error_set(&client->err, ERROR_INVALID, -EINVAL,
                                 "field '%.64s' is neither text nor binary", field);
        *ret = v.bytes.data;
        *ret_n = v.bytes.len;
        return 0;
}

const char *gadget_client_get_text(struct gadget_client *client, const char *field) {
        struct buf b = BUF_INIT(TEXT_MAX);
        struct field_ref ref;
        char **texts, *text;

        if (find(client, field, &ref) < 0)
                return NULL;
        texts = reallocarray(client->texts, client->n_texts + 1, sizeof(*texts));
        if (!texts)
                return NULL;
        client->texts = texts;
        row_append_text(&client->row, &ref, &client->clock, &b);
        text = buf_steal_string(&b);
        if (!text) {
                buf_done(&b);
                return NULL;
        }
        client->texts[client->n_texts++] = text;
        return text;
}

/* --- the gadget --- */

const char *gadget_client_field(const struct gadget_client *client, const char *source,
                                size_t index) {
        for (uint32_t i = 0; client->schema && i < client->schema->n_streams; i++) {
                const struct schema_stream *stream = &client->schema->streams[i];

                if (str_eq(stream->name, source))
                        return index < stream->n_fields ? stream->fields[index].name : NULL;
        }
        return NULL;
}

uint64_t gadget_client_lost(const struct gadget_client *client) {
        uint64_t sum = client->lost_before;

        for (size_t i = 0; i < ARRAY_SIZE(client->lost); i++)
                sum += client->lost[i];
        return sum;
}

int gadget_client_stop(struct gadget_client *client) {
        struct req_instance_ref request = { .instance = client->id };
        int r;

        if (!client->is_running || client->is_done || client->is_stopping)
                return 0;
        if (client->is_away) { /* and nothing of it is left */
                client->is_done = true;
                return 0;
        }
        r = connection_send(client->connection, METHOD_INSTANCE_STOP, &request, &client->stop_id,
                            &client->err);
        client->is_stopping = r == 0;
        return r;
}

const char *gadget_client_cause(const struct gadget_client *client) {
        return client->cause;
}
