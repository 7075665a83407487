/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/stream.h"

#include "base/log.h"
#include "supervisor/client.h"
#include "supervisor/pack.h"
#include "supervisor/supervisor.h"

#define LOSSES_INTERVAL NSEC_PER_SEC
#define END_DEADLINE (5 * NSEC_PER_SEC) /* for a client that does not read */

/* --- notifications --- */

/* [2, name, [ ... ]], without its params. */
static void put_notification(struct buf *out, enum notification type, uint32_t n_params) {
        uint8_t *p = buf_reserve(out, 3 * MP_HEADER_MAX);

        if (!p)
                return;
        p = mp_put_array(p, 3);
        p = mp_put_uint(p, 2);
        out->len = (size_t)(p - out->data);
        pack_str(out, notification_names[type]);
        p = buf_reserve(out, MP_HEADER_MAX);
        if (p)
                out->len = (size_t)(mp_put_array(p, n_params) - out->data);
}

static uint64_t counted(const struct ledger *ledger, const struct event_ring_stream *counters) {
        uint64_t sum = ledger->lost;

        for (enum drop_reason reason = 0; reason < _DROP_REASON_MAX; reason++)
                sum += counters->dropped[reason];
        return sum;
}

static void put_losses(struct stream *stream) {
        struct buf *out = &stream->client->out;

        for (unsigned int source = 0; source < LIMIT_STREAMS_MAX; source++) {
                struct event_ring_stream counters;
                uint64_t now;

                ring_stream_counters(&stream->instance->ring, source, &counters);
                now = counted(&stream->ledgers[source], &counters);
                if (now == stream->told[source])
                        continue;
                stream->told[source] = now;
                put_notification(out, NOTIFY_LOSSES, 3);
                pack_uint(out, stream->handle);
                pack_uint(out, source);
                ledger_pack(&stream->ledgers[source], &counters, out);
        }
}

/* The ledgers of all sources up to the last that did anything. */
static void put_ledgers(const struct stream *stream, struct buf *out) {
        struct event_ring_stream counters[LIMIT_STREAMS_MAX];
        unsigned int n = 0;
        struct pack array;

        for (unsigned int source = 0; source < LIMIT_STREAMS_MAX; source++) {
                ring_stream_counters(&stream->instance->ring, source, &counters[source]);
                if (!ledger_is_empty(&counters[source]))
                        n = source + 1;
        }
        array = pack_array(out);
        for (unsigned int source = 0; source < n; source++) {
                pack_item(&array);
                ledger_pack(&stream->ledgers[source], &counters[source], out);
        }
        pack_end(&array);
}

static void put_done(const struct stream *stream) {
        const struct outcome *outcome = &stream->instance->outcome;
        struct buf *out = &stream->client->out;

        put_notification(out, NOTIFY_DONE, 5);
        pack_uint(out, stream->handle);
        pack_str(out, outcome_cause_name(outcome));
        pack_str(out, outcome->cause == CAUSE_FAILED ? error_text(&outcome->error) : "");
        pack_str(out, outcome->detail);
        put_ledgers(stream, out);
}

/* --- life --- */

static int on_losses(struct loop_timer *timer) {
        struct stream *stream = container_of(timer, struct stream, losses_timer);

        put_losses(stream);
        client_pump(stream->client);
        return 0;
}

