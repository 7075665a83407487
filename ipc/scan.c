/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/scan.h"

#include <assert.h>

/* One token's header: where the object's own bytes end and how many objects follow inside it. */
struct token {
        uint64_t size;     /* header and, for scalars, strings, bins and exts, their bytes */
        uint64_t children; /* array elements; keys and values of a map */
        bool is_container;
};

/* Bytes of the header, by the first byte; 0 = reserved. */
static size_t header_size(uint8_t tag) {
        if (tag < 0xc0 || tag >= 0xe0)
                return 1;
        switch (tag) {
        case 0xc1:
                return 0;
        case 0xc4: /* bin 8 */
        case 0xd9: /* str 8 */
        case 0xc7: /* ext 8: the ext type byte counts as content */
                return 2;
        case 0xc5: /* bin 16 */
        case 0xda: /* str 16 */
        case 0xc8: /* ext 16 */
        case 0xdc: /* array 16 */
        case 0xde: /* map 16 */
                return 3;
        case 0xc6: /* bin 32 */
        case 0xdb: /* str 32 */
        case 0xc9: /* ext 32 */
        case 0xdd: /* array 32 */
        case 0xdf: /* map 32 */
                return 5;
        default: /* nil, bools, and scalars of fixed size */
                return 1;
        }
}

/* Content of the fixed-size formats 0xc0 to 0xd8, without the header byte. */
static size_t fixed_content(uint8_t tag) {
        switch (tag) {
        case 0xcc: /* uint 8 */
        case 0xd0: /* int 8 */
                return 1;
        case 0xcd: /* uint 16 */
        case 0xd1: /* int 16 */
        case 0xd4: /* fixext 1 */
                return 2;
        case 0xd5: /* fixext 2 */
                return 3;
        case 0xca: /* float 32 */
        case 0xce: /* uint 32 */
        case 0xd2: /* int 32 */
                return 4;
        case 0xd6: /* fixext 4 */
                return 5;
        case 0xcb: /* float 64 */
        case 0xcf: /* uint 64 */
        case 0xd3: /* int 64 */
                return 8;
        case 0xd7: /* fixext 8 */
                return 9;
        case 0xd8: /* fixext 16 */
                return 17;
        default:
                return 0;
        }
}

/* The big-endian number of n bytes at p. */
static uint32_t number_at(const uint8_t *p, size_t n) {
        uint32_t value = 0;

        for (size_t i = 0; i < n; i++)
                value = value << 8 | p[i];
        return value;
}

static int read_token(const uint8_t *p, size_t n, struct token *ret) {
        uint8_t tag = p[0];
        size_t header = header_size(tag);
        uint32_t count;

        if (header == 0)
                return -EBADMSG;
        if (n < header)
                return -EAGAIN;

        *ret = (struct token){ .size = header };
        if (tag < 0x80 || tag >= 0xe0) /* fixint */
                return 0;
        if (tag < 0xa0) { /* fixmap, fixarray */
                ret->children = tag < 0x90 ? 2 * (tag & 0x0fu) : tag & 0x0fu;
                ret->is_container = true;
                return 0;
        }
        if (tag < 0xc0) { /* fixstr */
                ret->size += tag & 0x1fu;
                return 0;
        }
        if (header == 1) {
                ret->size += fixed_content(tag);
                return 0;
        }
        count = number_at(p + 1, header - 1);
        if (tag >= 0xdc) {
                ret->children = tag >= 0xde ? 2 * (uint64_t)count : count;
                ret->is_container = true;
        } else {
                ret->size += (uint64_t)count + (tag >= 0xc7 && tag <= 0xc9);
        }
        return 0;
}

ssize_t msgpack_scan(struct bytes b, const struct scan_limits *limits) {
        uint64_t left[SCAN_DEPTH_MAX]; /* objects still to come, by level */
        uint64_t max = limits->size > 0 ? limits->size : SIZE_MAX / 2;
        uint64_t elements = 1, pos = 0;
        uint32_t depth = 0;

        assert(limits->depth <= SCAN_DEPTH_MAX);
        for (;;) {
                struct token token;
                int r;

                if (pos >= b.len)
                        return -EAGAIN;
                r = read_token(b.data + pos, b.len - pos, &token);
                if (r < 0)
                        return r;
                elements += token.children;
                if (elements > limits->elements)
                        return -E2BIG;
                if (token.is_container && depth == limits->depth)
                        return -E2BIG;
                /* No overflow: pos and max are below 2^63, a token below 2^33. */
                pos += token.size;
                if (pos > max)
                        return -EFBIG;
                if (pos > b.len)
                        return -EAGAIN;

                if (token.children > 0) {
                        left[depth++] = token.children;
                        continue;
                }
                while (depth > 0 && --left[depth - 1] == 0)
                        depth--;
                if (depth == 0)
                        return (ssize_t)pos;
        }
}

int msgpack_scan_one(struct bytes b, const struct scan_limits *limits) {
        ssize_t n = msgpack_scan(b, limits);

        if (n == -EAGAIN)
                return -EBADMSG;
        if (n < 0)
                return (int)n;
        return (size_t)n == b.len ? 0 : -EBADMSG;
}
