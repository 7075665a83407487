/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/rpc.h"

#include "base/text.h"
#include "gadget/event-ring.h"
#include "ipc/mp.h"
#include "tests/lib/needs.h"

#define SIZE 4096

static void test_request(void **state) {
        cleanup_buf struct buf b = BUF_INIT(SIZE);
        struct req_instance_attach in = { .instance = "e", .tail = 5 }, out;
        struct rpc_message message;

        assert_int_equal(rpc_put_request(&b, UINT32_MAX, METHOD_INSTANCE_ATTACH, &in), 0);
        assert_int_equal(rpc_put_request(&b, 2, METHOD_INSTANCE_LIST, NULL), 0);

        assert_int_equal(rpc_next(b.data, b.len, SIZE, &message), 1);
        assert_int_equal(message.kind, RPC_REQUEST);
        assert_int_equal(message.id, UINT32_MAX);
        assert_int_equal(method_from_name(message.method), METHOD_INSTANCE_ATTACH);
        assert_int_equal(record_decode(&methods[METHOD_INSTANCE_ATTACH].request,
                                       (uint8_t *)message.params.data, message.params.len,
                                       RECORD_STRICT, &out, NULL),
                         0);
        assert_string_equal(out.instance, "e");
        assert_int_equal(out.tail, 5);

        buf_consume(&b, message.size);
        assert_int_equal(rpc_next(b.data, b.len, SIZE, &message), 1);
        assert_int_equal(message.id, 2);
        assert_int_equal(message.size, b.len);
        assert_int_equal(message.params.len, 1);
}

static void test_reply(void **state) {
        cleanup_buf struct buf b = BUF_INIT(SIZE);
        struct rep_instance_run in = { .id = "0123", .name = "n" }, out;
        struct rpc_message message;

        assert_int_equal(rpc_put_reply(&b, 7, METHOD_INSTANCE_RUN, &in), 0);
        assert_int_equal(rpc_next(b.data, b.len, SIZE, &message), 1);
        assert_int_equal(message.kind, RPC_RESPONSE);
        assert_int_equal(message.id, 7);
        assert_int_equal(message.error.len, 0);
        assert_int_equal(record_decode(&methods[METHOD_INSTANCE_RUN].reply,
                                       (uint8_t *)message.params.data, message.params.len,
                                       RECORD_LENIENT, &out, NULL),
                         0);
        assert_string_equal(out.id, "0123");
}

static void test_reply_that_lacks_something_leaves_nothing(void **state) {
        cleanup_buf struct buf b = BUF_INIT(SIZE);

        buf_puts(&b, "before");
        assert_int_equal(rpc_put_reply(&b, 7, METHOD_INSTANCE_RUN, &(struct rep_instance_run){ 0 }),
                         -EINVAL);
        assert_int_equal(b.len, 6);
}

static void get_error(struct buf *b, struct rpc_error *ret) {
        struct rpc_message message;

        assert_int_equal(rpc_next(b->data, b->len, 1 << 20, &message), 1);
        assert_int_equal(message.kind, RPC_RESPONSE);
        assert_int_equal(message.id, 9);
        assert_int_equal(message.params.len, 0);
        assert_int_equal(record_decode(&rpc_error_record, (uint8_t *)message.error.data,
                                       message.error.len, RECORD_STRICT, ret, NULL),
                         0);
}

static void test_error(void **state) {
        cleanup_buf struct buf b = BUF_INIT(SIZE);
        struct error err = { 0 };
        struct rpc_error got;

        error_set(&err, ERROR_NOT_FOUND, -ENOENT, "no image '%s'", "x");
        assert_int_equal(rpc_put_error(&b, 9, &err, "pull it", "line 1\nline 2\n"), 0);
        get_error(&b, &got);
        assert_string_equal(got.code, "not-found");
        assert_string_equal(got.message, "no image 'x'");
        assert_string_equal(got.hint, "pull it");
        assert_string_equal(got.detail, "line 1\nline 2\n");
}

static void test_error_without_words(void **state) {
        cleanup_buf struct buf b = BUF_INIT(SIZE);
        struct rpc_error got;

        assert_int_equal(rpc_put_error(&b, 9, &(struct error){ .errnum = EIO }, NULL, NULL), 0);
        get_error(&b, &got);
        assert_string_equal(got.code, "internal");
        assert_string_equal(got.message, "Input/output error");
        assert_null(got.hint);
        assert_null(got.detail);
}

/* A message cut in the middle of a character, and a detail that is longer than any client should be
 * sent. */
static void test_error_with_foreign_bytes(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        char detail[3 * LIMIT_ERROR_DETAIL_MAX];
        struct error err = { .code = ERROR_INVALID };
        struct rpc_error got;

        memset(err.msg, 'm', sizeof(err.msg) - 1);
        memcpy(err.msg + sizeof(err.msg) - 3, "\xe2\x82", 2);
        for (size_t i = 0; i < sizeof(detail) - 3; i += 3)
                memcpy(detail + i, "\xe2\x82\xac", 3);
        memcpy(detail + sizeof(detail) - 6, "end\0\0\0", 6);
        assert_int_equal(rpc_put_error(&b, 9, &err, "h\xff", detail), 0);
        get_error(&b, &got);
        assert_string_equal(got.message + strlen(got.message) - 9, "m\\xe2\\x82");
        assert_string_equal(got.hint, "h\\xff");
        assert_in_range(strlen(got.detail), LIMIT_ERROR_DETAIL_MAX - 3, LIMIT_ERROR_DETAIL_MAX);
        assert_string_equal(got.detail + strlen(got.detail) - 6, "\xe2\x82\xac"
                                                                 "end");
}