int stream_new(struct client *client, struct instance *in, uint64_t tail, struct stream **ret,
               struct error *err) {
        struct stream *stream;
        int r;

        if (client->n_streams >= LIMIT_STREAMS_PER_CLIENT_MAX)
                return error_set(err, ERROR_LIMIT, -EMFILE,
                                 "this connection has %d attachments already",
                                 LIMIT_STREAMS_PER_CLIENT_MAX);
        if (!in->has_ring || !in->was_running)
                return error_set(err, ERROR_UNAVAILABLE, -EAGAIN,
                                 "instance '%s' is not running yet (%s)", in->name,
                                 instance_state_name(in->state));
        stream = calloc(1, sizeof(*stream));
        if (!stream)
                return -ENOMEM;
        if (tail == 0) {
                ring_cursor_newest(&in->ring, &stream->cursor);
        } else if (tail == UINT64_MAX) {
                ring_cursor_oldest(&in->ring, &stream->cursor);
        } else {
                r = ring_cursor_tail(&in->ring, &stream->cursor, tail);
                if (r < 0) {
                        free(stream);
                        return error_set(err, ERROR_INTERNAL, r,
                                         "instance '%s': its event ring is damaged", in->name);
                }
        }
        for (unsigned int source = 0; source < LIMIT_STREAMS_MAX; source++) {
                struct event_ring_stream counters;

                ring_stream_counters(&in->ring, source, &counters);
                stream->ledgers[source].skipped = stream->cursor.next_seq[source];
                if (tail > 0 && counters.rows > stream->cursor.next_seq[source])
                        stream->replay += counters.rows - stream->cursor.next_seq[source];
        }
        stream->client = client;
        stream->instance = in;
        stream->handle = client->next_stream++;
        LIST_INSERT_HEAD(&client->streams, stream, of_client);
        LIST_INSERT_HEAD(&in->streams, stream, of_instance);
        client->n_streams++;
        instance_listen(in, true);
        if (instance_state_is_final(in->state))
                stream_on_end(stream);
        else
                client_want_write(client); /* what is in the ring already has no bell to ring */
        *ret = stream;
        return 0;
}

struct stream *stream_free(struct stream *stream) {
        struct instance *in;

        if (!stream)
                return NULL;
        in = stream->instance;
        loop_timer_clear(&stream->end_deadline);
        loop_timer_clear(&stream->losses_timer);
        LIST_REMOVE(stream, of_client);
        LIST_REMOVE(stream, of_instance);
        stream->client->n_streams--;
        if (LIST_EMPTY(&in->streams))
                instance_listen(in, false);
        /* A foreground run that its owner has seen to the end is over for good. */
        if (instance_state_is_final(in->state) && in->owner == stream->client)
                in->is_listed = false;
        free(stream);
        instance_release(in);
        return NULL;
}

struct stream *stream_find(struct client *client, uint32_t handle) {
        struct stream *stream;

        LIST_FOREACH (stream, &client->streams, of_client)
                if (stream->handle == handle)
                        return stream;
        return NULL;
}

/* --- rows --- */

static void on_damaged_ring(struct stream *stream) {
        struct instance *in = stream->instance;
        struct error err = {};

        error_set(&err, ERROR_INTERNAL, -EPROTO, "the worker wrote nonsense into its event ring");
        if (!instance_state_is_final(in->state))
                instance_fault(in, &err, in->broker->log_tail);
        else
                outcome_fail(&in->outcome, &err, NULL);
}

static int put_prelude(struct stream *stream, const struct event_frame *frame, uint64_t lost) {
        return rpc_put_events_header(&stream->client->out, stream->handle, frame->stream,
                                     frame->flags, frame->first_seq, lost, frame->length);
}

static void count_frame(struct stream *stream, const struct ring_frame *frame) {
        struct ledger *ledger = &stream->ledgers[frame->header.stream];

        ledger->delivered += frame->header.n_rows;
        ledger->lost += frame->lost;
}

/* The writer overtook us between two looks and this is another frame than the one announced: rare,
 * so it may cost a copy. */
static int replace_frame(struct stream *stream, size_t before, size_t rows_at,
                         const struct ring_frame *frame) {
        cleanup_buf struct buf rows = BUF_INIT(LIMIT_EVENT_RING_MAX);
        struct buf *out = &stream->client->out;
        int r;

        r = buf_append(&rows, out->data + rows_at, frame->header.length);
        if (r < 0)
                return r;
        out->len = before;
        r = put_prelude(stream, &frame->header, frame->lost);
        return r < 0 ? r : buf_append(out, rows.data, rows.len);
}

