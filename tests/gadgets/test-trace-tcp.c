/* SPDX-License-Identifier: Apache-2.0 */
/* trace_tcp: connections of processes in containers, each event of them with every field. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/lib/pod.h"

#define POD_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, pod_teardown)

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

/* One connection within a pod, as the process that made it saw it. */
struct talk {
        const char *listen; /* address of the listener */
        const char *connect;
        const char *seen; /* how the connected address is shown */
        uint16_t server_port;
        uint16_t client_port;
        int listen_fd, client_fd, server_fd;
};

static socklen_t set_address(union address *address, const char *text, uint16_t port) {
        *address = (union address){ 0 };
        address->v4.sin_port = htons(port);
        if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
                address->any.sa_family = AF_INET;
                return sizeof(address->v4);
        }
        address->any.sa_family = AF_INET6;
        return inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1 ? sizeof(address->v6) : 0;
}

static int listener(const char *text, uint16_t port) {
        union address address;
        socklen_t n = set_address(&address, text, port);
        int fd = socket(address.any.sa_family, SOCK_STREAM, 0);

        if (fd < 0 || bind(fd, &address.any, n) < 0 || listen(fd, 8) < 0)
                return -1;
        return fd;
}

static int dial(const char *text, uint16_t port, int flags) {
        union address address;
        socklen_t n = set_address(&address, text, port);
        int fd = socket(address.any.sa_family, SOCK_STREAM | flags, 0);

        if (fd >= 0 && connect(fd, &address.any, n) < 0 && !flags) {
                close(fd);
                return -1;
        }
        return fd;
}

static int talk(void *arg) {
        struct talk *t = arg;

        t->listen_fd = listener(t->listen, 0);
        t->server_port = pod_port_of(t->listen_fd);
        t->client_fd = dial(t->connect, t->server_port, 0);
        t->client_port = pod_port_of(t->client_fd);
        t->server_fd = accept(t->listen_fd, NULL, NULL);
        if (t->listen_fd < 0 || t->client_fd < 0 || t->server_fd < 0)
                return -1;
        return close(t->client_fd) + close(t->server_fd) + close(t->listen_fd);
}

/* A gadget that runs detached sees everything from here on. */
static struct run *start(struct env *env, const char *option, const char *value) {
        env_ctl(env, 0, "run", "trace_tcp", "-d", "--name", "t", "-c", "tcp-*", option, value,
                NULL);
        return env_attach(env, "t");
}

/* Ends the gadget and returns all its rows. */
static json_t *finish(struct env *env, struct run *run, size_t n_expected) {
        json_t *rows;

        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        rows = run_rows(run);
        assert_non_null(rows);
        if (json_array_size(rows) != n_expected)
                run_fail(run, "%zu events instead of %zu", json_array_size(rows), n_expected);
        return rows;
}

static void expect_end(const json_t *row, const char *end, const char *address, uint16_t port) {
        char field[32];

        snprintf(field, sizeof(field), "%s.addr", end);
        assert_string_equal(row_str(row, field), address);
        snprintf(field, sizeof(field), "%s.port", end);
        assert_int_equal(row_int(row, field), port);
        snprintf(field, sizeof(field), "%s.proto", end);
        assert_string_equal(row_str(row, field), "TCP");
        snprintf(field, sizeof(field), "%s.version", end);
        assert_int_equal(row_int(row, field), strchr(address, ':') ? 6 : 4);
}

static void expect_who(const json_t *row, const struct pod *pod, const char *name, pid_t pid) {
        assert_int_equal(row_int(row, "proc.pid"), pid);
        assert_int_equal(row_int(row, "proc.mntns_id"), pod_namespace(pod, "mnt"));
        assert_int_equal(row_int(row, "netns_id"), pod_namespace(pod, "net"));
        assert_string_equal(row_str(row, "runtime.containerName"), name);
        assert_string_equal(row_str(row, "runtime.runtimeName"), "runc");
}

static void expect_talk(json_t *rows, size_t first, const struct talk *t, const struct pod *pod,
                        pid_t pid) {
        static const char *const types[] = { "connect", "accept", "close", "close" };
        const bool is_client[] = { true, false, true, false };
        const int fds[] = { t->client_fd, t->listen_fd, t->client_fd, t->server_fd };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                const json_t *row = json_array_get(rows, first + i);

                assert_string_equal(row_str(row, "type"), types[i]);
                assert_string_equal(row_str(row, "error"), "");
                expect_who(row, pod, "tcp-a", pid);
                expect_end(row, is_client[i] ? "src" : "dst", t->seen, t->client_port);
                expect_end(row, is_client[i] ? "dst" : "src", t->seen, t->server_port);
                assert_int_equal(row_int(row, "fd"), fds[i]);
                assert_int_equal(row_int(row, "accept_fd"), i == 1 ? t->server_fd : -1);
        }
}

/* IPv4, IPv6, and IPv4 to a socket of both; the host's own connections are not there. */
static void test_every_event(void **state) {
        static const struct talk kinds[] = {
                { .listen = "127.0.0.1", .connect = "127.0.0.1", .seen = "127.0.0.1" },
                { .listen = "::1", .connect = "::1", .seen = "::1" },
                { .listen = "::", .connect = "127.0.0.1", .seen = "127.0.0.1" },
                { .listen = "::", .connect = "::ffff:127.0.0.1", .seen = "127.0.0.1" },
        };
        struct talk *talks, host = kinds[0];
        struct env *env = *state;
        pid_t pids[ARRAY_SIZE(kinds)];
        struct pod *pod;
        struct run *run;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_RAW_TP);
        env_start(env, NULL);
        pod = pod_new(env, "tcp-a");
        run = start(env, NULL, NULL);
        talks = pod_shared(sizeof(kinds));
        memcpy(talks, kinds, sizeof(kinds));
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                pod_call(pod, talk, &talks[i], &pids[i]);
        assert_int_equal(talk(&host), 0);
        rows = finish(env, run, ARRAY_SIZE(kinds) * 4);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                expect_talk(rows, i * 4, &talks[i], pod, pids[i]);
        json_decref(rows);
        env_stop(env);
}

