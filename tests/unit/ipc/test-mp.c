/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/mp.h"

#include "ipc/scan.h"
#include "tests/lib/needs.h"

static const uint64_t edges[] = {
        0,         1,          0x7f,           0x80,        0xff,        0x100,
        0xffff,    0x10000,    0x7fffffff,     0x80000000u, 0xffffffffu, 0x100000000u,
        INT64_MAX, 1ull << 63, UINT64_MAX - 1, UINT64_MAX,
};

/* Reads what was written between start and end as one token and nothing behind it. */
static struct mp_value read_back(const uint8_t *start, const uint8_t *end) {
        struct mp_reader r = { start, end };
        struct mp_value value;

        assert_int_equal(mp_read(&r, &value), 0);
        assert_ptr_equal(r.pos, end);
        return value;
}

static void test_uint(void **state) {
        for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
                uint8_t out[MP_SCALAR_MAX];
                uint8_t *end = mp_put_uint(out, edges[i]);
                struct mp_reader r = { out, end };
                struct mp_value value = read_back(out, end);
                uint64_t number;

                assert_int_equal(value.type, MP_UINT);
                assert_true(value.u == edges[i]);
                assert_int_equal(mp_read_uint(&r, &number), 0);
                assert_true(number == edges[i]);
        }
}

static void test_int(void **state) {
        for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++)
                for (int sign = 0; sign < 2; sign++) {
                        int64_t want = sign ? (int64_t)(0 - edges[i]) : (int64_t)edges[i];
                        uint8_t out[MP_SCALAR_MAX];
                        struct mp_value value = read_back(out, mp_put_int(out, want));

                        if (want >= 0) {
                                assert_int_equal(value.type, MP_UINT);
                                assert_true(value.u == (uint64_t)want);
                        } else {
                                assert_int_equal(value.type, MP_INT);
                                assert_true(value.i == want);
                        }
                }
}

static void test_int_boundaries_are_short(void **state) {
        static const struct {
                int64_t value;
                ptrdiff_t size;
        } cases[] = {
                { -1, 1 },          { -32, 1 },       { -33, 2 },    { -128, 2 },
                { -129, 3 },        { INT16_MIN, 3 }, { -32769, 5 }, { INT32_MIN, 5 },
                { -2147483649, 9 }, { INT64_MIN, 9 }, { 127, 1 },    { 128, 2 },
        };
        uint8_t out[MP_SCALAR_MAX];

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(mp_put_int(out, cases[i].value) - out, cases[i].size);
}

static void test_small_scalars(void **state) {
        uint8_t out[MP_SCALAR_MAX] = { 0 };
        struct mp_value value;
        bool b = false;
        struct mp_reader r;

        assert_int_equal(read_back(out, mp_put_nil(out)).type, MP_NIL);
        r = (struct mp_reader){ out, mp_put_bool(out, true) };
        assert_int_equal(mp_read_bool(&r, &b), 0);
        assert_true(b);
        value = read_back(out, mp_put_bool(out, false));
        assert_int_equal(value.type, MP_BOOL);
        assert_false(value.b);
        value = read_back(out, mp_put_double(out, -1.5e300));
        assert_int_equal(value.type, MP_FLOAT);
        assert_true(value.f == -1.5e300);
}

static void test_float32(void **state) {
        static const uint8_t one[] = { 0xca, 0x3f, 0x80, 0x00, 0x00 };
        struct mp_value value = read_back(one, one + sizeof(one));

        assert_int_equal(value.type, MP_FLOAT);
        assert_true(value.f == 1.0);
}

static void test_signed_formats_with_positive_values(void **state) {
        static const uint8_t number[] = { 0xd1, 0x01, 0x00 };
        struct mp_value value = read_back(number, number + sizeof(number));

        assert_int_equal(value.type, MP_UINT);
        assert_int_equal(value.u, 256);
}

static void test_str_and_bin(void **state) {
        static const uint32_t sizes[] = { 0, 1, 31, 32, 255, 256, 65535, 65536 };
        static uint8_t text[65536], out[65536 + MP_HEADER_MAX];

        memset(text, 'x', sizeof(text));
        for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct mp_reader r = { out, mp_put_str(out, text, sizes[i]) };
                struct bytes b;

                assert_true(r.end - out <= (ptrdiff_t)sizes[i] + MP_HEADER_MAX);
                assert_int_equal(mp_read_str(&r, &b), 0);
                assert_ptr_equal(r.pos, r.end);
                assert_int_equal(b.len, sizes[i]);
                assert_memory_equal(b.data, text, b.len);

                r = (struct mp_reader){ out, mp_put_bin(out, text, sizes[i]) };
                assert_int_equal(mp_read_bin(&r, &b), 0);
                assert_ptr_equal(r.pos, r.end);
                assert_int_equal(b.len, sizes[i]);
        }
}

