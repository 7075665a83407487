/* SPDX-License-Identifier: Apache-2.0 */
/* Clients as they should not be: whatever one sends ends at most its own connection. */
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/file.h"
#include "gadget/event-ring.h"
#include "ipc/mp.h"
#include "tests/unit/supervisor/bed.h"

static struct peer *raw_peer(const struct bed *bed) {
        struct peer *peer = calloc(1, sizeof(*peer));

        assert_non_null(peer);
        peer->fd = bed_connect(bed);
        peer->next_id = 1;
        return peer;
}

/* The connection ends, the daemon lives and answers others. */
static void expect_closed(struct bed *bed, const void *data, size_t n) {
        struct peer *bad = raw_peer(bed), *good;

        (void)peer_send(bad, data, n); /* it may close before all of it is sent */
        assert_true(peer_wait_closed(bad, WAIT_DEFAULT));
        peer_free(bad);
        good = bed_peer(bed);
        peer_free(good);
}

static void test_garbage(void **state) {
        static const uint8_t huge_array[] = { 0xdd, 0x08, 0x00, 0x00, 0x00 };
        static const uint8_t response[] = { 0x94, 0x01, 0x01, 0xc0, 0x80 };
        static const uint8_t notification[] = { 0x93, 0x02, 0xa1, 'x', 0x90 };
        static const uint8_t deep[] = { 0x94, 0x00, 0x01, 0xa1, 'x',  0x81, 0xa1, 'k',  0x91,
                                        0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91,
                                        0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91 };
        static const uint8_t id_too_large[] = { 0x94, 0x00, 0xcf, 1,   0,   0,   0,   0,   0,
                                                0,    0,    0xa5, 'h', 'e', 'l', 'l', 'o', 0x80 };
        struct bed *bed;
        uint8_t *large;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        expect_closed(bed, huge_array, sizeof(huge_array));
        expect_closed(bed, response, sizeof(response));
        expect_closed(bed, notification, sizeof(notification));
        expect_closed(bed, deep, sizeof(deep));
        expect_closed(bed, id_too_large, sizeof(id_too_large));
        expect_closed(bed, "GET / HTTP/1.1\r\n\r\n", 18);
        large = malloc(10 << 20);
        assert_non_null(large);
        memset(large, 0x94, 10 << 20); /* arrays of arrays */
        expect_closed(bed, large, 10 << 20);
        memset(large, 0xff, 10 << 20);
        expect_closed(bed, large, 10 << 20);
        free(large);
        bed_end(bed);
}

static void test_half_a_frame(void **state) {
        static const uint8_t half[] = { 0x94, 0x00, 0x01, 0xa5, 'h', 'e' };
        struct peer *waiting, *good;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        waiting = raw_peer(bed);
        assert_int_equal(peer_send(waiting, half, sizeof(half)), 0);
        good = bed_peer(bed);
        assert_false(bed_list(good, "the-one", NULL, 0));
        peer_free(waiting);
        assert_false(bed_list(good, "the-one", NULL, 0));
        peer_free(good);
        bed_end(bed);
}

static void expect_error(struct peer *peer, enum method method, const void *request,
                         const char *code, const char *text) {
        struct rpc_error error = {};

        assert_int_equal(peer_call(peer, method, request, NULL, &error), -EREMOTEIO);
        assert_string_equal(error.code, code);
        if (!strstr(error.message, text))
                fail_msg("'%s' does not contain '%s'", error.message, text);
}

