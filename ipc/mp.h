/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack by hand for the event path: a writer that stores through a pointer into memory the caller
 * has bounded, and a cursor reader that never passes its end. Control messages use msgpack-c
 * through ipc/field.h instead. Format: github.com/msgpack/msgpack/blob/master/spec.md.
 */
#pragma once

#include <endian.h>

#include "base/util.h"

/* Most that a scalar and a header take. */
#define MP_SCALAR_MAX 9
#define MP_HEADER_MAX 5

static inline uint8_t *mp_put_be16(uint8_t *p, uint8_t tag, uint16_t v) {
        v = htobe16(v);
        *p = tag;
        memcpy(p + 1, &v, sizeof(v));
        return p + 3;
}
static inline uint8_t *mp_put_be32(uint8_t *p, uint8_t tag, uint32_t v) {
        v = htobe32(v);
        *p = tag;
        memcpy(p + 1, &v, sizeof(v));
        return p + 5;
}
static inline uint8_t *mp_put_be64(uint8_t *p, uint8_t tag, uint64_t v) {
        v = htobe64(v);
        *p = tag;
        memcpy(p + 1, &v, sizeof(v));
        return p + 9;
}

/* Each writer returns the byte behind what it wrote. */
static inline uint8_t *mp_put_uint(uint8_t *p, uint64_t v) {
        if (v < 0x80) {
                *p = (uint8_t)v;
                return p + 1;
        }
        if (v <= UINT8_MAX) {
                p[0] = 0xcc;
                p[1] = (uint8_t)v;
                return p + 2;
        }
        if (v <= UINT16_MAX)
                return mp_put_be16(p, 0xcd, (uint16_t)v);
        if (v <= UINT32_MAX)
                return mp_put_be32(p, 0xce, (uint32_t)v);
        return mp_put_be64(p, 0xcf, v);
}
static inline uint8_t *mp_put_int(uint8_t *p, int64_t v) {
        if (v >= 0)
                return mp_put_uint(p, (uint64_t)v);
        if (v >= -32) {
                *p = (uint8_t)v;
                return p + 1;
        }
        if (v >= INT8_MIN) {
                p[0] = 0xd0;
                p[1] = (uint8_t)v;
                return p + 2;
        }
        if (v >= INT16_MIN)
                return mp_put_be16(p, 0xd1, (uint16_t)v);
        if (v >= INT32_MIN)
                return mp_put_be32(p, 0xd2, (uint32_t)v);
        return mp_put_be64(p, 0xd3, (uint64_t)v);
}
static inline uint8_t *mp_put_bool(uint8_t *p, bool v) {
        *p = v ? 0xc3 : 0xc2;
        return p + 1;
}
static inline uint8_t *mp_put_nil(uint8_t *p) {
        *p = 0xc0;
        return p + 1;
}
static inline uint8_t *mp_put_double(uint8_t *p, double v) {
        uint64_t u;

        memcpy(&u, &v, sizeof(u));
        return mp_put_be64(p, 0xcb, u);
}
static inline uint8_t *mp_put_str_header(uint8_t *p, uint32_t n) {
        if (n < 32) {
                *p = (uint8_t)(0xa0 | n);
                return p + 1;
        }
        if (n <= UINT8_MAX) {
                p[0] = 0xd9;
                p[1] = (uint8_t)n;
                return p + 2;
        }
        if (n <= UINT16_MAX)
                return mp_put_be16(p, 0xda, (uint16_t)n);
        return mp_put_be32(p, 0xdb, n);
}
static inline uint8_t *mp_put_str(uint8_t *p, const void *s, uint32_t n) {
        p = mp_put_str_header(p, n);
        memcpy(p, s, n);
        return p + n;
}
static inline uint8_t *mp_put_bin_header(uint8_t *p, uint32_t n) {
        if (n <= UINT8_MAX) {
                p[0] = 0xc4;
                p[1] = (uint8_t)n;
                return p + 2;
        }
        if (n <= UINT16_MAX)
                return mp_put_be16(p, 0xc5, (uint16_t)n);
        return mp_put_be32(p, 0xc6, n);
}
static inline uint8_t *mp_put_bin(uint8_t *p, const void *s, uint32_t n) {
        p = mp_put_bin_header(p, n);
        memcpy(p, s, n);
        return p + n;
}
static inline uint8_t *mp_put_array(uint8_t *p, uint32_t n) {
        if (n < 16) {
                *p = (uint8_t)(0x90 | n);
                return p + 1;
        }
        if (n <= UINT16_MAX)
                return mp_put_be16(p, 0xdc, (uint16_t)n);
        return mp_put_be32(p, 0xdd, n);
}
static inline uint8_t *mp_put_map(uint8_t *p, uint32_t n) {
        if (n < 16) {
                *p = (uint8_t)(0x80 | n);
                return p + 1;
        }
        if (n <= UINT16_MAX)
                return mp_put_be16(p, 0xde, (uint16_t)n);
        return mp_put_be32(p, 0xdf, n);
}

enum mp_type {
        MP_NIL,
        MP_BOOL,
        MP_UINT,
        MP_INT, /* negative */
        MP_FLOAT,
        MP_STR,
        MP_BIN,
        MP_ARRAY,
        MP_MAP,
        MP_EXT,
};

/* One decoded token. str and bin point into the buffer; array and map carry their count only. */
struct mp_value {
        enum mp_type type;
        uint32_t n; /* str, bin, ext: bytes; array: elements; map: pairs */
        union {
                bool b;
                uint64_t u;
                int64_t i;
                double f;
                const uint8_t *data;
        };
};

struct mp_reader {
        const uint8_t *pos;
        const uint8_t *end;
};

static inline struct mp_reader mp_reader_of(struct bytes b) {
        return (struct mp_reader){ b.data, b.data + b.len };
}

/* Reads one token; 0, or -EBADMSG at the end or on a reserved byte. Defined in mp.c; the hot paths
 * inline their own. */
int mp_read(struct mp_reader *r, struct mp_value *ret);

/* Skips one whole object of any depth without recursion. */
int mp_skip(struct mp_reader *r);

/* Typed reads: -EBADMSG on another type or range. */
int mp_read_uint(struct mp_reader *r, uint64_t *ret);
int mp_read_str(struct mp_reader *r, struct bytes *ret);
int mp_read_bin(struct mp_reader *r, struct bytes *ret);
int mp_read_array(struct mp_reader *r, uint32_t *ret_n);
int mp_read_map(struct mp_reader *r, uint32_t *ret_n);
int mp_read_bool(struct mp_reader *r, bool *ret);

/* True when the str `b` equals text. */
static inline bool bytes_eq(struct bytes b, const char *text) {
        return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}
