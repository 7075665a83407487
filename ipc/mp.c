/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/mp.h"

/* Moves over n bytes and returns where they begin; NULL when they are not there. */
static inline const uint8_t *take(struct mp_reader *r, size_t n) {
        const uint8_t *p = r->pos;

        if ((size_t)(r->end - p) < n)
                return NULL;
        r->pos = p + n;
        return p;
}

/* The big-endian unsigned number of `n` bytes (1, 2, 4, 8) at the cursor. */
static inline int take_number(struct mp_reader *r, size_t n, uint64_t *ret) {
        const uint8_t *p = take(r, n);
        uint16_t v16;
        uint32_t v32;
        uint64_t v64;

        if (!p)
                return -EBADMSG;
        switch (n) {
        case 1:
                *ret = *p;
                return 0;
        case 2:
                memcpy(&v16, p, sizeof(v16));
                *ret = be16toh(v16);
                return 0;
        case 4:
                memcpy(&v32, p, sizeof(v32));
                *ret = be32toh(v32);
                return 0;
        default:
                memcpy(&v64, p, sizeof(v64));
                *ret = be64toh(v64);
                return 0;
        }
}

static inline int set_uint(struct mp_value *ret, uint64_t value) {
        *ret = (struct mp_value){ .type = MP_UINT, .u = value };
        return 0;
}

/* A number in a signed format: negative is MP_INT, else it is as good as an unsigned one. */
static inline int set_int(struct mp_value *ret, int64_t value) {
        if (value >= 0)
                return set_uint(ret, (uint64_t)value);
        *ret = (struct mp_value){ .type = MP_INT, .i = value };
        return 0;
}

static inline int set_bytes(struct mp_reader *r, enum mp_type type, uint64_t n,
                            struct mp_value *ret) {
        const uint8_t *p;

        if (type == MP_EXT && !take(r, 1))
                return -EBADMSG;
        p = take(r, n);
        if (!p)
                return -EBADMSG;
        *ret = (struct mp_value){ .type = type, .n = (uint32_t)n, .data = p };
        return 0;
}

static inline int set_container(struct mp_value *ret, enum mp_type type, uint64_t n) {
        *ret = (struct mp_value){ .type = type, .n = (uint32_t)n };
        return 0;
}

/* Formats whose length or value of `width` bytes follows the first byte. */
static int read_sized(struct mp_reader *r, uint8_t tag, size_t width, struct mp_value *ret) {
        uint64_t number;
        float f;
        int err;

        err = take_number(r, width, &number);
        if (err < 0)
                return err;
        switch (tag) {
        case 0xc4 ... 0xc6:
                return set_bytes(r, MP_BIN, number, ret);
        case 0xc7 ... 0xc9:
                return set_bytes(r, MP_EXT, number, ret);
        case 0xca: {
                uint32_t bits = (uint32_t)number;

                memcpy(&f, &bits, sizeof(f));
                *ret = (struct mp_value){ .type = MP_FLOAT, .f = f };
                return 0;
        }
        case 0xcb:
                *ret = (struct mp_value){ .type = MP_FLOAT };
                memcpy(&ret->f, &number, sizeof(ret->f));
                return 0;
        case 0xd0:
                return set_int(ret, (int8_t)number);
        case 0xd1:
                return set_int(ret, (int16_t)number);
        case 0xd2:
                return set_int(ret, (int32_t)number);
        case 0xd3:
                return set_int(ret, (int64_t)number);
        case 0xd9 ... 0xdb:
                return set_bytes(r, MP_STR, number, ret);
        case 0xdc ... 0xdd:
                return set_container(ret, MP_ARRAY, number);
        case 0xde ... 0xdf:
                return set_container(ret, MP_MAP, number);
        default: /* 0xcc ... 0xcf */
                return set_uint(ret, number);
        }
}