static void test_errors(void **state) {
        static const uint8_t no_map[] = { 0x93, 1, 2, 3 };
        struct peer *peer;
        struct bed *bed;
        uint8_t *params;
        uint8_t *p;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = raw_peer(bed);
        expect_error(peer, METHOD_INSTANCE_LIST, NULL, "invalid", "hello");
        expect_error(peer, METHOD_HELLO, &(struct req_hello){ .protocol = 0 }, "invalid",
                     "too old");
        assert_int_equal(
                peer_call(peer, METHOD_HELLO, &(struct req_hello){ .protocol = 99 }, NULL, NULL),
                0);
        expect_error(peer, METHOD_INSTANCE_STOP, &(struct req_instance_ref){ .instance = "nobody" },
                     "not-found", "nobody");
        expect_error(peer, METHOD_INSTANCE_SHOW, &(struct req_instance_show){ .instance = "" },
                     "not-found", "");
        expect_error(peer, METHOD_INSTANCE_RUN, &(struct req_instance_run){}, "invalid", "neither");
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "Not/A Reference" }, "invalid",
                     "reference");
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "nothing_like_it" }, "not-found",
                     "nothing_like_it");
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "x", .name = "a/b" }, "invalid", "a/b");
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "x", .ring_size = 100000 }, "invalid",
                     "power of two");
        expect_error(
                peer, METHOD_INSTANCE_RUN,
                &(struct req_instance_run){ .image = "x", .params = BYTES(no_map, sizeof(no_map)) },
                "invalid", "map");
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "x", .definition = BYTES("a: b", 4) },
                     "invalid", "definition");
        expect_error(peer, METHOD_IMAGE_REMOVE,
                     &(struct req_image_ref){ .image = "nothing_like_it" }, "not-found",
                     "nothing_like_it");
        expect_error(peer, METHOD_IMAGE_INSPECT,
                     &(struct req_image_inspect){ .image = "nothing_like_it" }, "not-found",
                     "nothing_like_it");

        params = malloc(LIMIT_PARAM_VALUE_MAX + 64);
        p = mp_put_map(params, 1);
        p = mp_put_str(p, "key", 3);
        p = mp_put_str_header(p, LIMIT_PARAM_VALUE_MAX + 1);
        memset(p, 'v', LIMIT_PARAM_VALUE_MAX + 1);
        expect_error(
                peer, METHOD_INSTANCE_RUN,
                &(struct req_instance_run){
                        .image = "x",
                        .params = BYTES(params, (size_t)(p - params) + LIMIT_PARAM_VALUE_MAX + 1) },
                "limit", "key");
        p = mp_put_map(params, LIMIT_PARAMS_MAX + 1);
        for (unsigned int i = 0; i <= LIMIT_PARAMS_MAX; i++)
                p = mp_put_str(mp_put_str(p, "k", 1), "v", 1);
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "x",
                                                 .params = BYTES(params, (size_t)(p - params)) },
                     "limit", "parameters");
        p = mp_put_map(params, 1);
        p = mp_put_str_header(p, LIMIT_PARAM_KEY_MAX + 1);
        memset(p, 'k', LIMIT_PARAM_KEY_MAX + 1);
        p = mp_put_str(p + LIMIT_PARAM_KEY_MAX + 1, "v", 1);
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "x",
                                                 .params = BYTES(params, (size_t)(p - params)) },
                     "limit", "key");
        free(params);
        peer_free(peer);
        bed_end(bed);
}

static void test_names_and_ids(void **state) {
        struct peer *peer;
        struct bed *bed;
        struct rpc_error error;
        char ids[20][65], prefix[65];
        bool is_ambiguous = false;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
                assert_int_equal(bed_start(peer, &(struct bed_run){ .detach = true }, ids[i], NULL),
                                 0);
        /* Twenty ids over sixteen first digits: two share one. */
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
                snprintf(prefix, sizeof(prefix), "%.1s", ids[i]);
                if (peer_call(peer, METHOD_INSTANCE_SHOW,
                              &(struct req_instance_show){ .instance = prefix }, NULL,
                              &error) < 0) {
                        assert_non_null(strstr(error.message, "several ids"));
                        is_ambiguous = true;
                }
                snprintf(prefix, sizeof(prefix), "%.32s", ids[i]);
                assert_int_equal(bed_show(peer, prefix, "ring_size"), EVENT_RING_DEFAULT);
                assert_int_equal(bed_show(peer, ids[i], "ring_size"), EVENT_RING_DEFAULT);
        }
        assert_true(is_ambiguous);
        BED_START(peer, .name = "twice", .detach = true);
        assert_true(bed_start(peer, &(struct bed_run){ .name = "twice", .detach = true }, NULL,
                              &error) < 0);
        assert_non_null(strstr(error.message, "exists already"));
        peer_free(peer);
        bed_end(bed);
}

