/* SPDX-License-Identifier: Apache-2.0 */
/* trace_bind: sockets that a process of a container binds, with their options and what they got. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lib/pod.h"

#define POD_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, pod_teardown)

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
};

struct ports {
        uint16_t tcp4, udp6, taken;
};

static int set(int fd, int level, int name) {
        const int on = 1;

        return setsockopt(fd, level, name, &on, sizeof(on));
}

static int bound(int type, const char *text, uint16_t port, uint16_t *ret_port, int fd) {
        union address address = { 0 };
        socklen_t n = sizeof(address);

        address.v4.sin_port = htons(port);
        if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
                address.any.sa_family = AF_INET;
        else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
                address.any.sa_family = AF_INET6;
        if (fd < 0)
                fd = socket(address.any.sa_family, type, 0);
        if (bind(fd, &address.any,
                 address.any.sa_family == AF_INET ? sizeof(address.v4) : sizeof(address.v6)) < 0)
                return -1;
        if (getsockname(fd, &address.any, &n) < 0)
                return -1;
        *ret_port = ntohs(address.v4.sin_port);
        return fd;
}

/* Any port of two kinds, options, one that is taken, and what is no address of the internet. */
static int bind_all(void *arg) {
        union address path = { .un = { .sun_family = AF_UNIX, .sun_path = "\0gadget-bind" } };
        struct ports *ports = arg;
        uint16_t port;
        int fd;

        if (bound(SOCK_STREAM, "127.0.0.1", 0, &ports->tcp4, -1) < 0 ||
            bound(SOCK_DGRAM, "::", 0, &ports->udp6, -1) < 0)
                return -1;
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (set(fd, SOL_SOCKET, SO_REUSEADDR) < 0 || set(fd, SOL_SOCKET, SO_REUSEPORT) < 0 ||
            set(fd, IPPROTO_IP, IP_FREEBIND) < 0 || set(fd, IPPROTO_IP, IP_TRANSPARENT) < 0 ||
            set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
                return -1;
        if (bound(SOCK_STREAM, "192.0.2.7", 7777, &port, fd) < 0)
                return -1;
        if (bound(SOCK_STREAM, "127.0.0.1", ports->tcp4, &port, -1) >= 0 || errno != EADDRINUSE ||
            bound(SOCK_STREAM, "fd99::1", 80, &port, -1) >= 0 || errno != EADDRNOTAVAIL)
                return -1;
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        return bind(fd, &path.any, sizeof(path.un));
}

static void expect(const json_t *row, const char *address, uint16_t port, const char *proto,
                   const char *error, const char *options) {
        assert_string_equal(row_str(row, "addr.addr"), address);
        assert_int_equal(row_int(row, "addr.port"), port);
        assert_string_equal(row_str(row, "addr.proto"), proto);
        assert_string_equal(row_str(row, "error"), error);
        assert_string_equal(row_str(row, "opts"), options);
}

static void run_it(struct env *env, const char *ignore_errors, size_t n_expected) {
        struct ports *ports = pod_shared(sizeof(*ports));
        uint16_t host_port;
        struct pod *pod;
        struct run *run;
        json_t *rows;
        pid_t pid;

        env_start(env, NULL);
        pod = pod_new(env, "binder");
        env_ctl(env, 0, "run", "trace_bind", "-d", "--name", "t", "-c", "binder", "--ignore-errors",
                ignore_errors, NULL);
        run = env_attach(env, "t");
        assert_true(bound(SOCK_STREAM, "127.0.0.1", 0, &host_port, -1) >= 0);
        pod_call(pod, bind_all, ports, &pid);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        rows = run_rows(run);
        if (json_array_size(rows) != n_expected)
                run_fail(run, "%zu events instead of %zu", json_array_size(rows), n_expected);
        for (size_t i = 0; i < n_expected; i++) {
                const json_t *row = json_array_get(rows, i);

                assert_int_equal(row_int(row, "proc.pid"), pid);
                assert_int_equal(row_int(row, "netns_id"), pod_namespace(pod, "net"));
                assert_string_equal(row_str(row, "runtime.containerName"), "binder");
                assert_int_equal(row_int(row, "bound_dev_if_raw"), i == 2 ? 1 : 0);
                /* The index is one of the pod's, whose interfaces nobody knows. */
                assert_string_equal(row_str(row, "bound_dev_if"), "");
        }
        expect(json_array_get(rows, 0), "127.0.0.1", ports->tcp4, "TCP", "", "");
        expect(json_array_get(rows, 1), "::", ports->udp6, "UDP", "", "");
        expect(json_array_get(rows, 2), "192.0.2.7", 7777, "TCP", "",
               "FREEBIND|TRANSPARENT|BIND_ADDRESS_NO_PORT|REUSEADDRESS|REUSEPORT");
        if (n_expected > 3) {
                expect(json_array_get(rows, 3), "127.0.0.1", ports->tcp4, "TCP", "EADDRINUSE", "");
                expect(json_array_get(rows, 4), "fd99::1", 80, "TCP", "EADDRNOTAVAIL", "");
        }
        json_decref(rows);
        env_stop(env);
}

static void test_what_is_bound(void **state) {
        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        run_it(*state, "true", 3);
}

static void test_failures_too(void **state) {
        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        run_it(*state, "false", 5);
}

static const struct CMUnitTest tests[] = {
        POD_TEST(test_what_is_bound),
        POD_TEST(test_failures_too),
};
TEST_MAIN("gadget-trace-bind", tests)
