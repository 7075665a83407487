/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory at every allocation there is: each scenario runs with the first allocation failing,
 * then the second, and so on until it succeeds. A failure is reported as one, nothing is half done,
 * nothing leaks (run under ASan to see the last).
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/text.h"
#include "ipc/channel.h"
#include "ipc/mp.h"
#include "ipc/rpc.h"
#include "tests/lib/needs.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

/* Allocations until the one that fails; 0 = none fails. */
static unsigned int countdown;
static unsigned int n_failed;

static bool fails_now(void) {
        if (countdown == 0 || --countdown > 0)
                return false;
        n_failed++;
        errno = ENOMEM;
        return true;
}

void *__wrap_malloc(size_t n) {
        return fails_now() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size) {
        return fails_now() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n) {
        return fails_now() ? NULL : __real_realloc(p, n);
}
void *__wrap_reallocarray(void *p, size_t n, size_t size) {
        return fails_now() ? NULL : __real_reallocarray(p, n, size);
}

/* Runs until nothing fails any more; returns how many allocations there were to fail. */
static unsigned int fail_each(int (*scenario)(void)) {
        for (unsigned int n = 1;; n++) {
                int r;

                assert_true(n < 1000);
                countdown = n;
                n_failed = 0;
                r = scenario();
                countdown = 0;
                if (n_failed == 0) {
                        assert_int_equal(r, 0);
                        return n - 1;
                }
                /* Either the whole had to be given up, or it was of a kind that can be done
                 * without. */
                assert_true(r == -ENOMEM || r == 0);
        }
}

static const struct msg_fault fault = { .code = "invalid",
                                        .message = "why",
                                        .detail = "line\nline\n" };
static const struct msg_start start = { .image = "trace_open" };

static int encode_and_decode(void) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        struct msg_fault out;
        int r;

        r = record_encode(&message_types[MSG_FAULT].record, &fault, &b);
        if (r < 0) {
                assert_int_equal(b.len, 0);
                return r;
        }
        /* Decoding allocates nothing: it cannot fail here. */
        r = record_decode(&message_types[MSG_FAULT].record, b.data, b.len, RECORD_STRICT, &out,
                          NULL);
        assert_int_equal(r, 0);
        assert_string_equal(out.detail, fault.detail);
        return 0;
}

static void test_encode(void **state) {
        assert_true(fail_each(encode_and_decode) >= 1);
}

static int reject_unknown_key(void) {
        uint8_t frame[] = { 0x81, 0xa1, 'x', 0xc0 };
        struct error err = { 0 };
        struct msg_stop out;

        /* Naming the key needs a little memory; without it the answer is the same. */
        assert_int_equal(record_decode(&message_types[MSG_STOP].record, frame, sizeof(frame),
                                       RECORD_STRICT, &out, &err),
                         -EBADMSG);
        assert_memory_equal(error_text(&err), "unknown field", strlen("unknown field"));
        return 0;
}

static void test_unknown_key(void **state) {
        assert_true(fail_each(reject_unknown_key) >= 1);
}

static int put_request_reply_error(void) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        struct error err = { .code = ERROR_INVALID, .msg = "bad \xff byte" };
        struct req_instance_ref request = { .instance = "e" };
        struct rep_image reply = { .digest = "sha256:00", .image = "x:latest" };
        struct rpc_message message;
        size_t before;
        int r;

        r = rpc_put_request(&b, 1, METHOD_INSTANCE_STOP, &request);
        if (r < 0)
                return r;
        r = rpc_put_reply(&b, 2, METHOD_IMAGE_TAG, &reply);
        if (r < 0)
                return r;
        before = b.len;
        r = rpc_put_error(&b, 3, &err, "hint", "detail");
        if (r < 0) {
                assert_int_equal(b.len, before);
                return r;
        }
        /* Words may be missing, the message is whole. */
        for (uint32_t id = 1; id <= 3; id++) {
                assert_int_equal(rpc_next(b.data, b.len, 1 << 20, &message), 1);
                assert_int_equal(message.id, id);
                buf_consume(&b, message.size);
        }
        assert_int_equal(b.len, 0);
        return 0;
}

