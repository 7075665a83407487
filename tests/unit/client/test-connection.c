/* SPDX-License-Identifier: Apache-2.0 */
#include "client/connection.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "client/render.h"
#include "gadget/api.h"
#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

/* The other end of a connection, scripted: what it will say lies in `script`, written all at once
 * or byte by byte. */
struct server {
        int fd;
        struct buf script;
        size_t step;      /* bytes a write; 0 = all */
        bool stays;       /* does not hang up at the end */
        int interrupt_fd; /* 0 = none */
        pthread_t thread;
};

static void *serve(void *userdata) {
        struct server *s = userdata;
        size_t at = 0;

        while (at < s->script.len) {
                size_t n = s->step ? MIN(s->step, s->script.len - at) : s->script.len - at;

                if (write_all(s->fd, s->script.data + at, n) < 0)
                        break;
                at += n;
        }
        if (!s->stays)
                shutdown(s->fd, SHUT_WR);
        return NULL;
}

static void put_hello(struct server *s) {
        struct rep_hello hello = { .protocol = GADGET_PROTOCOL,
                                   .server = "fake",
                                   .version = "9.9" };

        s->script = BUF_INIT(64u << 20);
        assert_int_equal(rpc_put_reply(&s->script, 0, METHOD_HELLO, &hello), 0);
}

static void put_events(struct server *s, uint32_t source, uint64_t seq, const char *rows,
                       size_t n) {
        assert_int_equal(rpc_put_events_header(&s->script, 5, source, 3, seq, 7, (uint32_t)n), 0);
        buf_append(&s->script, rows, n);
}

static int start(struct server *s, struct connection **ret, struct error *err) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        s->fd = pair[1];
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
        *ret = NULL;
        return connection_new(pair[0], "test", s->interrupt_fd ? s->interrupt_fd : -1, ret, err);
}

static void finish(struct server *s, struct connection *c) {
        connection_free(c);
        pthread_join(s->thread, NULL);
        close(s->fd);
        buf_done(&s->script);
}

/* Polls as a program would. */
static int next(struct connection *c, struct incoming *in, struct error *err) {
        int r;

        while ((r = connection_next(c, in, err)) == 0) {
                struct pollfd p = { .fd = connection_fd(c), .events = POLLIN };

                assert_int_equal(poll(&p, 1, 10000), 1);
        }
        return r;
}

static void test_hello(void **state) {
        struct server s = { .stays = true };
        struct connection *c;
        struct error err = { 0 };

        put_hello(&s);
        assert_int_equal(start(&s, &c, &err), 0);
        assert_string_equal(connection_server_version(c), "9.9");
        assert_string_equal(connection_hint(c), "");
        finish(&s, c);
}

static void test_wrong_protocol(void **state) {
        struct rep_hello hello = { .protocol = 99, .server = "fake", .version = "9.9" };
        struct server s = { .script = BUF_INIT(4096) };
        struct connection *c;
        struct error err = { 0 };

        rpc_put_reply(&s.script, 0, METHOD_HELLO, &hello);
        assert_int_equal(start(&s, &c, &err), -EPROTONOSUPPORT);
        assert_non_null(strstr(err.msg, "protocol 99"));
        finish(&s, c);
}

