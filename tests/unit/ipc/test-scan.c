/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/scan.h"

#include "tests/lib/needs.h"

#define B(_literal) BYTES(_literal, sizeof(_literal) - 1)

static const struct scan_limits limits = { .depth = 4, .elements = 100 };

static void test_sizes_of_every_format(void **state) {
        static const struct {
                struct bytes b;
                ssize_t want;
        } cases[] = {
                { { (const uint8_t *)"\x00", 1 }, 1 },
                { { (const uint8_t *)"\x7f", 1 }, 1 },
                { { (const uint8_t *)"\xe0", 1 }, 1 },
                { { (const uint8_t *)"\xff", 1 }, 1 },
                { { (const uint8_t *)"\xc0", 1 }, 1 },
                { { (const uint8_t *)"\xc1", 1 }, -EBADMSG },
                { { (const uint8_t *)"\xc2", 1 }, 1 },
                { { (const uint8_t *)"\xc3", 1 }, 1 },
                { { (const uint8_t *)"\xca....", 5 }, 5 },
                { { (const uint8_t *)"\xcb........", 9 }, 9 },
                { { (const uint8_t *)"\xcc.", 2 }, 2 },
                { { (const uint8_t *)"\xcd..", 3 }, 3 },
                { { (const uint8_t *)"\xce....", 5 }, 5 },
                { { (const uint8_t *)"\xcf........", 9 }, 9 },
                { { (const uint8_t *)"\xd0.", 2 }, 2 },
                { { (const uint8_t *)"\xd1..", 3 }, 3 },
                { { (const uint8_t *)"\xd2....", 5 }, 5 },
                { { (const uint8_t *)"\xd3........", 9 }, 9 },
                { { (const uint8_t *)"\xd4..", 3 }, 3 },
                { { (const uint8_t *)"\xd5...", 4 }, 4 },
                { { (const uint8_t *)"\xd6.....", 6 }, 6 },
                { { (const uint8_t *)"\xd7.........", 10 }, 10 },
                { { (const uint8_t *)"\xd8.................", 18 }, 18 },
                { { (const uint8_t *)"\xa0", 1 }, 1 },
                { { (const uint8_t *)"\xa3xyz", 4 }, 4 },
                { { (const uint8_t *)"\xc4\x02xy", 4 }, 4 },
                { { (const uint8_t *)"\xc5\x00\x02xy", 5 }, 5 },
                { { (const uint8_t *)"\xc6\x00\x00\x00\x02xy", 7 }, 7 },
                { { (const uint8_t *)"\xc7\x02txy", 5 }, 5 },
                { { (const uint8_t *)"\xc8\x00\x02txy", 6 }, 6 },
                { { (const uint8_t *)"\xc9\x00\x00\x00\x02txy", 8 }, 8 },
                { { (const uint8_t *)"\xd9\x02xy", 4 }, 4 },
                { { (const uint8_t *)"\xda\x00\x02xy", 5 }, 5 },
                { { (const uint8_t *)"\xdb\x00\x00\x00\x02xy", 7 }, 7 },
                { { (const uint8_t *)"\x90", 1 }, 1 },
                { { (const uint8_t *)"\x92\x01\x02", 3 }, 3 },
                { { (const uint8_t *)"\xdc\x00\x02\x01\x02", 5 }, 5 },
                { { (const uint8_t *)"\xdd\x00\x00\x00\x02\x01\x02", 7 }, 7 },
                { { (const uint8_t *)"\x80", 1 }, 1 },
                { { (const uint8_t *)"\x81\x01\x02", 3 }, 3 },
                { { (const uint8_t *)"\xde\x00\x01\x01\x02", 5 }, 5 },
                { { (const uint8_t *)"\xdf\x00\x00\x00\x01\x01\x02", 7 }, 7 },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
                struct bytes b = cases[i].b;

                assert_int_equal(msgpack_scan(b, &limits), cases[i].want);
                if (cases[i].want < 0)
                        continue;
                assert_int_equal(msgpack_scan_one(b, &limits), 0);
                /* Every shorter piece only needs more. */
                for (b.len = 0; b.len < cases[i].b.len; b.len++) {
                        assert_int_equal(msgpack_scan(b, &limits), -EAGAIN);
                        assert_int_equal(msgpack_scan_one(b, &limits), -EBADMSG);
                }
        }
}

