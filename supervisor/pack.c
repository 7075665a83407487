/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/pack.h"

#include <assert.h>

#define CONTAINER_HEADER 3 /* tag and 16-bit count */

void pack_uint(struct buf *b, uint64_t v) {
        uint8_t *p = buf_reserve(b, MP_SCALAR_MAX);

        if (p)
                b->len += (size_t)(mp_put_uint(p, v) - p);
}

void pack_int(struct buf *b, int64_t v) {
        uint8_t *p = buf_reserve(b, MP_SCALAR_MAX);

        if (p)
                b->len += (size_t)(mp_put_int(p, v) - p);
}

void pack_bool(struct buf *b, bool v) {
        uint8_t *p = buf_reserve(b, MP_SCALAR_MAX);

        if (p)
                b->len += (size_t)(mp_put_bool(p, v) - p);
}

void pack_str_n(struct buf *b, const void *text, size_t n) {
        uint8_t *p = n > UINT32_MAX - MP_HEADER_MAX ? NULL : buf_reserve(b, MP_HEADER_MAX + n);

        if (p)
                b->len += (size_t)(mp_put_str(p, text, (uint32_t)n) - p);
}

void pack_str(struct buf *b, const char *text) {
        pack_str_n(b, text ? text : "", text ? strlen(text) : 0);
}

void pack_bin(struct buf *b, struct bytes v) {
        uint8_t *p =
                v.len > UINT32_MAX - MP_HEADER_MAX ? NULL : buf_reserve(b, MP_HEADER_MAX + v.len);

        if (!p)
                return;
        p = mp_put_bin_header(p, (uint32_t)v.len);
        if (v.len > 0)
                memcpy(p, v.data, v.len);
        b->len = (size_t)(p - b->data) + v.len;
}

void pack_raw(struct buf *b, struct bytes encoded) {
        (void)buf_append(b, encoded.data, encoded.len);
}

static struct pack open_container(struct buf *b, uint8_t tag) {
        struct pack p = { .buf = b, .at = b->len };

        (void)buf_append(b, (uint8_t[CONTAINER_HEADER]){ tag }, CONTAINER_HEADER);
        return p;
}

struct pack pack_map(struct buf *b) {
        return open_container(b, 0xde);
}

struct pack pack_array(struct buf *b) {
        return open_container(b, 0xdc);
}

void pack_end(struct pack *p) {
        if (p->buf->failed)
                return;
        p->buf->data[p->at + 1] = (uint8_t)(p->n >> 8);
        p->buf->data[p->at + 2] = (uint8_t)p->n;
}

void pack_item(struct pack *array) {
        assert(array->n < UINT16_MAX);
        array->n++;
}

void pack_key(struct pack *map, const char *key) {
        pack_item(map);
        pack_str(map->buf, key);
}