/* A foreground run ends with its connection, a detached one does not. */
static void test_foreground(void **state) {
        struct peer *owner, *other;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        owner = bed_peer(bed);
        other = bed_peer(bed);
        BED_START(owner, .name = "fore");
        BED_START(owner, .name = "back", .detach = true);
        bed_attach(other, "fore", 0);
        peer_free(owner);
        assert_true(peer_wait_done(other, WAIT_DEFAULT));
        assert_string_equal(other->cause, "stopped");
        assert_true(WAIT_UNTIL(!bed_list(other, "fore", NULL, 0), WAIT_DEFAULT));
        assert_true(bed_list(other, "back", NULL, 0));
        peer_free(other);
        bed_end(bed);
}

/* While its gadget still starts, the client goes: nobody is answered, the instance goes as well. */
static void test_client_gone_while_starting(void **state) {
        struct peer *owner, *other;
        struct bed *bed;
        cleanup_buf struct buf out = BUF_INIT(4096);
        uint8_t params[32], *p = mp_put_map(params, 1);

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        owner = bed_peer(bed);
        other = bed_peer(bed);
        p = mp_put_str(mp_put_str(p, "hang", 4), "start", 5);
        assert_int_equal(rpc_put_request(&out, 77, METHOD_INSTANCE_RUN,
                                         &(struct req_instance_run){
                                                 .object = BYTES("x", 1),
                                                 .name = "hangs",
                                                 .host = true,
                                                 .params = BYTES(params, (size_t)(p - params)) }),
                         0);
        assert_int_equal(peer_send(owner, out.data, out.len), 0);
        assert_true(WAIT_UNTIL(bed_list(other, "hangs", NULL, 0), WAIT_DEFAULT));
        kill((pid_t)bed_show(other, "hangs", "broker_pid"), SIGUSR2); /* default action: it dies */
        peer_free(owner);
        assert_true(WAIT_UNTIL(!bed_list(other, "hangs", NULL, 0), WAIT_DEFAULT));
        peer_free(other);
        bed_end(bed);
}

/* Requests faster than answers are read: they wait, nothing grows without bound, and all are
 * answered in the end. */
