/* SPDX-License-Identifier: Apache-2.0 */
/* trace_tcpretrans: segments that a process of a container has to send again, because nobody hears
 * them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/pod.h"

#define POD_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, pod_teardown)

struct talk {
        int step;
        uint16_t server_port, client_port;
};

/* Nobody has this address, although the way to it is known. */
static int call_nobody(void *arg) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct talk *t = arg;

        if (inet_pton(AF_INET, "10.77.0.99", &address.sin_addr) != 1 ||
            connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return -1;
        t->client_port = pod_port_of(fd);
        pod_step_set(&t->step, 1);
        return pod_step_wait(&t->step, 2) ? 0 : -1;
}

static struct run *start(struct env *env) {
        env_ctl(env, 0, "run", "trace_tcpretrans", "-d", "--name", "t", "-c", "retrans-a", NULL);
        return env_attach(env, "t");
}

static void expect(const json_t *row, const struct pod *pod, pid_t pid, const char *state,
                   const char *flags, const char *type) {
        assert_string_equal(row_str(row, "state"), state);
        assert_string_equal(row_str(row, "tcpflags"), flags);
        assert_string_equal(row_str(row, "type"), type);
        assert_int_equal(row_int(row, "proc.pid"), pid);
        assert_string_equal(row_str(row, "proc.comm"), "test-trace-tcpr");
        assert_int_equal(row_int(row, "proc.parent.pid"), getpid());
        assert_int_equal(row_int(row, "proc.mntns_id"), pod_namespace(pod, "mnt"));
        assert_int_equal(row_int(row, "netns_id"), pod_namespace(pod, "net"));
        assert_string_equal(row_str(row, "runtime.containerName"), "retrans-a");
}

static void test_syn(void **state) {
        struct env *env = *state;
        struct pod *a, *b;
        struct talk *t;
        struct run *run;
        json_t *row;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_RAW_TP);
        env_start(env, NULL);
        a = pod_new(env, "retrans-a");
        b = pod_new(env, "retrans-b");
        pod_join(a, b);
        pod_ip(a, "ip neigh add 10.77.0.99 lladdr 02:00:00:00:00:99 dev pair0");
        run = start(env);
        t = pod_shared(sizeof(*t));
        pid = pod_start(a, call_nobody, t);
        row = run_wait_row(run, "dst.addr", "10.77.0.99");
        pod_step_set(&t->step, 2);
        expect(row, a, pid, "SYN_SENT", "SYN", "RETRANS");
        assert_string_equal(row_str(row, "src.addr"), "10.77.0.1");
        assert_int_equal(row_int(row, "src.port"), t->client_port);
        assert_int_equal(row_int(row, "dst.port"), 80);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        env_stop(env);
}

static int serve(void *arg) {
        struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
        int fd = socket(AF_INET6, SOCK_STREAM, 0);
        struct talk *t = arg;

        if (inet_pton(AF_INET6, "fd77::2", &address.sin6_addr) != 1 ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                return -1;
        t->server_port = pod_port_of(fd);
        pod_step_set(&t->step, 1);
        return accept(fd, NULL, NULL) >= 0 && pod_step_wait(&t->step, 4) ? 0 : -1;
}

/* Its peer falls silent before it has anything to say. */
static int speak(void *arg) {
        struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
        int fd = socket(AF_INET6, SOCK_STREAM, 0);
        struct talk *t = arg;

        address.sin6_port = htons(t->server_port);
        if (inet_pton(AF_INET6, "fd77::2", &address.sin6_addr) != 1 ||
            connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -1;
        t->client_port = pod_port_of(fd);
        pod_step_set(&t->step, 2);
        return pod_step_wait(&t->step, 3) && write(fd, "hello", 5) == 5 &&
                               pod_step_wait(&t->step, 4)
                       ? 0
                       : -1;
}

static void test_data(void **state) {
        struct env *env = *state;
        struct pod *a, *b;
        struct talk *t;
        struct run *run;
        json_t *row;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_RAW_TP);
        env_start(env, NULL);
        a = pod_new(env, "retrans-a");
        b = pod_new(env, "retrans-b");
        pod_join(a, b);
        run = start(env);
        t = pod_shared(sizeof(*t));
        pod_start(b, serve, t);
        assert_true(pod_step_wait(&t->step, 1));
        pid = pod_start(a, speak, t);
        assert_true(pod_step_wait(&t->step, 2));
        pod_ip(b, "ip6tables -I INPUT -j DROP 2>/dev/null || ip -6 addr flush dev pair0");
        pod_step_set(&t->step, 3);
        row = run_wait_row(run, "type", "LOSS");
        expect(row, a, pid, "ESTABLISHED", "PSH|ACK", "LOSS");
        row = run_wait_row(run, "type", "RETRANS");
        expect(row, a, pid, "ESTABLISHED", "PSH|ACK", "RETRANS");
        assert_string_equal(row_str(row, "src.addr"), "fd77::1");
        assert_int_equal(row_int(row, "src.port"), t->client_port);
        assert_string_equal(row_str(row, "dst.addr"), "fd77::2");
        assert_int_equal(row_int(row, "dst.port"), t->server_port);
        pod_step_set(&t->step, 4);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        POD_TEST(test_syn),
        POD_TEST(test_data),
};
TEST_MAIN("gadget-trace-tcpretrans", tests)
