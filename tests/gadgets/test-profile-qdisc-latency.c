/* SPDX-License-Identifier: Apache-2.0 */
/* profile_qdisc_latency: as many packets in the histogram as this test sent through a queue of its
 * own, in a network namespace of its own. */
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define N 50

static bool execute(struct env *env, const char *command) {
        struct run *run = env_exec(env, "/bin/sh", "-c", command, NULL);

        if (run_exit(run) == 0)
                return true;
        print_message("%s: %s", command, run_err(run));
        return false;
}

/* A pair of interfaces that nobody else sends through, behind a queue that hands out one packet at
 * a time: no IPv6, no ARP. False where the kernel has no such queue. */
static bool make_interfaces(struct env *env) {
        assert_int_equal(unshare(CLONE_NEWNET), 0);
        assert_true(execute(env, "[ ! -e /proc/sys/net/ipv6 ] || "
                                 "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"));
        return execute(env, "ip link add q0 type veth peer name q1 && ip link set q1 up && "
                            "ip address add 10.99.0.1/24 dev q0 && ip link set q0 arp off up && "
                            "tc qdisc add dev q0 root handle 7: tbf rate 10mbit burst 2000 "
                            "limit 1000000");
}

static void send_packets(void) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char data[1000] = { 0 };

        assert_int_equal(inet_pton(AF_INET, "10.99.0.2", &to.sin_addr), 1);
        for (int i = 0; i < N; i++)
                assert_int_equal(
                        sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)),
                        sizeof(data));
        close(fd);
}

/* How many packets have left the queue. */
static unsigned int sent(struct env *env) {
        struct run *run = env_exec(env, "cat", "/proc/net/dev", NULL);
        unsigned int packets = 0;
        const char *line;

        assert_int_equal(run_exit(run), 0);
        line = strstr(run_out(run), "q0:");
        assert_non_null(line);
        (void)sscanf(line, "q0: %*u %*u %*u %*u %*u %*u %*u %*u %*u %u", &packets);
        return packets;
}

static void test_every_packet(void **state) {
        json_int_t total = 0, slow = 0;
        struct env *env = *state;
        json_t *rows, *row, *slot;
        struct run *run;
        struct stat st;
        size_t i, k;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        env_ctl(env, 0, "run", "profile_qdisc_latency", "--detach", "--name", "t", "--host", NULL);
        if (!make_interfaces(env)) {
                env_stop(env);
                test_unmet("tbf", "this kernel has no veth or no tbf queue");
        }
        run = env_run(env, "attach", "t", "--tail", "all", "-o", "json", NULL);
        send_packets();
        assert_true(WAIT_UNTIL(sent(env) == N, WAIT_DEFAULT));
        env_ctl(env, 0, "stop", "t", NULL);
        assert_int_equal(run_exit(run), 0);
        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        rows = json_loads(run_out(run), 0, NULL);
        json_array_foreach(rows, i, row) {
                if (row_int(row, "netns_id") != (json_int_t)st.st_ino)
                        continue;
                assert_string_equal(row_str(row, "interface"), "q0");
                assert_string_equal(row_str(row, "kind"), "tbf");
                assert_int_equal(row_int(row, "handle"), 7 << 16);
                json_array_foreach(row_get(row, "latency"), k, slot) {
                        total += row_int(slot, "count");
                        if (row_int(slot, "start") >= 1024)
                                slow += row_int(slot, "count");
                }
        }
        assert_int_equal(total, N);
        /* 0.8 ms a packet: what is sent at once waits, the last one for 40 ms. */
        assert_true(slow > N / 4);
        json_decref(rows);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_every_packet),
};
TEST_MAIN("gadget-profile-qdisc-latency", tests)
