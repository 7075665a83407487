/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of the rows of one data source, as one client sees it: rows - skipped = delivered +
 * lost once the instance is over and its ring has been read to the end; dropped is what never
 * became a row, by reason, since the gadget began.
 */
#pragma once

#include "base/buf.h"
#include "ipc/ring.h"

struct ledger {
        uint64_t skipped; /* rows before this attachment began */
        uint64_t delivered;
        uint64_t lost; /* overwritten before this client read them */
};

/* Appends {"rows", "skipped", "delivered", "lost", "dropped": {reason: n}}. */
void ledger_pack(const struct ledger *ledger, const struct event_ring_stream *counters,
                 struct buf *out);

/* What no attachment changes: {"source", "rows", "dropped": {reason: n}}. */
void ledger_pack_counters(unsigned int source, const struct event_ring_stream *counters,
                          struct buf *out);

/* True when nothing has happened at all. */
bool ledger_is_empty(const struct event_ring_stream *counters);