static void test_stops_behind_the_first_object(void **state) {
        assert_int_equal(msgpack_scan(B("\x92\x01\x91\xa1x\xc1\xc1"), &limits), 5);
        assert_int_equal(msgpack_scan_one(B("\x01\x02"), &limits), -EBADMSG);
}

static void test_five_bytes_that_want_gigabytes(void **state) {
        assert_int_equal(msgpack_scan(B("\xdd\x08\x00\x00\x00"), &limits), -E2BIG);
        assert_int_equal(msgpack_scan(B("\xdd\xff\xff\xff\xff"), &limits), -E2BIG);
        assert_int_equal(msgpack_scan(B("\xdf\xff\xff\xff\xff"), &limits), -E2BIG);
        assert_int_equal(msgpack_scan(B("\xdc\xff\xff"), &limits), -E2BIG);
        assert_int_equal(msgpack_scan(B("\xdb\xff\xff\xff\xff"), &limits), -EAGAIN);
}

static void test_element_limit(void **state) {
        static const struct scan_limits ten = { .depth = 4, .elements = 10 };

        /* The array itself counts. */
        assert_int_equal(msgpack_scan(B("\x99\1\1\1\1\1\1\1\1\1"), &ten), 10);
        assert_int_equal(msgpack_scan(B("\x9a\1\1\1\1\1\1\1\1\1\1"), &ten), -E2BIG);
        assert_int_equal(msgpack_scan(B("\x84\1\1\1\1\1\1\1\1"), &ten), 9);
        assert_int_equal(msgpack_scan(B("\x85\1\1\1\1\1\1\1\1\1\1"), &ten), -E2BIG);
        /* Also over several arrays. */
        assert_int_equal(msgpack_scan(B("\x92\x94\1\1\1\1\x94\1\1\1\1"), &ten), -E2BIG);
}

static void test_depth_limit(void **state) {
        assert_int_equal(msgpack_scan(B("\x91\x91\x91\x91\x01"), &limits), 5);
        assert_int_equal(msgpack_scan(B("\x91\x91\x91\x90"), &limits), 4);
        assert_int_equal(msgpack_scan(B("\x91\x91\x91\x91\x90"), &limits), -E2BIG);
        assert_int_equal(msgpack_scan(B("\x91\x81\x01\x91\x91\x80"), &limits), -E2BIG);
        /* Depth is what is open, not what has been. */
        assert_int_equal(msgpack_scan(B("\x92\x91\x91\x90\x91\x91\x90"), &limits), 7);
}

static void test_deepest_allowed(void **state) {
        static const struct scan_limits deep = { .depth = SCAN_DEPTH_MAX, .elements = 1000 };
        uint8_t nest[SCAN_DEPTH_MAX + 1];

        memset(nest, 0x91, sizeof(nest));
        nest[SCAN_DEPTH_MAX] = 0x01;
        assert_int_equal(msgpack_scan(BYTES(nest, sizeof(nest)), &deep), sizeof(nest));
        nest[SCAN_DEPTH_MAX] = 0x90;
        assert_int_equal(msgpack_scan(BYTES(nest, sizeof(nest)), &deep), -E2BIG);
}

static void test_size_limit_needs_no_data(void **state) {
        static const struct scan_limits small = { .depth = 4, .elements = 10, .size = 20 };

        assert_int_equal(msgpack_scan(B("\xc4\x12"), &small), -EAGAIN);
        assert_int_equal(msgpack_scan(B("\xc4\x13"), &small), -EFBIG);
        assert_int_equal(msgpack_scan(B("\xdb\xff\xff\xff\xff"), &small), -EFBIG);
        assert_int_equal(msgpack_scan(B("\x92\x01\xc4\x11"), &small), -EFBIG);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_of_every_format),
        cmocka_unit_test(test_stops_behind_the_first_object),
        cmocka_unit_test(test_five_bytes_that_want_gigabytes),
        cmocka_unit_test(test_element_limit),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_deepest_allowed),
        cmocka_unit_test(test_size_limit_needs_no_data),
};
TEST_MAIN("ipc-scan", tests)