static void test_rpc(void **state) {
        assert_true(fail_each(put_request_reply_error) >= 4);
}

static int escape(void) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        cleanup_free char *text = NULL;

        for (unsigned int i = 0; i < 100; i++)
                text_append_escaped(&b, (const uint8_t *)"text \x1b[m \xff", 10);
        text_append_json(&b, (const uint8_t *)"text \x1b[m \xff", 10);
        buf_printf(&b, "%d", 1);
        if (b.failed) {
                assert_int_equal(buf_result(&b), -ENOMEM);
                assert_null(buf_steal_string(&b));
                return -ENOMEM;
        }
        text = buf_steal_string(&b);
        return text ? 0 : -ENOMEM;
}

static void test_buf_and_text(void **state) {
        assert_true(fail_each(escape) >= 3);
}

/* --- a channel --- */

static unsigned int n_received, n_closed;

static bool permit(void *owner, enum message_type type) {
        return true;
}

static int on_message(void *owner, struct received *received) {
        n_received++;
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        n_closed++;
}

static const struct channel_ops ops = { permit, on_message, on_closed };

static unsigned int count_fds(void) {
        unsigned int n = 0;

        for (int fd = 0; fd < 128; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static int open_pair(struct loop *loop, struct channel **ret_a, struct channel **ret_b) {
        int a, b, r;

        assert_int_equal(socket_pair(SOCK_SEQPACKET, &a, &b), 0);
        r = channel_new(loop, a, "a", &ops, NULL, 1 << 20, ret_a);
        if (r < 0) {
                close(b);
                return r;
        }
        return channel_new(loop, b, "b", &ops, NULL, 1 << 20, ret_b);
}

/* Sends until the queue is in use (each queued frame is an allocation), then receives all that was
 * accepted. */
static int converse(void) {
        cleanup(loop_freep) struct loop *loop = NULL;
        cleanup(channel_freep) struct channel *a = NULL, *b = NULL;
        unsigned int n_sent = 0;
        int fds[START_FDS], r, failure = 0;

        n_received = n_closed = 0;
        r = loop_new(&loop);
        if (r < 0)
                return r;
        r = open_pair(loop, &a, &b);
        if (r < 0)
                return r;
        for (unsigned int i = 0; i < START_FDS; i++)
                fds[i] = eventfd(0, EFD_CLOEXEC);
        for (unsigned int i = 0; i < 300; i++) {
                r = i % 50 == 49 ? channel_send(a, MSG_START, &start, fds, START_FDS)
                                 : channel_send(a, MSG_FAULT, &fault, NULL, 0);
                if (r < 0)
                        failure = r;
                else
                        n_sent++;
        }
        for (unsigned int i = 0; i < START_FDS; i++)
                close(fds[i]);
        for (unsigned int i = 0; i < 100 && n_received < n_sent; i++)
                assert_int_equal(loop_run_once(loop, 0), 0);
        /* What was accepted arrives, whatever failed in between, and the connection lives. */
        assert_int_equal(n_received, n_sent);
        assert_int_equal(n_closed, 0);
        return failure;
}

static void test_channel(void **state) {
        unsigned int before = count_fds();

        assert_true(fail_each(converse) > 100);
        assert_int_equal(count_fds(), before);
}

static int on_timer(struct loop_timer *timer) {
        return 0;
}

static int set_timers(void) {
        cleanup(loop_freep) struct loop *loop = NULL;
        struct loop_timer timers[40] = { 0 };
        int r;

        r = loop_new(&loop);
        if (r < 0)
                return r;
        for (unsigned int i = 0; i < ARRAY_SIZE(timers); i++) {
                r = loop_timer_set(loop, &timers[i], NSEC_PER_SEC, "t", on_timer);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void test_timers(void **state) {
        assert_true(fail_each(set_timers) >= 3);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),  cmocka_unit_test(test_unknown_key),
        cmocka_unit_test(test_rpc),     cmocka_unit_test(test_buf_and_text),
        cmocka_unit_test(test_channel), cmocka_unit_test(test_timers),
};
TEST_MAIN("property-no-memory", tests)