/*
 * One frame. Its header is looked at first, because what precedes the rows depends on their length;
 * the rows then go from the ring to their place in the buffer. 1 = copied, 0 = nothing there,
 * -ENOBUFS = the client's buffer is full, -EPROTO = damaged.
 */
static int copy_frame(struct stream *stream) {
        const struct ring_reader *ring = &stream->instance->ring;
        struct buf *out = &stream->client->out;
        size_t before = out->len, rows_at;
        struct ring_frame seen, frame;
        uint64_t expected;
        uint8_t *room;
        int r;

        r = ring_read(ring, &stream->cursor, NULL, 0, &seen);
        if (r == 1) { /* an array without rows */
                count_frame(stream, &seen);
                return put_prelude(stream, &seen.header, seen.lost) < 0 ? -ENOMEM : 1;
        }
        if (r != -ENOBUFS)
                return r;
        if (client_unsent(stream->client) > 0 &&
            client_unsent(stream->client) + seen.header.length > CLIENT_FILL_MAX)
                return -ENOBUFS;
        expected = stream->cursor.next_seq[seen.header.stream];
        seen.lost = seen.header.first_seq > expected ? seen.header.first_seq - expected : 0;
        if (put_prelude(stream, &seen.header, seen.lost) < 0)
                return -ENOMEM;
        rows_at = out->len;
        room = buf_reserve(out, seen.header.length);
        if (!room)
                return -ENOMEM;
        r = ring_read(ring, &stream->cursor, room, seen.header.length, &frame);
        if (r != 1) {
                out->len = before;
                return r; /* overtaken by a larger frame: -ENOBUFS comes back to it */
        }
        count_frame(stream, &frame);
        if (memcmp(&frame.header, &seen.header, sizeof(seen.header)) != 0 ||
            frame.lost != seen.lost)
                return replace_frame(stream, before, rows_at, &frame) < 0 ? -ENOMEM : 1;
        out->len += frame.header.length;
        return 1;
}

static void finish(struct stream *stream) {
        struct client *client = stream->client;

        for (unsigned int source = 0; source < LIMIT_STREAMS_MAX; source++)
                stream->ledgers[source].lost +=
                        ring_cursor_lost_tail(&stream->instance->ring, &stream->cursor, source);
        put_done(stream);
        stream_free(stream);
        client_want_write(client);
}

bool stream_fill(struct stream *stream, size_t *budget) {
        struct client *client = stream->client;
        size_t before = client->out.len;
        int r = 1;

        while (*budget > 0 && r > 0) {
                r = copy_frame(stream);
                *budget -= MIN(*budget, client->out.len - before);
                before = client->out.len;
        }
        if (r == -ENOBUFS)
                return true;
        if (r == -ENOMEM) {
                client_close(client);
                return false;
        }
        if (r == -EPROTO)
                on_damaged_ring(
                        stream); /* what lies behind the damage cannot be read: it counts as lost */
        if (r > 0)
                return true;
        if (stream->is_ending)
                finish(stream);
        return false;
}

static bool arm_losses(struct stream *stream) {
        return loop_timer_set(stream->client->sup->loop, &stream->losses_timer, LOSSES_INTERVAL,
                              "losses", on_losses) == 0;
}

void stream_on_rows(struct stream *stream) {
        if (stream->losses_timer.index == 0 && !arm_losses(stream))
                log_warning("instance %.12s: losses cannot be told before the end",
                            stream->instance->id);
        client_pump(stream->client);
}

/* --- the end --- */

static int on_end_deadline(struct loop_timer *timer) {
        struct stream *stream = container_of(timer, struct stream, end_deadline);

        /* It did not read for so long: the rest of the ring is its loss. */
        finish(stream);
        return 0;
}

void stream_on_end(struct stream *stream) {
        stream->is_ending = true;
        if (loop_timer_set(stream->client->sup->loop, &stream->end_deadline, END_DEADLINE,
                           "stream end", on_end_deadline) < 0)
                log_warning("instance %.12s: waits for its client without a deadline",
                            stream->instance->id);
        client_want_write(stream->client);
}
