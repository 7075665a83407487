/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attachment of one client to one instance: a cursor of its own in the event ring. Frames go
 * from the ring straight into the client's output buffer; gadgetd never looks into a row. Who does
 * not read loses only its own rows, counted by source.
 */
#pragma once

#include <sys/queue.h>

#include "base/error.h"
#include "base/loop.h"
#include "ipc/ring.h"
#include "supervisor/ledger.h"

struct client;
struct instance;

struct stream {
        struct client *client;
        struct instance *instance;
        LIST_ENTRY(stream) of_client;
        LIST_ENTRY(stream) of_instance;
        uint32_t handle; /* the client's name for it */
        struct ring_cursor cursor;
        uint64_t replay; /* rows that were there when it began and come first */
        struct ledger ledgers[LIMIT_STREAMS_MAX];
        bool is_ending; /* the instance is over: deliver what the ring holds, then say so */
        struct loop_timer end_deadline;
        struct loop_timer losses_timer;   /* runs only while rows come */
        uint64_t told[LIMIT_STREAMS_MAX]; /* lost + dropped of the last "losses" */
};

/* tail: rows to replay from the ring first, UINT64_MAX = all that it holds. */
int stream_new(struct client *client, struct instance *in, uint64_t tail, struct stream **ret,
               struct error *err);
struct stream *stream_free(struct stream *stream);

/* By the client's handle; NULL = none. */
struct stream *stream_find(struct client *client, uint32_t handle);

/* The bell has rung. */
void stream_on_rows(struct stream *stream);

/* The instance has come to its end, whose outcome is stored. */
void stream_on_end(struct stream *stream);

/* Copies frames while the client's buffer and the budget (bytes, reduced) allow; true = there is
 * more. At the end of an ended instance it says "done" and frees the stream. */
bool stream_fill(struct stream *stream, size_t *budget);
