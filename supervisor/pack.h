/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing msgpack replies whose shape is no field table's: listings, ledgers, privileges. A
 * container's count is filled in when it ends. Failures stick to the buffer and are checked once,
 * at the end (buf_result).
 */
#pragma once

#include "base/buf.h"
#include "ipc/mp.h"

/* An open map or array; headers are always written in their 16-bit form. */
struct pack {
        struct buf *buf;
        size_t at; /* of the header */
        uint16_t n;
};

void pack_uint(struct buf *b, uint64_t v);
void pack_int(struct buf *b, int64_t v);
void pack_bool(struct buf *b, bool v);
void pack_str(struct buf *b, const char *text); /* NULL = "" */
void pack_str_n(struct buf *b, const void *text, size_t n);
void pack_bin(struct buf *b, struct bytes v);
void pack_raw(struct buf *b, struct bytes encoded);

struct pack pack_map(struct buf *b);
struct pack pack_array(struct buf *b);
void pack_end(struct pack *p);

/* Each key or element is announced before it is written. */
void pack_key(struct pack *map, const char *key);
void pack_item(struct pack *array);

static inline void pack_map_uint(struct pack *map, const char *key, uint64_t v) {
        pack_key(map, key);
        pack_uint(map->buf, v);
}
static inline void pack_map_bool(struct pack *map, const char *key, bool v) {
        pack_key(map, key);
        pack_bool(map->buf, v);
}
static inline void pack_map_str(struct pack *map, const char *key, const char *v) {
        pack_key(map, key);
        pack_str(map->buf, v);
}