static int fail_all(void *arg) {
        int fd = listener("127.0.0.1", 0), client;

        (void)arg;
        /* Nobody listens. */
        if (dial("127.0.0.1", 1, 0) >= 0 || dial("::1", 1, 0) >= 0)
                return -1;
        /* A success, which is left out. */
        client = dial("127.0.0.1", pod_port_of(fd), 0);
        if (client < 0)
                return -1;
        /* Given up before an answer: nobody has this address, and the first packet waits for it. */
        fd = dial("10.77.0.99", 80, SOCK_NONBLOCK);
        return fd < 0 ? -1 : close(fd);
}

static void test_failures(void **state) {
        struct env *env = *state;
        struct pod *pod, *other;
        struct run *run;
        json_t *rows;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_RAW_TP);
        env_start(env, NULL);
        pod = pod_new(env, "tcp-a");
        other = pod_new(env, "other");
        pod_join(pod, other);
        run = start(env, "--failure-only", "true");
        pod_call(pod, fail_all, NULL, &pid);
        rows = finish(env, run, 3);
        for (size_t i = 0; i < 3; i++) {
                assert_string_equal(row_str(json_array_get(rows, i), "type"), "connect");
                expect_who(json_array_get(rows, i), pod, "tcp-a", pid);
                /* The kernel has taken it back by then. */
                assert_int_not_equal(row_int(json_array_get(rows, i), "src.port"), 0);
        }
        assert_string_equal(row_str(json_array_get(rows, 0), "error"), "ECONNREFUSED");
        expect_end(json_array_get(rows, 0), "dst", "127.0.0.1", 1);
        assert_string_equal(row_str(json_array_get(rows, 1), "error"), "ECONNREFUSED");
        expect_end(json_array_get(rows, 1), "dst", "::1", 1);
        assert_string_equal(row_str(json_array_get(rows, 2), "error"), "ECONNABORTED");
        expect_end(json_array_get(rows, 2), "dst", "10.77.0.99", 80);
        json_decref(rows);
        env_stop(env);
}

/* Two ends in two containers; steps are handed over by the words of a shared struct. */
struct ends {
        int step;
        uint16_t port;
};

/* Accepts two connections, resets the first, and ends without closing the second. */
static int serve_badly(void *arg) {
        const struct linger at_once = { .l_onoff = 1 };
        int fd = listener("fd77::2", 0), first;
        struct ends *ends = arg;

        ends->port = pod_port_of(fd);
        pod_step_set(&ends->step, 1);
        first = accept(fd, NULL, NULL);
        if (fd < 0 || first < 0 || accept(fd, NULL, NULL) < 0 || !pod_step_wait(&ends->step, 2))
                return -1;
        return setsockopt(first, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) + close(first);
}

/* Its first connection is reset while it does nothing. */
static int be_served(void *arg) {
        struct pollfd first = { .fd = -1 };
        struct ends *ends = arg;
        int second;

        if (!pod_step_wait(&ends->step, 1))
                return -1;
        first.fd = dial("fd77::2", ends->port, 0);
        second = dial("fd77::2", ends->port, 0);
        if (first.fd < 0 || second < 0)
                return -1;
        pod_step_set(&ends->step, 2);
        if (poll(&first, 1, 10000) != 1)
                return -1;
        return shutdown(second, SHUT_WR) + close(second);
}

static size_t count(json_t *rows, const char *name, const char *type, pid_t pid) {
        size_t i, n = 0;
        json_t *row;

        json_array_foreach(rows, i, row) n += str_eq(row_str(row, "runtime.containerName"), name) &&
                                              str_eq(row_str(row, "type"), type) &&
                                              row_int(row, "proc.pid") == pid;
        return n;
}

/* The end that is reset has its event, by the process that had the connection; what a dead process
 * leaves is closed; and a connection that is shut down and then closed ends once. */
static void test_reset_and_exit(void **state) {
        struct env *env = *state;
        struct pod *a, *b;
        pid_t server, client;
        struct ends *ends;
        struct run *run;
        json_t *rows;
        int status;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_RAW_TP);
        env_start(env, NULL);
        a = pod_new(env, "tcp-a");
        b = pod_new(env, "tcp-b");
        pod_join(a, b);
        run = start(env, NULL, NULL);
        ends = pod_shared(sizeof(*ends));
        server = pod_start(b, serve_badly, ends);
        client = pod_start(a, be_served, ends);
        assert_int_equal(wait_child(client, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(wait_child(server, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        rows = finish(env, run, 8);
        assert_int_equal(count(rows, "tcp-a", "connect", client), 2);
        assert_int_equal(count(rows, "tcp-a", "close", client), 2);
        assert_int_equal(count(rows, "tcp-b", "accept", server), 2);
        assert_int_equal(count(rows, "tcp-b", "close", server), 2);
        json_decref(rows);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        POD_TEST(test_every_event),
        POD_TEST(test_failures),
        POD_TEST(test_reset_and_exit),
};
TEST_MAIN("gadget-trace-tcp", tests)
