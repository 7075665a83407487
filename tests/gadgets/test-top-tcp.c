/* SPDX-License-Identifier: Apache-2.0 */
/* top_tcp: bytes that processes of two containers send to each other, to the byte. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/lib/pod.h"

#define POD_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, pod_teardown)

#define QUESTION 10007
#define ANSWER 300001

struct talk {
        bool is_v6;
        int is_listening;
        uint16_t server_port, client_port;
};

static struct sockaddr_in6 address_of(bool is_v6, uint16_t port) {
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };

        if (inet_pton(AF_INET6, "fd77::2", &v6.sin6_addr) != 1 ||
            inet_pton(AF_INET, "10.77.0.2", &v4.sin_addr) != 1)
                abort();
        if (!is_v6)
                memcpy(&v6, &v4, sizeof(v4));
        return v6;
}

static int receive_all(int fd, size_t n) {
        static char buffer[4096];

        while (n > 0) {
                ssize_t got = read(fd, buffer, MIN(n, sizeof(buffer)));

                if (got <= 0)
                        return -1;
                n -= (size_t)got;
        }
        return 0;
}

static int serve(void *arg) {
        struct talk *t = arg;
        struct sockaddr_in6 address = address_of(t->is_v6, 0);
        int fd = socket(address.sin6_family, SOCK_STREAM, 0), client;
        static char answer[ANSWER], peeked;

        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                return -1;
        t->server_port = pod_port_of(fd);
        __atomic_store_n(&t->is_listening, 1, __ATOMIC_SEQ_CST);
        client = accept(fd, NULL, NULL);
        /* A look that takes nothing is no traffic. */
        if (client < 0 || recv(client, &peeked, 1, MSG_PEEK) != 1)
                return -1;
        return receive_all(client, QUESTION) < 0 ? -1 : write_all(client, answer, ANSWER);
}

static int ask(void *arg) {
        static char question[QUESTION];
        struct iovec parts[] = { { question, 7 }, { question, QUESTION - 7 } };
        struct talk *t = arg;
        struct sockaddr_in6 address = address_of(t->is_v6, t->server_port);
        int fd = socket(address.sin6_family, SOCK_STREAM, 0);

        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -1;
        t->client_port = pod_port_of(fd);
        return writev(fd, parts, 2) != QUESTION ? -1 : receive_all(fd, ANSWER);
}

static void expect(json_t *row, struct pod *pod, const char *name, pid_t pid, json_int_t sent,
                   json_int_t received) {
        assert_string_equal(row_str(row, "comm"), "test-top-tcp");
        assert_int_equal(row_int(row, "pid"), pid);
        assert_int_equal(row_int(row, "netns_id"), pod_namespace(pod, "net"));
        assert_string_equal(row_str(row, "runtime.containerName"), name);
        assert_int_equal(row_int(row, "sent_raw"), sent);
        assert_int_equal(row_int(row, "received_raw"), received);
        assert_string_equal(row_str(row, "src.proto"), "TCP");
}

static void talk(struct env *env, struct pod *a, struct pod *b, bool is_v6) {
        struct talk *t = pod_shared(sizeof(*t));
        pid_t client, server;
        struct run *run;
        json_t *rows;
        int status;

        t->is_v6 = is_v6;
        /* One reading, at the end. */
        env_ctl(env, 0, "run", "top_tcp", "-d", "--name", "t", "-c", "top-*", "--interval", "1h",
                "--sort=sent_raw", NULL);
        run = env_attach(env, "t");
        server = pod_start(b, serve, t);
        assert_true(WAIT_UNTIL(__atomic_load_n(&t->is_listening, __ATOMIC_SEQ_CST), WAIT_DEFAULT));
        pod_call(a, ask, t, &client);
        assert_int_equal(wait_child(server, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        rows = json_loads(run_out(run), 0, NULL);
        if (json_array_size(rows) != 2)
                run_fail(run, "%zu rows instead of 2", json_array_size(rows));
        expect(json_array_get(rows, 0), a, "top-a", client, QUESTION, ANSWER);
        expect(json_array_get(rows, 1), b, "top-b", server, ANSWER, QUESTION);
        for (size_t i = 0; i < 2; i++) {
                const json_t *row = json_array_get(rows, i);

                assert_string_equal(row_str(row, i ? "dst.addr" : "src.addr"),
                                    is_v6 ? "fd77::1" : "10.77.0.1");
                assert_string_equal(row_str(row, i ? "src.addr" : "dst.addr"),
                                    is_v6 ? "fd77::2" : "10.77.0.2");
                assert_int_equal(row_int(row, i ? "dst.port" : "src.port"), t->client_port);
                assert_int_equal(row_int(row, i ? "src.port" : "dst.port"), t->server_port);
        }
        json_decref(rows);
}

static void test_every_byte(void **state) {
        struct env *env = *state;
        struct pod *a, *b;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_RAW_TP);
        env_start(env, NULL);
        a = pod_new(env, "top-a");
        b = pod_new(env, "top-b");
        pod_join(a, b);
        talk(env, a, b, false);
        talk(env, a, b, true);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        POD_TEST(test_every_byte),
};
TEST_MAIN("gadget-top-tcp", tests)
