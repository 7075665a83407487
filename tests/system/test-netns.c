/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that go into the network namespaces of containers: iterators and socket filters, in real
 * containers by runc that come and go.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/lib/runc.h"

/* Rows of snapshot_socket: listeners on this port. */
static size_t count(const json_t *rows, const char *container, int port) {
        const json_t *row;
        size_t i, n = 0;

        json_array_foreach(rows, i, row) n +=
                row_int(row, "src.port") == port && str_eq(row_str(row, "state"), "LISTEN") &&
                (!container || str_eq(row_str(row, "runtime.containerName"), container));
        return n;
}

/* A listener in each of three containers, and no socket of anybody else; one on the host only when
 * that is asked for. */
static void test_sockets_of_containers(void **state) {
        static const char *const names[] = { "gt-a", "gt-b", "gt-c" };
        struct env *env = *state;
        struct run *host;
        char port[8];
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                runc_start(env, names[i], NULL, "");
                snprintf(port, sizeof(port), "%zu", 4100 + i);
                runc_server(env, names[i], "listen", i == 1 ? "::1" : "127.0.0.1", port);
        }
        host = env_exec(env, TEST_BUILD_DIR "/tests/lib/netact", "listen", "127.0.0.1", "4109",
                        NULL);
        run_wait_out(host, "ready");

        rows = env_ctl_json(env, "run", "snapshot_socket", "-c", "gt-*", "-o", "json", NULL);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(count(rows, names[i], 4100 + (int)i), 1);
        assert_int_equal(json_array_size(rows), ARRAY_SIZE(names));
        for (size_t i = 0; i < json_array_size(rows); i++) {
                const json_t *row = json_array_get(rows, i);

                assert_int_equal(row_int(row, "netns_id"),
                                 runc_netns(env, row_str(row, "runtime.containerName")));
                assert_string_equal(row_str(row, "runtime.runtimeName"), "runc");
        }
        json_decref(rows);

        rows = env_ctl_json(env, "run", "snapshot_socket", "-c", "gt-b", "-o", "json", NULL);
        assert_int_equal(json_array_size(rows), 1);
        assert_int_equal(count(rows, "gt-b", 4101), 1);
        json_decref(rows);

        rows = env_ctl_json(env, "run", "snapshot_socket", "--host", "-o", "json", NULL);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(count(rows, names[i], 4100 + (int)i), 1);
        assert_int_equal(count(rows, "", 4109), 1);
        json_decref(rows);

        rows = env_ctl_json(env, "run", "snapshot_socket", "-c", "gt-nobody", "-o", "json", NULL);
        assert_int_equal(json_array_size(rows), 0);
        json_decref(rows);
        env_stop(env);
}

/* What containers of a pod share is shown once, with the names that they have in common. */
static void test_shared_namespace(void **state) {
        struct env *env = *state;
        const json_t *row;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        runc_start(env, "gt-one", NULL,
                   "\"io.kubernetes.cri.container-type\":\"container\","
                   "\"io.kubernetes.cri.container-name\":\"one\","
                   "\"io.kubernetes.cri.sandbox-name\":\"shop\","
                   "\"io.kubernetes.cri.sandbox-namespace\":\"prod\"");
        runc_start(env, "gt-two", "gt-one",
                   "\"io.kubernetes.cri.container-type\":\"container\","
                   "\"io.kubernetes.cri.container-name\":\"two\","
                   "\"io.kubernetes.cri.sandbox-name\":\"shop\","
                   "\"io.kubernetes.cri.sandbox-namespace\":\"prod\"");
        runc_server(env, "gt-one", "listen", "127.0.0.1", "4110");
        runc_server(env, "gt-two", "listen", "127.0.0.1", "4111");

        rows = env_ctl_json(env, "run", "snapshot_socket", "-c", "one,two", "-o", "json", NULL);
        assert_int_equal(count(rows, "", 4110), 1);
        assert_int_equal(count(rows, "", 4111), 1);
        assert_int_equal(json_array_size(rows), 2);
        row = json_array_get(rows, 0);
        assert_string_equal(row_str(row, "k8s.podName"), "shop");
        assert_string_equal(row_str(row, "k8s.namespace"), "prod");
        assert_string_equal(row_str(row, "k8s.containerName"), "");
        json_decref(rows);

        /* For who may see only one of them it is that one's. */
        rows = env_ctl_json(env, "run", "snapshot_socket", "-c", "two", "-o", "json", NULL);
        assert_int_equal(json_array_size(rows), 2);
        assert_int_equal(count(rows, "two", 4110), 1);
        json_decref(rows);
        env_stop(env);
}

/* Who chooses a container that has no network of its own gets the host's, of which nobody says
 * whose it is. */
