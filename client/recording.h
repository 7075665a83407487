/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream in a file: msgpack objects, one after another. The first is the header, a map
 *
 *   { "gadget-recording": 1 (version), "writer": str, "image": str, "name": str, "created": ns
 * since the epoch, "schema": bin }
 *
 * then one array a record, by its first element (enum record_type):
 *
 *   [0, time ns, source, flags, first_seq, lost, rows bin]   rows, as the notification "events"
 *   [1, time ns, source, ledger map]                         counters, as "losses"
 *   [2, time ns, cause, message, detail, ledgers array]      the end, as "done"
 *
 * Readers ignore keys, further elements and types that they do not know. A file may be hostile:
 * each object is scanned within bounds before it is looked at.
 */
#pragma once

#include "base/error.h"
#include "client/connection.h"
#include "client/out.h"

#define RECORDING_VERSION 1

enum record_type { RECORD_EVENTS, RECORD_LOSSES, RECORD_DONE };

struct recording_header {
        const char *writer;
        const char *image;
        const char *name;
        uint64_t created;
        struct bytes schema;
};

/* --- writing: into an out, whose error says what went wrong --- */
void recording_put_header(struct out *out, const struct recording_header *header);

/* One notification; `rows` in place of its own (the caller may have dropped some). */
void recording_put(struct out *out, const struct incoming *in, struct bytes rows);

/* --- reading --- */
struct recording;

/* Opens a file ("-" = standard input) and reads its header, which lives as long as the recording.
 * -EBADMSG: no recording; -EPROTONOSUPPORT: a later version. */
int recording_open(const char *path, struct recording **ret, struct recording_header *header,
                   struct error *err);
struct recording *recording_free(struct recording *recording);
DEFINE_CLEANUP(struct recording, recording_free)

/* The next notification, which lives until the next call. 1 = ret is set, 0 = the end; -ENODATA:
 * the file ends inside of a record; -EBADMSG: it holds something else. */
int recording_next(struct recording *recording, struct incoming *ret, struct error *err);