static void test_pipelined_requests(void **state) {
        enum { REQUESTS = 20000 };
        cleanup_buf struct buf out = BUF_INIT(64 << 20);
        struct peer *peer;
        struct bed *bed;
        char code[32];
        pid_t child;
        int status;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        for (uint32_t i = 0; i < REQUESTS; i++)
                assert_int_equal(rpc_put_request(&out, 1000 + i, METHOD_DESCRIBE, NULL), 0);
        child = fork();
        if (child == 0)
                _exit(peer_send(peer, out.data, out.len) < 0);
        /* About 10 KiB an answer: 200 MB in all, of which gadgetd may hold one. */
        for (uint32_t i = 0; i < REQUESTS; i++) {
                assert_int_equal(bed_answer(peer, code), 1000 + i);
                assert_string_equal(code, "");
        }
        assert_int_equal(wait_child(child, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        peer_free(peer);
        bed_end(bed);
}

static void test_too_many_clients(void **state) {
        struct peer *peers[LIMIT_CLIENTS_MAX];
        struct peer *refused;
        struct bed *bed;
        size_t n;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        for (n = 0; n < ARRAY_SIZE(peers); n++)
                peers[n] = bed_peer(bed);
        refused = raw_peer(bed);
        assert_true(peer_wait_closed(refused, WAIT_DEFAULT));
        peer_free(refused);
        peer_free(peers[--n]);
        assert_true(WAIT_UNTIL(bed_stat(peers[0], "clients") == n, WAIT_DEFAULT));
        peers[n++] = bed_peer(bed); /* there is room again */
        while (n > 0)
                peer_free(peers[--n]);
        bed_end(bed);
}

static void test_too_many_streams(void **state) {
        struct rpc_error error;
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        BED_START(peer, .name = "the-one");
        for (unsigned int i = 0; i < LIMIT_STREAMS_PER_CLIENT_MAX; i++)
                bed_attach(peer, "the-one", 0);
        assert_true(peer_call(peer, METHOD_INSTANCE_ATTACH,
                              &(struct req_instance_attach){ .instance = "the-one" }, NULL,
                              &error) < 0);
        assert_string_equal(error.code, "limit");
        peer_free(peer);
        bed_end(bed);
}

/* LIMIT_INSTANCES_MAX, all of them running; then all end with gadgetd. */
static void test_too_many_instances(void **state) {
        struct rpc_error error;
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
        for (unsigned int i = 0; i < LIMIT_INSTANCES_MAX; i++)
                BED_START(peer, .detach = true, .ring_size = LIMIT_EVENT_RING_MIN);
        assert_true(bed_start(peer, &(struct bed_run){ .detach = true }, NULL, &error) < 0);
        assert_string_equal(error.code, "limit");
        assert_int_equal(bed_stat(peer, "instances"), LIMIT_INSTANCES_MAX);
#ifndef __SANITIZE_ADDRESS__
        assert_true(bed_stat(peer, "rss") < 10 << 20);
#endif
        peer_free(peer);
        bed_end(bed);
}

/* --- who may --- */

static int send_fd(int socket_fd, int fd) {
        char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
        struct iovec iov = { &byte, 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                    .cmsg_type = SCM_RIGHTS,
                                    .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        return sendmsg(socket_fd, &message, 0) == 1 ? 0 : 1;
}

static int receive_fd(int socket_fd) {
        char control[CMSG_SPACE(sizeof(int))] = {}, byte;
        struct iovec iov = { &byte, 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        int fd;

        assert_int_equal(recvmsg(socket_fd, &message, 0), 1);
        assert_non_null(CMSG_FIRSTHDR(&message));
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
        return fd;
}

/* A connection of another user: SO_PEERCRED is that of the process that connects. */
static int connect_as(struct bed *bed, uid_t uid, gid_t gid, gid_t extra) {
        cleanup_close int from_fd = -1, to_fd = -1;
        int fd = -1, status;
        pid_t child;

        assert_int_equal(socket_pair(SOCK_DGRAM, &from_fd, &to_fd), 0);
        child = fork();
        if (child == 0) {
                if (setgroups(1, &extra) < 0 || setresgid(gid, gid, gid) < 0 ||
                    setresuid(uid, uid, uid) < 0)
                        _exit(9);
                fd = bed_connect(bed);
                _exit(fd < 0 ? 1 : send_fd(to_fd, fd));
        }
        assert_int_equal(wait_child(child, WAIT_DEFAULT, &status), 0);
        if (status != 0)
                return -1;
        return receive_fd(from_fd);
}

static void test_rights(void **state) {
        static const char group[] = "root:x:0:\ngadgetd:x:54321:\n";
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        assert_int_equal(connect_as(bed, 65534, 65534, 54321),
                         -1); /* no such group yet: root only */
        bed_put_file(bed, "etc/group", group, sizeof(group) - 1);
        run_signal(bed->daemon, SIGTERM);
        assert_int_equal(run_exit(bed->daemon), 0);
        bed_restart(bed);

        assert_int_equal(connect_as(bed, 65534, 65534, 65534), -1);
        for (unsigned int as_primary = 0; as_primary < 2; as_primary++) {
                peer = peer_new(connect_as(bed, 65534, as_primary ? 54321 : 65534,
                                           as_primary ? 65534 : 54321));
                assert_false(bed_list(peer, "the-one", NULL, 0));
                for (enum method method = 0; method < _METHOD_MAX; method++) {
                        uint8_t message[128], *p = message;
                        char code[32];

                        if (method == METHOD_HELLO || method == METHOD_DESCRIBE ||
                            method == METHOD_INSTANCE_LIST || method == METHOD_IMAGE_LIST ||
                            method == METHOD_CONTAINER_LIST)
                                continue;
                        p = mp_put_uint(mp_put_uint(mp_put_array(p, 4), RPC_REQUEST), method);
                        p = mp_put_str(p, methods[method].name,
                                       (uint32_t)strlen(methods[method].name));
                        p = mp_put_map(p, 0);
                        assert_int_equal(peer_send(peer, message, (size_t)(p - message)), 0);
                        assert_int_equal(bed_answer(peer, code), method);
                        assert_string_equal(code, "denied");
                }
                peer_free(peer);
        }
        bed_end(bed);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BED_TEST(test_garbage),
                BED_TEST(test_half_a_frame),
                BED_TEST(test_errors),
                BED_TEST(test_names_and_ids),
                BED_TEST(test_foreground),
                BED_TEST(test_client_gone_while_starting),
                BED_TEST(test_pipelined_requests),
                BED_TEST(test_too_many_clients),
                BED_TEST(test_too_many_streams),
                BED_TEST(test_too_many_instances),
                BED_TEST(test_rights),
        };

        return test_main("supervisor-clients", tests, ARRAY_SIZE(tests), NULL, NULL);
}