static void test_containers(void **state) {
        static const uint32_t sizes[] = { 0, 1, 15, 16, 65535, 65536, UINT32_MAX };

        for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
                uint8_t out[MP_HEADER_MAX];
                struct mp_reader r = { out, mp_put_array(out, sizes[i]) };
                uint32_t n;

                assert_int_equal(mp_read_array(&r, &n), 0);
                assert_int_equal(n, sizes[i]);
                r = (struct mp_reader){ out, mp_put_map(out, sizes[i]) };
                assert_int_equal(mp_read_map(&r, &n), 0);
                assert_int_equal(n, sizes[i]);
        }
}

static void test_ext(void **state) {
        static const uint8_t fix[] = { 0xd6, 0x05, 1, 2, 3, 4 }, sized[] = { 0xc7, 2, 0xff, 8, 9 };
        struct mp_value value = read_back(fix, fix + sizeof(fix));

        assert_int_equal(value.type, MP_EXT);
        assert_int_equal(value.n, 4);
        assert_ptr_equal(value.data, fix + 2);
        value = read_back(sized, sized + sizeof(sized));
        assert_int_equal(value.n, 2);
        assert_ptr_equal(value.data, sized + 3);
}

/* A wrong type or the end: -EBADMSG, and the cursor has not moved. */
static void test_typed_reads_refuse(void **state) {
        static const uint8_t nil[] = { 0xc0 }, cut[] = { 0xda, 0x00, 0x05, 'a' };
        struct mp_reader r = mp_reader_of(BYTES(nil, 1));
        struct mp_value value;
        struct bytes b;
        uint64_t u;
        uint32_t n;
        bool flag;

        assert_int_equal(mp_read_uint(&r, &u), -EBADMSG);
        assert_int_equal(mp_read_str(&r, &b), -EBADMSG);
        assert_int_equal(mp_read_bin(&r, &b), -EBADMSG);
        assert_int_equal(mp_read_array(&r, &n), -EBADMSG);
        assert_int_equal(mp_read_map(&r, &n), -EBADMSG);
        assert_int_equal(mp_read_bool(&r, &flag), -EBADMSG);
        assert_ptr_equal(r.pos, nil);
        r = mp_reader_of(BYTES(cut, sizeof(cut)));
        assert_int_equal(mp_read_str(&r, &b), -EBADMSG);
        assert_ptr_equal(r.pos, cut);
        r = mp_reader_of(BYTES("\xc1", 1));
        assert_int_equal(mp_read(&r, &value), -EBADMSG);
        r = mp_reader_of(BYTES("", 0));
        assert_int_equal(mp_read(&r, &value), -EBADMSG);
        assert_int_equal(mp_skip(&r), -EBADMSG);
}

static void test_skip(void **state) {
        static const uint8_t nested[] = {
                0x82, 0xa1, 'k', 0x93, 1, 2, 0x80, 0x01, 0xc4, 1, 9, 0x55
        };
        struct mp_reader r = mp_reader_of(BYTES(nested, sizeof(nested)));
        static uint8_t deep[100000];

        assert_int_equal(mp_skip(&r), 0);
        assert_ptr_equal(r.pos, nested + sizeof(nested) - 1);
        assert_int_equal(mp_skip(&r), 0);
        assert_ptr_equal(r.pos, r.end);

        /* Depth costs no stack, and a lie about the count ends at the end. */
        memset(deep, 0x91, sizeof(deep));
        r = mp_reader_of(BYTES(deep, sizeof(deep)));
        assert_int_equal(mp_skip(&r), -EBADMSG);
        assert_ptr_equal(r.pos, deep);
        deep[sizeof(deep) - 1] = 0xc0;
        assert_int_equal(mp_skip(&r), 0);
        r = mp_reader_of(BYTES("\xdf\xff\xff\xff\xff\x01", 6));
        assert_int_equal(mp_skip(&r), -EBADMSG);
}

/* All 256 first bytes, followed by zeros: the cursor reader and the scanner agree on sizes. */
static void test_agrees_with_the_scanner(void **state) {
        static const struct scan_limits limits = { .depth = 2, .elements = UINT32_MAX };

        for (unsigned int tag = 0; tag < 256; tag++) {
                uint8_t data[64] = { (uint8_t)tag };
                struct mp_reader r = mp_reader_of(BYTES(data, sizeof(data)));
                ssize_t n = msgpack_scan(BYTES(data, sizeof(data)), &limits);

                if (n < 0) {
                        assert_int_equal(mp_skip(&r), -EBADMSG);
                } else {
                        assert_int_equal(mp_skip(&r), 0);
                        assert_int_equal(r.pos - data, n);
                }
        }
}

static void test_bytes_eq(void **state) {
        assert_true(bytes_eq(BYTES("abc", 3), "abc"));
        assert_false(bytes_eq(BYTES("abc", 2), "abc"));
        assert_false(bytes_eq(BYTES("abd", 3), "abc"));
        assert_true(bytes_eq(BYTES("", 0), ""));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uint),
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_int_boundaries_are_short),
        cmocka_unit_test(test_small_scalars),
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_signed_formats_with_positive_values),
        cmocka_unit_test(test_str_and_bin),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_ext),
        cmocka_unit_test(test_typed_reads_refuse),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_agrees_with_the_scanner),
        cmocka_unit_test(test_bytes_eq),
};
TEST_MAIN("ipc-mp", tests)