static void test_events(void **state) {
        cleanup_buf struct buf b = BUF_INIT(SIZE);
        static const uint8_t rows[] = { 0x91, 0x01, 0x91, 0x02 };
        static const uint64_t want[] = { 1, 2, EVENT_FRAME_SNAPSHOT, 1000, UINT64_MAX };
        struct rpc_message message;
        struct mp_reader r;
        struct bytes bin;
        uint32_t n;

        assert_int_equal(rpc_put_events_header(&b, 1, 2, EVENT_FRAME_SNAPSHOT, 1000, UINT64_MAX,
                                               sizeof(rows)),
                         0);
        assert_int_equal(rpc_next(b.data, b.len, SIZE, &message), 0);
        assert_int_equal(buf_append(&b, rows, sizeof(rows)), 0);
        assert_int_equal(rpc_next(b.data, b.len, SIZE, &message), 1);
        assert_int_equal(message.kind, RPC_NOTIFICATION);
        assert_true(bytes_eq(message.method, notification_names[NOTIFY_EVENTS]));
        r = mp_reader_of(message.params);
        assert_int_equal(mp_read_array(&r, &n), 0);
        assert_int_equal(n, 6);
        for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
                uint64_t number;

                assert_int_equal(mp_read_uint(&r, &number), 0);
                assert_true(number == want[i]);
        }
        assert_int_equal(mp_read_bin(&r, &bin), 0);
        assert_int_equal(bin.len, sizeof(rows));
        assert_memory_equal(bin.data, rows, sizeof(rows));
}

static int next(const char *data, size_t n, size_t max) {
        struct rpc_message message;
        uint8_t copy[64];

        memcpy(copy, data, n);
        return rpc_next(copy, n, max, &message);
}
#define NEXT(_literal) next(_literal, sizeof(_literal) - 1, SIZE)

static void test_what_is_no_message(void **state) {
        static const char good[] = "\x94\x00\x01\xa5hello\x80";

        assert_int_equal(NEXT(good), 1);
        for (size_t n = 0; n < sizeof(good) - 1; n++)
                assert_int_equal(next(good, n, SIZE), 0);

        assert_int_equal(NEXT("GET / HTTP/1.1\r\n"), -EBADMSG);
        assert_int_equal(NEXT("\xdd\x08\x00\x00\x00"), -EBADMSG);
        assert_int_equal(NEXT("\x92\x00\x01"), -EBADMSG);
        assert_int_equal(NEXT("\x80"), -EBADMSG);
        assert_int_equal(NEXT("\x94\x03\x01\xa5hello\x80"), -EBADMSG); /* kind 3 */
        assert_int_equal(NEXT("\x93\x00\x01\xa5hello"), -EBADMSG);     /* request of three */
        assert_int_equal(NEXT("\x94\x02\xa1x\x90\x90"), -EBADMSG);     /* notification of four */
        assert_int_equal(NEXT("\x94\x00\xff\xa5hello\x80"), -EBADMSG); /* negative id */
        assert_int_equal(NEXT("\x94\x00\xcf\0\0\0\1\0\0\0\0\xa5hello\x80"), -EBADMSG);
        assert_int_equal(NEXT("\x94\x00\x01\x05\x80"), -EBADMSG);      /* method no str */
        assert_int_equal(NEXT("\x94\x00\x01\xa5hello\x90"), -EBADMSG); /* params no map */
        assert_int_equal(NEXT("\x94\x00\x01\xa5hello\xc0"), -EBADMSG);
        assert_int_equal(NEXT("\x93\x02\xa1x\x80"), -EBADMSG); /* params no array */
        assert_int_equal(NEXT("\x93\x02\xa1x\xc0"), -EBADMSG);
        assert_int_equal(NEXT("\x94\x01\x01\xc0\xc0"), -EBADMSG);  /* neither error nor result */
        assert_int_equal(NEXT("\x94\x01\x01\x80\x80"), -EBADMSG);  /* both */
        assert_int_equal(NEXT("\x94\x01\x01\xa1x\xc0"), -EBADMSG); /* error no map */
        assert_int_equal(NEXT("\x94\x00\x01\xc1"), -EBADMSG);
        assert_int_equal(NEXT("\x94\x00\xdd\x08\x00\x00\x00"), -E2BIG);
        assert_int_equal(
                NEXT("\x94\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"),
                -E2BIG);
}

static void test_size_bound(void **state) {
        /* Announced size alone is enough. */
        assert_int_equal(next("\x94\x00\x01\xdb\x00\x00\x10\x00", 8, SIZE), -EFBIG);
        assert_int_equal(next("\x94\x00\x01\xdb\x00\x00\x0f\x00", 8, SIZE), 0);
        assert_int_equal(next("\x94\x00\x01\xa5hello\x80", 10, 10), 1);
        assert_int_equal(next("\x94\x00\x01\xa5hello\x80", 10, 9), -EFBIG);
        assert_int_equal(next("\x94\x00\x01\xa5hell", 8, 8), -EFBIG);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_reply_that_lacks_something_leaves_nothing),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_error_without_words),
        cmocka_unit_test(test_error_with_foreign_bytes),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_size_bound),
};
TEST_MAIN("ipc-rpc", tests)