static void test_no_server(void **state) {
        struct connection *c = NULL;
        struct error err = { 0 };
        char path[200];

        assert_int_equal(connection_open("/nonexistent/gadgetd.sock", "test", -1, &c, &err),
                         -ENOENT);
        assert_non_null(strstr(err.msg, "/nonexistent/gadgetd.sock"));
        memset(path, 'a', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(connection_open(path, "test", -1, &c, &err), -ENAMETOOLONG);
        assert_null(c);
}

static void test_garbage(void **state) {
        static const uint8_t bombs[][5] = { { 0xdd, 0x08, 0, 0, 0 },
                                            { 0xc1 },
                                            { 0x93, 0x01, 0xc0, 0xc0, 0xc0 },
                                            { 'H', 'T', 'T', 'P' } };

        for (size_t i = 0; i < ARRAY_SIZE(bombs); i++) {
                struct server s = { .script = BUF_INIT(4096) };
                struct connection *c;
                struct error err = { 0 };
                int r;

                buf_append(&s.script, bombs[i], sizeof(bombs[i]));
                r = start(&s, &c, &err);
                assert_true(r == -EBADMSG || r == -ECONNRESET);
                assert_int_equal(err.code, ERROR_UNAVAILABLE);
                finish(&s, c);
        }
}

static void test_hangs_up(void **state) {
        struct server s = { 0 };
        struct connection *c;
        struct error err = { 0 };
        struct rep_list reply;

        put_hello(&s);
        assert_int_equal(start(&s, &c, &err), 0);
        assert_int_equal(connection_call(c, METHOD_INSTANCE_LIST, NULL, &reply, &err), -ECONNRESET);
        assert_string_equal(err.msg, "gadgetd closed the connection");
        finish(&s, c);
}

static void test_error_answer(void **state) {
        struct req_image_inspect request = { .image = "x" };
        struct server s = { .stays = true };
        struct rep_object reply;
        struct connection *c;
        struct error err = { 0 }, why = { 0 };

        put_hello(&s);
        error_set(&why, ERROR_DENIED, -EPERM, "you may not");
        rpc_put_error(&s.script, 1, &why, "ask root", "line one\nline two");
        rpc_put_error(&s.script, 2, &why, NULL, NULL);
        assert_int_equal(start(&s, &c, &err), 0);
        assert_int_equal(connection_call(c, METHOD_IMAGE_INSPECT, &request, &reply, &err),
                         -EREMOTEIO);
        assert_int_equal(err.code, ERROR_DENIED);
        assert_string_equal(err.msg, "you may not");
        assert_string_equal(connection_hint(c), "ask root");
        assert_string_equal(connection_detail(c), "line one\nline two");
        assert_int_equal(connection_call(c, METHOD_IMAGE_INSPECT, &request, &reply, &err),
                         -EREMOTEIO);
        assert_string_equal(connection_hint(c), "");
        assert_string_equal(connection_detail(c), "");
        finish(&s, c);
}

/* What arrives while a call waits for its answer comes out afterwards, in order and complete. */
static void run_interleaved(size_t step) {
        struct rep_instance_run started = { .id = "00ff", .name = "n" };
        struct req_instance_run request = { .image = "x" };
        struct server s = { .step = step };
        struct rep_instance_run reply;
        struct connection *c;
        struct incoming in;
        struct error err = { 0 };

        put_hello(&s);
        put_events(&s, 0, 10, "abc", 3);
        put_events(&s, 1, 11, "", 0);
        rpc_put_reply(&s.script, 1, METHOD_INSTANCE_RUN, &started);
        put_events(&s, 2, 12, "defg", 4);
        assert_int_equal(start(&s, &c, &err), 0);
        assert_int_equal(connection_call(c, METHOD_INSTANCE_RUN, &request, &reply, &err), 0);
        assert_string_equal(reply.id, "00ff");
        for (uint32_t i = 0; i < 3; i++) {
                static const char *const rows[] = { "abc", "", "defg" };

                assert_int_equal(next(c, &in, &err), 1);
                assert_int_equal(in.kind, RPC_NOTIFICATION);
                assert_int_equal(in.type, NOTIFY_EVENTS);
                assert_int_equal(in.stream, 5);
                assert_int_equal(in.source, i);
                assert_int_equal(in.flags, 3);
                assert_int_equal(in.first_seq, 10 + i);
                assert_int_equal(in.lost, 7);
                assert_int_equal(in.rows.len, strlen(rows[i]));
                assert_memory_equal(in.rows.data, rows[i], in.rows.len);
        }
        assert_int_equal(next(c, &in, &err), -ECONNRESET);
        finish(&s, c);
}

static void test_interleaved(void **state) {
        run_interleaved(0);
        run_interleaved(1);
        run_interleaved(7);
}

/* Far more than the input buffer holds, in messages of every size around it; RENDER_SLACK bytes
 * behind each may be read. */
static void test_large(void **state) {
        static const size_t sizes[] = { 1,      1000, 65535,   65536,   200000, 262144,
                                        300000, 3,    1 << 20, 5 << 20, 10 };
        struct server s = { 0 };
        struct connection *c;
        struct incoming in;
        struct error err = { 0 };
        char *rows = malloc(5 << 20);

        assert_non_null(rows);
        put_hello(&s);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                memset(rows, (int)('a' + i), sizes[i]);
                put_events(&s, (uint32_t)i, 0, rows, sizes[i]);
        }
        assert_int_equal(start(&s, &c, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                uint8_t sum = 0;

                assert_int_equal(next(c, &in, &err), 1);
                assert_int_equal(in.source, i);
                assert_int_equal(in.rows.len, sizes[i]);
                for (size_t k = 0; k < sizes[i]; k++)
                        if (in.rows.data[k] != 'a' + i)
                                fail_msg("message %zu differs at %zu", i, k);
                for (size_t k = 0; k < RENDER_SLACK; k++)
                        sum ^= in.rows.data[sizes[i] + k];
                (void)sum;
        }
        free(rows);
        finish(&s, c);
}

static void test_other_notifications(void **state) {
        struct server s = { 0 };
        struct connection *c;
        struct incoming in;
        struct error err = { 0 };

        put_hello(&s);
        /* [2, "later", []]: a newer daemon's, to be ignored */
        sample_array(&s.script, 3);
        sample_uint(&s.script, 2);
        sample_str(&s.script, "later");
        sample_array(&s.script, 0);
        sample_array(&s.script, 3);
        sample_uint(&s.script, 2);
        sample_str(&s.script, "losses");
        sample_array(&s.script, 3);
        sample_uint(&s.script, 5);
        sample_uint(&s.script, 1);
        sample_map(&s.script, 1);
        sample_str(&s.script, "lost");
        sample_uint(&s.script, 9);
        sample_array(&s.script, 3);
        sample_uint(&s.script, 2);
        sample_str(&s.script, "done");
        sample_array(&s.script, 5);
        sample_uint(&s.script, 5);
        sample_str(&s.script, "failed");
        sample_str(&s.script, "why");
        sample_str(&s.script, "more");
        sample_array(&s.script, 0);
        /* [2, "events", [1]]: too short */
        sample_array(&s.script, 3);
        sample_uint(&s.script, 2);
        sample_str(&s.script, "events");
        sample_array(&s.script, 1);
        sample_uint(&s.script, 1);
        assert_int_equal(start(&s, &c, &err), 0);
        assert_int_equal(next(c, &in, &err), 1);
        assert_int_equal(in.type, _NOTIFY_MAX);
        assert_int_equal(next(c, &in, &err), 1);
        assert_int_equal(in.type, NOTIFY_LOSSES);
        assert_int_equal(in.source, 1);
        assert_int_equal(in.ledger.len, 1 + 5 + 1);
        assert_int_equal(next(c, &in, &err), 1);
        assert_int_equal(in.type, NOTIFY_DONE);
        assert_memory_equal(in.cause.data, "failed", 6);
        assert_memory_equal(in.message.data, "why", 3);
        assert_memory_equal(in.detail.data, "more", 4);
        assert_int_equal(next(c, &in, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "events"));
        finish(&s, c);
}

static void test_send(void **state) {
        struct req_instance_ref request = { .instance = "x" };
        struct server s = { .stays = true };
        struct connection *c;
        struct incoming in;
        struct error err = { 0 }, why = { 0 };
        uint32_t first, second;

        put_hello(&s);
        rpc_put_reply(&s.script, 1, METHOD_INSTANCE_STOP, NULL);
        error_set(&why, ERROR_NOT_FOUND, -ENOENT, "gone");
        rpc_put_error(&s.script, 2, &why, NULL, NULL);
        assert_int_equal(start(&s, &c, &err), 0);
        assert_int_equal(connection_send(c, METHOD_INSTANCE_STOP, &request, &first, &err), 0);
        assert_int_equal(connection_send(c, METHOD_INSTANCE_STOP, &request, &second, &err), 0);
        assert_int_equal(next(c, &in, &err), 1);
        assert_int_equal(in.kind, RPC_RESPONSE);
        assert_int_equal(in.id, first);
        assert_false(in.is_error);
        assert_int_equal(next(c, &in, &err), 1);
        assert_int_equal(in.id, second);
        assert_true(in.is_error);
        assert_int_equal(in.error.code, ERROR_NOT_FOUND);
        assert_string_equal(in.error.msg, "gone");
        finish(&s, c);
}

/* A call that nobody answers ends when the user has had enough. */
static void test_interrupt(void **state) {
        struct server s = { .stays = true };
        struct connection *c;
        struct error err = { 0 };
        struct rep_list reply;
        int pipe_fds[2];

        assert_int_equal(pipe(pipe_fds), 0);
        put_hello(&s);
        s.interrupt_fd = pipe_fds[0];
        assert_int_equal(start(&s, &c, &err), 0);
        assert_int_equal(write(pipe_fds[1], "x", 1), 1);
        assert_int_equal(connection_call(c, METHOD_INSTANCE_LIST, NULL, &reply, &err), -EINTR);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        finish(&s, c);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_wrong_protocol),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_hangs_up),
        cmocka_unit_test(test_error_answer),
        cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_other_notifications),
        cmocka_unit_test(test_send),
        cmocka_unit_test(test_interrupt),
};

TEST_MAIN("client-connection", tests)
