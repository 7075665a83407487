/* SPDX-License-Identifier: Apache-2.0 */
/* trace_dns: questions of containers that runc has made, every field of them, and nobody else's. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/lib/runc.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, runc_teardown)

static void needs(void) {
        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_SOCKET);
}

/* The question (R = false) or answer with this id. */
static json_t *wait_message(struct run *run, int id, const char *qr) {
        json_t *found = NULL;
        size_t i;

        if (!WAIT_UNTIL(({
                                json_t *rows = run_rows(run), *row;

                                json_array_foreach(rows, i, row) {
                                        if (row_int(row, "id") == id &&
                                            str_eq(row_str(row, "qr"), qr) && !found)
                                                found = json_incref(row);
                                }
                                json_decref(rows);
                                found != NULL;
                        }),
                        WAIT_DEFAULT))
                run_fail(run, "message %s %x is not there", qr, (unsigned int)id);
        return found;
}

static size_t count_rows(struct run *run) {
        json_t *rows = run_rows(run);
        size_t n = json_array_size(rows);

        json_decref(rows);
        return n;
}

static struct run *trace(struct env *env, const char *selection) {
        struct run *run = env_run(env, "run", "trace_dns", "--name", "t", "-c", selection, "-o",
                                  "json", NULL);

        env_wait_state(env, "t", "running");
        return run;
}

static void expect_addresses(const json_t *row, const char *first, const char *second) {
        const json_t *list = row_get(row, "addresses");

        assert_int_equal(json_array_size(list), second ? 2 : first ? 1 : 0);
        if (first)
                assert_string_equal(json_string_value(json_array_get(list, 0)), first);
        if (second)
                assert_string_equal(json_string_value(json_array_get(list, 1)), second);
}

static const struct query {
        const char *server, *name, *type, *id;
        const char *qtype, *rcode, *addresses[2];
        int num_answers;
        uint64_t latency;
} queries[] = {
        { "127.0.0.1", "www.example.com", "1", "1001", "A", "Success", { "192.0.2.1" }, 1 },
        { "::1", "www.example.com", "28", "1002", "AAAA", "Success", { "2001:db8::1" }, 1 },
        /* Behind an alias. */
        { "127.0.0.1",
          "two.example",
          "1",
          "1003",
          "A",
          "Success",
          { "192.0.2.1", "192.0.2.2" },
          3 },
        { "127.0.0.1", "nx.example", "15", "1004", "MX", "NameError" },
        { "127.0.0.1",
          "slow.example",
          "1",
          "1005",
          "A",
          "Success",
          { "192.0.2.1" },
          1,
          50 * NSEC_PER_MSEC },
};

static void expect_query(struct env *env, struct run *run, const struct query *q) {
        struct run *act = runc_act(env, "gt-web", "dns-query", q->server, "53", q->name, q->type,
                                   q->id, NULL);
        int port = atoi(run_out(act)), id = (int)strtol(q->id, NULL, 16);
        json_t *question = wait_message(run, id, "Q"), *answer = wait_message(run, id, "R");

        for (int i = 0; i < 2; i++) {
                const json_t *row = i ? answer : question;

                assert_string_equal(row_str(row, "name"), q->name);
                assert_string_equal(row_str(row, "qtype"), q->qtype);
                assert_string_equal(row_str(row, "nameserver.addr"), q->server);
                assert_string_equal(row_str(row, "src.addr"), q->server);
                assert_string_equal(row_str(row, "dst.addr"), q->server);
                assert_string_equal(row_str(row, "src.proto"), "UDP");
                assert_int_equal(row_int(row, i ? "dst.port" : "src.port"), port);
                assert_int_equal(row_int(row, i ? "src.port" : "dst.port"), 53);
                assert_string_equal(row_str(row, "pkt_type"), "HOST");
                assert_string_equal(row_str(row, "proc.comm"), "netact");
                assert_true(row_int(row, "proc.pid") > 1);
                assert_string_equal(row_str(row, "runtime.containerName"), "gt-web");
                assert_int_equal(row_int(row, "netns_id"), runc_netns(env, "gt-web"));
                assert_true(json_is_true(row_get(row, "rd")));
                assert_false(json_is_true(row_get(row, "tc")));
                assert_int_equal(json_is_true(row_get(row, "ra")), i);
        }
        assert_int_equal(row_int(question, "proc.pid"), row_int(answer, "proc.pid"));
        assert_int_equal(row_int(question, "num_answers"), 0);
        assert_int_equal(row_int(question, "latency_ns_raw"), 0);
        expect_addresses(question, NULL, NULL);
        assert_string_equal(row_str(answer, "rcode"), q->rcode);
        assert_int_equal(row_int(answer, "num_answers"), q->num_answers);
        assert_true(row_int(answer, "latency_ns_raw") > 0);
        assert_true((uint64_t)row_int(answer, "latency_ns_raw") >= q->latency);
        expect_addresses(answer, q->addresses[0], q->addresses[1]);
        json_decref(question);
        json_decref(answer);
}