/* Bytes of the number behind the first byte, for 0xc4 to 0xdf without the fixexts. */
static const uint8_t widths[] = {
        [0xc4 - 0xc0] = 1, [0xc5 - 0xc0] = 2, [0xc6 - 0xc0] = 4, [0xc7 - 0xc0] = 1,
        [0xc8 - 0xc0] = 2, [0xc9 - 0xc0] = 4, [0xca - 0xc0] = 4, [0xcb - 0xc0] = 8,
        [0xcc - 0xc0] = 1, [0xcd - 0xc0] = 2, [0xce - 0xc0] = 4, [0xcf - 0xc0] = 8,
        [0xd0 - 0xc0] = 1, [0xd1 - 0xc0] = 2, [0xd2 - 0xc0] = 4, [0xd3 - 0xc0] = 8,
        [0xd9 - 0xc0] = 1, [0xda - 0xc0] = 2, [0xdb - 0xc0] = 4, [0xdc - 0xc0] = 2,
        [0xdd - 0xc0] = 4, [0xde - 0xc0] = 2, [0xdf - 0xc0] = 4,
};

static inline int read_token(struct mp_reader *r, struct mp_value *ret) {
        const uint8_t *p = take(r, 1);
        uint8_t tag;

        if (!p)
                return -EBADMSG;
        tag = *p;
        if (tag < 0x80)
                return set_uint(ret, tag);
        if (tag >= 0xe0)
                return set_int(ret, (int8_t)tag);
        if (tag < 0x90)
                return set_container(ret, MP_MAP, tag & 0x0f);
        if (tag < 0xa0)
                return set_container(ret, MP_ARRAY, tag & 0x0f);
        if (tag < 0xc0)
                return set_bytes(r, MP_STR, tag & 0x1f, ret);
        if (tag == 0xc0) {
                *ret = (struct mp_value){ .type = MP_NIL };
                return 0;
        }
        if (tag == 0xc1)
                return -EBADMSG;
        if (tag <= 0xc3) {
                *ret = (struct mp_value){ .type = MP_BOOL, .b = tag == 0xc3 };
                return 0;
        }
        if (tag >= 0xd4 && tag <= 0xd8)
                return set_bytes(r, MP_EXT, UINT64_C(1) << (tag - 0xd4), ret);
        return read_sized(r, tag, widths[tag - 0xc0], ret);
}

int mp_read(struct mp_reader *r, struct mp_value *ret) {
        const uint8_t *start = r->pos;
        int err = read_token(r, ret);

        if (err < 0)
                r->pos = start;
        return err;
}

int mp_skip(struct mp_reader *r) {
        const uint8_t *start = r->pos;
        uint64_t left = 1;

        /* Ends: every turn consumes a byte or fails, whatever the counts say. */
        while (left > 0) {
                struct mp_value value;

                if (mp_read(r, &value) < 0) {
                        r->pos = start;
                        return -EBADMSG;
                }
                left--;
                if (value.type == MP_ARRAY)
                        left += value.n;
                else if (value.type == MP_MAP)
                        left += 2 * (uint64_t)value.n;
        }
        return 0;
}

/* Reads a token that has to be of this type; the cursor stays on failure. */
static int read_type(struct mp_reader *r, enum mp_type type, struct mp_value *ret) {
        const uint8_t *start = r->pos;

        if (mp_read(r, ret) < 0)
                return -EBADMSG;
        if (ret->type != type) {
                r->pos = start;
                return -EBADMSG;
        }
        return 0;
}

int mp_read_uint(struct mp_reader *r, uint64_t *ret) {
        struct mp_value value;
        int err = read_type(r, MP_UINT, &value);

        if (err == 0)
                *ret = value.u;
        return err;
}

int mp_read_str(struct mp_reader *r, struct bytes *ret) {
        struct mp_value value;
        int err = read_type(r, MP_STR, &value);

        if (err == 0)
                *ret = BYTES(value.data, value.n);
        return err;
}

int mp_read_bin(struct mp_reader *r, struct bytes *ret) {
        struct mp_value value;
        int err = read_type(r, MP_BIN, &value);

        if (err == 0)
                *ret = BYTES(value.data, value.n);
        return err;
}

int mp_read_array(struct mp_reader *r, uint32_t *ret_n) {
        struct mp_value value;
        int err = read_type(r, MP_ARRAY, &value);

        if (err == 0)
                *ret_n = value.n;
        return err;
}

int mp_read_map(struct mp_reader *r, uint32_t *ret_n) {
        struct mp_value value;
        int err = read_type(r, MP_MAP, &value);

        if (err == 0)
                *ret_n = value.n;
        return err;
}

int mp_read_bool(struct mp_reader *r, bool *ret) {
        struct mp_value value;
        int err = read_type(r, MP_BOOL, &value);

        if (err == 0)
                *ret = value.b;
        return err;
}
