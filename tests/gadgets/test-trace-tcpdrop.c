/* SPDX-License-Identifier: Apache-2.0 */
/* trace_tcpdrop: segments that find nobody, and segments that a filter of packets drops. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "tests/lib/pod.h"

#define POD_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, pod_teardown)

struct talk {
        int step;
        uint16_t server_port, client_port;
};

static struct sockaddr_in6 address6(const char *text, uint16_t port) {
        struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

        if (inet_pton(AF_INET6, text, &address.sin6_addr) != 1)
                abort();
        return address;
}

static struct run *start(struct env *env, const char *container) {
        env_ctl(env, 0, "run", "trace_tcpdrop", "-d", "--name", "t", "-c", container,
                "--collect-kstack", "true", NULL);
        return env_attach(env, "t");
}

static void expect(const json_t *row, const struct pod *pod, const char *name, pid_t pid,
                   const char *reason) {
        assert_string_equal(row_str(row, "reason"), reason);
        assert_string_equal(row_str(row, "tcpflags"), "SYN");
        assert_string_equal(row_str(row, "state"), "NO_SOCKET");
        assert_int_equal(row_int(row, "proc.pid"), pid);
        assert_string_equal(row_str(row, "proc.comm"), name);
        assert_int_equal(row_int(row, "proc.mntns_id"), pod_namespace(pod, "mnt"));
        assert_int_equal(row_int(row, "netns_id"), pod_namespace(pod, "net"));
        assert_string_equal(row_str(row, "runtime.containerName"), name);
        assert_non_null(strstr(row_str(row, "kernel_stack"), "tcp_v"));
}

/* A port that nobody has. */
static int call_nobody(void *arg) {
        struct sockaddr_in6 address = address6("::1", 1);
        int fd = socket(AF_INET6, SOCK_STREAM, 0);
        struct talk *t = arg;

        prctl(PR_SET_NAME, "drop-a");
        if (bind(fd, (struct sockaddr *)&(struct sockaddr_in6){ .sin6_family = AF_INET6 },
                 sizeof(address)) < 0)
                return -1;
        t->client_port = pod_port_of(fd);
        return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? 0 : -1;
}

static void test_no_socket(void **state) {
        struct env *env = *state;
        struct talk *t;
        struct pod *pod;
        struct run *run;
        json_t *rows, *row;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        pod = pod_new(env, "drop-a");
        run = start(env, "drop-a");
        t = pod_shared(sizeof(*t));
        pod_call(pod, call_nobody, t, &pid);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        rows = run_rows(run);
        if (json_array_size(rows) != 1)
                run_fail(run, "%zu events instead of 1", json_array_size(rows));
        row = json_array_get(rows, 0);
        expect(row, pod, "drop-a", pid, "SKB_DROP_REASON_NO_SOCKET");
        assert_string_equal(row_str(row, "src.addr"), "::1");
        assert_int_equal(row_int(row, "src.port"), t->client_port);
        assert_string_equal(row_str(row, "dst.addr"), "::1");
        assert_int_equal(row_int(row, "dst.port"), 1);
        json_decref(rows);
        env_stop(env);
}

static int serve(void *arg) {
        struct sockaddr_in6 address = address6("fd77::2", 0);
        int fd = socket(AF_INET6, SOCK_STREAM, 0);
        struct talk *t = arg;

        prctl(PR_SET_NAME, "drop-b");
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                return -1;
        t->server_port = pod_port_of(fd);
        pod_step_set(&t->step, 1);
        return pod_step_wait(&t->step, 2) ? 0 : -1;
}

static int call(void *arg) {
        struct talk *t = arg;
        struct sockaddr_in6 address = address6("fd77::2", t->server_port);
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return -1;
        t->client_port = pod_port_of(fd);
        return pod_step_wait(&t->step, 2) ? 0 : -1;
}

/* It is the receiver's event: the process that listens, in its container. */
static void test_filtered(void **state) {
        struct env *env = *state;
        struct pod *a, *b;
        struct talk *t;
        struct run *run;
        json_t *row;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        if (system("ip6tables --version >/dev/null 2>&1") != 0)
                test_unmet("ip6tables", "there is none");
        env_start(env, NULL);
        a = pod_new(env, "drop-a");
        b = pod_new(env, "drop-b");
        pod_join(a, b);
        pod_ip(b, "ip6tables -I INPUT -p tcp -j DROP");
        run = start(env, "drop-b");
        t = pod_shared(sizeof(*t));
        pid = pod_start(b, serve, t);
        assert_true(pod_step_wait(&t->step, 1));
        pod_start(a, call, t);
        row = run_wait_row(run, "src.addr", "fd77::1");
        pod_step_set(&t->step, 2);
        assert_string_equal(row_str(row, "reason"), "SKB_DROP_REASON_NETFILTER_DROP");
        assert_string_equal(row_str(row, "tcpflags"), "SYN");
        assert_int_equal(row_int(row, "proc.pid"), pid);
        assert_string_equal(row_str(row, "proc.comm"), "drop-b");
        assert_int_equal(row_int(row, "netns_id"), pod_namespace(b, "net"));
        assert_string_equal(row_str(row, "runtime.containerName"), "drop-b");
        assert_int_equal(row_int(row, "src.port"), t->client_port);
        assert_string_equal(row_str(row, "dst.addr"), "fd77::2");
        assert_int_equal(row_int(row, "dst.port"), t->server_port);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        POD_TEST(test_no_socket),
        POD_TEST(test_filtered),
};
TEST_MAIN("gadget-trace-tcpdrop", tests)
