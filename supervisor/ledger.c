/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/ledger.h"

#include "supervisor/pack.h"

static void pack_dropped(const struct event_ring_stream *counters, struct buf *out) {
        struct pack dropped = pack_map(out);

        for (enum drop_reason reason = 0; reason < _DROP_REASON_MAX; reason++)
                if (counters->dropped[reason] > 0)
                        pack_map_uint(&dropped, drop_reason_name(reason),
                                      counters->dropped[reason]);
        pack_end(&dropped);
}

void ledger_pack(const struct ledger *ledger, const struct event_ring_stream *counters,
                 struct buf *out) {
        struct pack map = pack_map(out);

        pack_map_uint(&map, "rows", counters->rows);
        pack_map_uint(&map, "skipped", ledger->skipped);
        pack_map_uint(&map, "delivered", ledger->delivered);
        pack_map_uint(&map, "lost", ledger->lost);
        pack_key(&map, "dropped");
        pack_dropped(counters, out);
        pack_end(&map);
}

void ledger_pack_counters(unsigned int source, const struct event_ring_stream *counters,
                          struct buf *out) {
        struct pack map = pack_map(out);

        pack_map_uint(&map, "source", source);
        pack_map_uint(&map, "rows", counters->rows);
        pack_key(&map, "dropped");
        pack_dropped(counters, out);
        pack_end(&map);
}

bool ledger_is_empty(const struct event_ring_stream *counters) {
        for (enum drop_reason reason = 0; reason < _DROP_REASON_MAX; reason++)
                if (counters->dropped[reason] > 0)
                        return false;
        return counters->rows == 0;
}
