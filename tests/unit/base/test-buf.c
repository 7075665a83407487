/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "tests/lib/needs.h"

static void test_append_and_grow(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);

        for (unsigned int i = 0; i < 5000; i++)
                assert_int_equal(buf_append(&b, &i, sizeof(i)), 0);
        assert_int_equal(b.len, 5000 * sizeof(unsigned int));
        for (unsigned int i = 0; i < 5000; i++)
                assert_memory_equal(b.data + i * sizeof(i), &i, sizeof(i));
        assert_int_equal(buf_result(&b), 0);
}

static void test_bound_is_sticky(void **state) {
        cleanup_buf struct buf b = BUF_INIT(10);

        assert_int_equal(buf_append(&b, "0123456789", 10), 0);
        assert_int_equal(buf_append(&b, "x", 1), -EFBIG);
        assert_true(b.failed);
        assert_int_equal(b.len, 10);
        assert_int_equal(buf_append(&b, "", 0), -EFBIG);
        assert_int_equal(buf_result(&b), -EFBIG);
        assert_null(buf_reserve(&b, 0));
        assert_null(buf_steal_string(&b));

        buf_reset(&b);
        assert_int_equal(buf_append(&b, "again", 5), 0);
        assert_int_equal(buf_result(&b), 0);
}

static void test_reserve_does_not_count(void **state) {
        cleanup_buf struct buf b = BUF_INIT(100);
        uint8_t *p = buf_reserve(&b, 100);

        assert_non_null(p);
        assert_int_equal(b.len, 0);
        memset(p, 'x', 100);
        b.len = 100;
        assert_null(buf_reserve(&b, 1));
        assert_int_equal(buf_result(&b), -EFBIG);
}

static void test_no_room_at_all(void **state) {
        cleanup_buf struct buf b = BUF_INIT(0);

        assert_int_equal(buf_append(&b, "", 0), 0);
        assert_int_equal(buf_append(&b, "x", 1), -EFBIG);
}

static void test_huge_request_does_not_overflow(void **state) {
        cleanup_buf struct buf b = BUF_INIT(100);

        buf_puts(&b, "abc");
        assert_null(buf_reserve(&b, SIZE_MAX));
        assert_int_equal(buf_result(&b), -EFBIG);
}

static void test_printf(void **state) {
        cleanup_buf struct buf b = BUF_INIT(11);
        cleanup_free char *text = NULL;

        assert_int_equal(buf_printf(&b, "%s-%d", "ab", 12), 0);
        /* Exactly to the bound: the NUL of vsnprintf must not need room. */
        assert_int_equal(buf_printf(&b, "%06d", 345678), 0);
        assert_int_equal(b.len, 11);
        text = buf_steal_string(&b);
        assert_string_equal(text, "ab-12345678");
        assert_int_equal(b.len, 0);
        assert_int_equal(buf_printf(&b, "%s", "twelve bytes"), -EFBIG);
}

static void test_consume_is_a_queue(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1000);
        uint32_t in = 0, out = 0;

        /* Far more goes through than fits at once: the gap has to be used again. */
        for (unsigned int round = 0; round < 2000; round++) {
                while (b.len + 2 * sizeof(in) <= 1000 && in - out < 200) {
                        assert_int_equal(buf_append(&b, &in, sizeof(in)), 0);
                        in++;
                }
                for (unsigned int i = 0; i < 1 + round % 90; i++) {
                        assert_memory_equal(b.data, &out, sizeof(out));
                        buf_consume(&b, sizeof(out));
                        out++;
                }
        }
        assert_int_equal(b.len, (in - out) * sizeof(in));
        assert_true(b.cap + b.gap <= 1000);
        buf_consume(&b, b.len);
        assert_int_equal(b.gap, 0);
}

static void test_steal_after_consume(void **state) {
        cleanup_buf struct buf b = BUF_INIT(100);
        cleanup_free char *text = NULL;

        buf_puts(&b, "drop this, keep that");
        buf_consume(&b, strlen("drop this, "));
        text = buf_steal_string(&b);
        assert_string_equal(text, "keep that");
        assert_null(b.data);
}

static void test_steal_empty(void **state) {
        cleanup_buf struct buf b = BUF_INIT(100);
        cleanup_free char *text = buf_steal_string(&b);

        assert_string_equal(text, "");
}

static void test_done_is_idempotent(void **state) {
        struct buf b = BUF_INIT(100);

        buf_puts(&b, "abcdef");
        buf_consume(&b, 3);
        buf_done(&b);
        buf_done(&b);
        assert_null(b.data);
        assert_int_equal(buf_puts(&b, "usable"), 0);
        buf_done(&b);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_grow),
        cmocka_unit_test(test_bound_is_sticky),
        cmocka_unit_test(test_reserve_does_not_count),
        cmocka_unit_test(test_no_room_at_all),
        cmocka_unit_test(test_huge_request_does_not_overflow),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_consume_is_a_queue),
        cmocka_unit_test(test_steal_after_consume),
        cmocka_unit_test(test_steal_empty),
        cmocka_unit_test(test_done_is_idempotent),
};
TEST_MAIN("base-buf", tests)