/* Each message once, although the loopback interface has it twice. */
static void test_messages(void **state) {
        struct env *env = *state;
        struct run *run;

        needs();
        env_start(env, NULL);
        runc_start(env, "gt-web", NULL, "");
        runc_server(env, "gt-web", "dns-server", "53", NULL);
        run = trace(env, "gt-web");
        for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
                expect_query(env, run, &queries[i]);
        assert_int_equal(count_rows(run), 2 * ARRAY_SIZE(queries));
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

static void ask(struct env *env, const char *container, const char *id) {
        runc_act(env, container, "dns-query", "127.0.0.1", "53", "www.example.com", "1", id, NULL);
}

/* Of two containers, of which one is chosen; and of those that come while the gadget runs. */
static void test_selection(void **state) {
        struct env *env = *state;
        struct run *run;

        needs();
        env_start(env, NULL);
        runc_start(env, "gt-web", NULL, "");
        runc_start(env, "gt-other", NULL, "");
        runc_server(env, "gt-web", "dns-server", "53", NULL);
        runc_server(env, "gt-other", "dns-server", "53", NULL);
        run = trace(env, "gt-web,gt-late");
        ask(env, "gt-other", "1");
        ask(env, "gt-web", "2");
        json_decref(wait_message(run, 2, "R"));
        for (int i = 0; i < 3; i++) {
                char id[8];

                runc_start(env, "gt-late", NULL, "");
                runc_server(env, "gt-late", "dns-server", "53", NULL);
                snprintf(id, sizeof(id), "%x", 10 + i);
                ask(env, "gt-late", id);
                json_decref(wait_message(run, 10 + i, "R"));
                runc_delete(env, "gt-late");
        }
        ask(env, "gt-other", "3");
        ask(env, "gt-web", "4");
        json_decref(wait_message(run, 4, "R"));
        assert_int_equal(count_rows(run), 2 * 5);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

/* What containers of a pod ask is told apart by who asks. */
static void test_in_a_pod(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *row;

        needs();
        env_start(env, NULL);
        runc_start(env, "gt-one", NULL, "");
        runc_start(env, "gt-two", "gt-one", "");
        runc_server(env, "gt-one", "dns-server", "53", NULL);
        run = trace(env, "gt-two");
        ask(env, "gt-one", "1");
        ask(env, "gt-two", "2");
        row = wait_message(run, 2, "R");
        assert_string_equal(row_str(row, "runtime.containerName"), "gt-two");
        assert_int_equal(row_int(row, "netns_id"), runc_netns(env, "gt-one"));
        assert_int_equal(count_rows(run), 2);
        json_decref(row);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

#define STARTS 20

/* Containers whose first instruction is to ask: a program is there before they are. */
static void test_first_packet(void **state) {
        struct env *env = *state;
        struct run *run;

        needs();
        env_start(env, NULL);
        run = trace(env, "gt-first-*");
        for (int i = 0; i < STARTS; i++) {
                char id[32], number[8];
                json_t *row;

                snprintf(id, sizeof(id), "gt-first-%d", i);
                snprintf(number, sizeof(number), "%x", 0x100 + i);
                /* There is nobody who could answer. */
                runc_run(env, id, "dns-query", "127.0.0.1", "53", "www.example.com", "1", number,
                         NULL);
                row = wait_message(run, 0x100 + i, "Q");
                assert_string_equal(row_str(row, "runtime.containerName"), id);
                json_decref(row);
        }
        assert_int_equal(count_rows(run), STARTS);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

static void test_tcp(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *row;

        needs();
        env_start(env, NULL);
        runc_start(env, "gt-tcp", NULL, "");
        runc_server(env, "gt-tcp", "sink", "127.0.0.1", "53");
        run = trace(env, "gt-tcp");
        runc_act(env, "gt-tcp", "dns-tcp", "127.0.0.1", "53", "over.tcp", "4242", NULL);
        row = wait_message(run, 0x4242, "Q");
        assert_string_equal(row_str(row, "name"), "over.tcp");
        assert_string_equal(row_str(row, "qtype"), "A");
        assert_string_equal(row_str(row, "dst.proto"), "TCP");
        assert_int_equal(row_int(row, "dst.port"), 53);
        assert_string_equal(row_str(row, "proc.comm"), "netact");
        /* Handshake, acknowledgements and the end are no messages. */
        assert_int_equal(count_rows(run), 1);
        json_decref(row);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

static void in_netns(struct env *env, const char *container, const char *command) {
        char text[256];

        snprintf(text, sizeof(text), "nsenter --net=/proc/%d/ns/net %s", runc_pid(env, container),
                 command);
        assert_int_equal(system(text), 0);
}

/* From one container to another: what goes out and what comes in, with the name of who is chosen.
 */
static void test_between_containers(void **state) {
        struct env *env = *state;
        json_t *question, *answer;
        struct run *run;
        char text[256];

        needs();
        env_start(env, NULL);
        runc_start(env, "gt-client", NULL, "");
        runc_start(env, "gt-server", NULL, "");
        snprintf(text, sizeof(text), "ip link add pair0 type veth peer name pair0 netns %d",
                 runc_pid(env, "gt-server"));
        in_netns(env, "gt-client", text);
        in_netns(env, "gt-client", "ip addr add 10.77.0.1/24 dev pair0");
        in_netns(env, "gt-server", "ip addr add 10.77.0.2/24 dev pair0");
        in_netns(env, "gt-client", "ip link set pair0 up");
        in_netns(env, "gt-server", "ip link set pair0 up");
        runc_server(env, "gt-server", "dns-server", "53", NULL);
        run = trace(env, "gt-client");
        runc_act(env, "gt-client", "dns-query", "10.77.0.2", "53", "www.example.com", "1", "abcd",
                 NULL);
        question = wait_message(run, 0xabcd, "Q");
        answer = wait_message(run, 0xabcd, "R");
        assert_string_equal(row_str(question, "pkt_type"), "OUTGOING");
        assert_string_equal(row_str(question, "src.addr"), "10.77.0.1");
        assert_string_equal(row_str(question, "dst.addr"), "10.77.0.2");
        assert_string_equal(row_str(answer, "pkt_type"), "HOST");
        assert_string_equal(row_str(answer, "nameserver.addr"), "10.77.0.2");
        assert_string_equal(row_str(answer, "runtime.containerName"), "gt-client");
        assert_true(row_int(answer, "latency_ns_raw") > 0);
        assert_int_equal(count_rows(run), 2);
        json_decref(question);
        json_decref(answer);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

/* --- messages as no server would send them --- */

#define LENGTH(_text) (_text), sizeof(_text) - 1
#define HEAD(_id, _flags, _questions, _answers)                                                    \
        "\x77" _id _flags "\x00" _questions "\x00" _answers "\x00\x00\x00\x00"
#define QUESTION "\3www\7example\3com\0\0\1\0\1"
#define ANSWER(_len, _data) "\xc0\x0c\0\1\0\1\0\0\0\x3c\0" _len _data
#define LABEL_63                                                                                   \
        "\x3f"                                                                                     \
        "123456789012345678901234567890123456789012345678901234567890123"

static const struct message {
        const char *bytes;
        size_t len;
        const char *name; /* NULL = no row */
        const char *address;
} messages[] = {
        { LENGTH(HEAD("\1", "\1\0", "\1", "\0") QUESTION), "www.example.com" },
        { LENGTH(HEAD("\2", "\x80\0", "\1", "\1") QUESTION ANSWER("\4", "\x0a\1\2\3")),
          "www.example.com", "10.1.2.3" },
        /* More answers than there are, one that is longer than the message, one that is cut. */
        { LENGTH(HEAD("\3", "\x80\0", "\1", "\x7f") QUESTION ANSWER("\4", "\x0a\1\2\4")),
          "www.example.com", "10.1.2.4" },
        { LENGTH(HEAD("\4", "\x80\0", "\1", "\2") QUESTION ANSWER("\xff", "\x0a\1\2\5")
                         ANSWER("\4", "\x0a\1\2\6")),
          "www.example.com", "10.1.2.5" },
        { LENGTH(HEAD("\5", "\x80\0", "\1", "\1") QUESTION ANSWER("\4", "\x0a\1")),
          "www.example.com" },
        /* What would reach a terminal, and what is no name of a host. */
        { LENGTH(HEAD("\6", "\1\0", "\1", "\0") "\4\x1b[0m\3a.b\0\0\1\0\1"), "\\027[0m.a\\.b" },
        { LENGTH(HEAD("\7", "\1\0", "\1", "\0") "\0\0\2\0\1"), "." },
        /* No question, two of them, another operation, a name without an end, one that leads into
         * itself, one that is too long, no header. */
        { LENGTH(HEAD("\x08", "\1\0", "\0", "\0")) },
        { LENGTH(HEAD("\x09", "\1\0", "\2", "\0") QUESTION QUESTION) },
        { LENGTH(HEAD("\x0a", "\x29\0", "\1", "\0") QUESTION) },
        { LENGTH(HEAD("\x0b", "\1\0", "\1", "\0") "\3www\7exam") },
        { LENGTH(HEAD("\x0c", "\1\0", "\1", "\0") "\xc0\x0c\0\1\0\1") },
        { LENGTH(HEAD("\x0d", "\1\0", "\1", "\0") LABEL_63 LABEL_63 LABEL_63 LABEL_63 LABEL_63
                 "\0\0\1\0\1") },
        { LENGTH("\x77\x0e\1\0") },
        { LENGTH(HEAD("\x0f", "\1\0", "\1", "\0") QUESTION), "www.example.com" },
};

static void send_messages(void) {
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons(5353),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
                assert_int_equal(sendto(fd, messages[i].bytes, messages[i].len, 0,
                                        (struct sockaddr *)&to, sizeof(to)),
                                 messages[i].len);
        close(fd);
}

/* In the host's namespace, where others may speak too. */
static void test_odd_messages(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *rows, *row;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_SOCKET);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_dns", "--name", "t", "--host", "-o", "json", "--filter",
                      "dst.addr==127.0.0.1", NULL);
        env_wait_state(env, "t", "running");
        send_messages();
        json_decref(wait_message(run, 0x7700 + (int)ARRAY_SIZE(messages), "Q"));
        rows = run_rows(run);
        for (size_t k = 0; k < ARRAY_SIZE(messages); k++) {
                const json_t *found = NULL;

                json_array_foreach(rows, i, row) if (row_int(row, "id") == 0x7701 + (int)k) {
                        assert_null(found);
                        found = row;
                }
                if (!found != !messages[k].name)
                        fail_msg("message %zu: %s row", k + 1, found ? "a" : "no");
                if (!found)
                        continue;
                assert_string_equal(row_str(found, "name"), messages[k].name);
                expect_addresses(found, messages[k].address, NULL);
        }
        json_decref(rows);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_messages),     ENV_TEST(test_selection), ENV_TEST(test_in_a_pod),
        ENV_TEST(test_first_packet), ENV_TEST(test_tcp),       ENV_TEST(test_between_containers),
        ENV_TEST(test_odd_messages),
};
TEST_MAIN("gadget-trace-dns", tests)