static void test_host_network(void **state) {
        struct env *env = *state;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        runc_start(env, "gt-host", "", "");
        runc_start(env, "gt-own", NULL, "");
        runc_server(env, "gt-host", "listen", "127.0.0.1", "4120");
        runc_server(env, "gt-own", "listen", "127.0.0.1", "4121");
        rows = env_ctl_json(env, "run", "snapshot_socket", "-c", "gt-host", "-o", "json", NULL);
        assert_int_equal(count(rows, "", 4120), 1);
        assert_int_equal(count(rows, NULL, 4121), 0);
        json_decref(rows);
        rows = env_ctl_json(env, "run", "snapshot_socket", "-c", "gt-own", "-o", "json", NULL);
        assert_int_equal(count(rows, NULL, 4120), 0);
        assert_int_equal(count(rows, "gt-own", 4121), 1);
        json_decref(rows);
        env_stop(env);

        /* The first thing that somebody asks a daemon for. */
        env_start(env, NULL);
        rows = env_ctl_json(env, "run", "snapshot_socket", "--host", "-o", "json", NULL);
        assert_int_equal(count(rows, NULL, 4120), 1);
        assert_int_equal(count(rows, NULL, 4121), 1);
        json_decref(rows);
        env_stop(env);
}

/* A gadgetd in a container that has the host's pid namespace, but a network of its own. */
static void test_gadgetd_in_a_network(void **state) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(address);
        struct env *env = *state;
        char filter[32], link[64];
        struct run *run;
        json_t *rows;
        int fd;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        if (readlink("/proc/1/ns/net", link, sizeof(link)) < 0)
                test_unmet("process-1", "the namespaces of process 1 may not be looked at");
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 1), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
        snprintf(filter, sizeof(filter), "src.port==%d", ntohs(address.sin_port));
        run = env_exec(env, "unshare", "--net", env_path(env, "%s/gadgetctl", GADGET_BINDIR),
                       "--root", env->root, "run", "snapshot_socket", "--host", "-o", "json",
                       "--filter", filter, NULL);
        assert_int_equal(run_exit(run), 0);
        rows = json_loads(run_out(run), 0, NULL);
        assert_int_equal(count(rows, "", ntohs(address.sin_port)), 1);
        json_decref(rows);
        close(fd);
}

static void in_netns(struct env *env, const char *container, const char *command) {
        char text[256];

        snprintf(text, sizeof(text), "nsenter --net=/proc/%d/ns/net %s", runc_pid(env, container),
                 command);
        assert_int_equal(system(text), 0);
}

/* tests/gadgets/types/tc.bpf.c: hook 1 is a packet that the host gets, 2 one that it sends. */
static size_t count_packets(struct run *run, int hook) {
        json_t *rows = run_rows(run), *row;
        size_t i, n = 0;

        json_array_foreach(rows, i, row) n += row_int(row, "hook") == hook;
        json_decref(rows);
        return n;
}

/* An answer comes back: the container has told its address to somebody who listens. */
static void exchange(struct env *env, const char *id) {
        runc_act(env, "gt-tc", "dns-query", "10.78.0.1", "47111", "www.example.com", "1", id, NULL);
}

/* On the host's end of a veth pair: one that was there when the gadget started, and one that the
 * container gets later. */
static void test_host_ends(void **state) {
        struct env *env = *state;
        struct run *run, *server;
        char text[256];

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_XDP);
        env_start(env, NULL);
        runc_start(env, "gt-tc", NULL, "");
        run = env_run(env, "run", TEST_BUILD_DIR "/tests/gadgets/types/tc.bpf.o", "--name", "t",
                      "--allow-unsafe", "-c", "gt-tc", "-o", "json", NULL);
        env_wait_state(env, "t", "running");

        snprintf(text, sizeof(text),
                 "ip link add gtc0 type veth peer name eth0 netns %d && "
                 "ip addr add 10.78.0.1/24 dev gtc0 && ip link set gtc0 up",
                 runc_pid(env, "gt-tc"));
        assert_int_equal(system(text), 0);
        in_netns(env, "gt-tc", "ip addr add 10.78.0.2/24 dev eth0");
        in_netns(env, "gt-tc", "ip link set eth0 up");
        server = env_exec(env, TEST_BUILD_DIR "/tests/lib/netact", "dns-server", "47111", NULL);
        run_wait_out(server, "ready");
        /* The broker hears of the interface when it hears of it. */
        assert_true(WAIT_UNTIL((exchange(env, "1"), count_packets(run, 1) > 0), WAIT_DEFAULT));
        env_ctl(env, 0, "stop", "t", NULL);

        run = env_run(env, "run", TEST_BUILD_DIR "/tests/gadgets/types/tc.bpf.o", "--name", "u",
                      "--allow-unsafe", "-c", "gt-tc", "-o", "json", NULL);
        env_wait_state(env, "u", "running");
        exchange(env, "2");
        assert_true(WAIT_UNTIL(count_packets(run, 1) == 1, WAIT_DEFAULT));
        env_ctl(env, 0, "stop", "u", NULL);
        env_stop(env);
}

#define TEST(_function) cmocka_unit_test_setup_teardown(_function, env_setup, runc_teardown)

static const struct CMUnitTest tests[] = {
        TEST(test_sockets_of_containers), TEST(test_shared_namespace), TEST(test_host_network),
        TEST(test_gadgetd_in_a_network),  TEST(test_host_ends),
};
TEST_MAIN("netns", tests)
