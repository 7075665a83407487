/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_socket: sockets that this test opens, every field of them. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)

static int bound(int type, int family, uint16_t *ret_port) {
        struct sockaddr_storage address = { .ss_family = (sa_family_t)family };
        socklen_t n = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        int fd = socket(family, type | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        if (family == AF_INET)
                ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
                ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
        *ret_port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                            : ((struct sockaddr_in6 *)&address)->sin6_port);
        return fd;
}

static json_int_t inode_of(int fd) {
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return (json_int_t)st.st_ino;
}

static json_t *row_of(const json_t *rows, json_int_t inode) {
        size_t i;
        json_t *row;

        json_array_foreach(rows, i, row) if (row_int(row, "inode") == inode) return row;
        fail_msg("socket %lld is not there", (long long)inode);
        return NULL;
}

static void expect(const json_t *row, const char *state, const char *proto, const char *src,
                   uint16_t src_port, const char *dst, uint16_t dst_port) {
        struct stat st;

        assert_string_equal(row_str(row, "state"), state);
        assert_string_equal(row_str(row, "src.proto"), proto);
        assert_string_equal(row_str(row, "src.addr"), src);
        assert_int_equal(row_int(row, "src.port"), src_port);
        assert_string_equal(row_str(row, "dst.addr"), dst);
        assert_int_equal(row_int(row, "dst.port"), dst_port);
        assert_int_equal(row_int(row, "uid"), getuid());
        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        assert_int_equal(row_int(row, "netns_id"), st.st_ino);
}

static void test_every_kind(void **state) {
        struct env *env = *state;
        uint16_t tcp4_port, tcp6_port, udp_port, client_port;
        struct sockaddr_in address = { .sin_family = AF_INET };
        socklen_t n = sizeof(address);
        int tcp4, tcp6, udp, client, server;
        struct run *run;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        tcp4 = bound(SOCK_STREAM, AF_INET, &tcp4_port);
        tcp6 = bound(SOCK_STREAM, AF_INET6, &tcp6_port);
        udp = bound(SOCK_DGRAM, AF_INET, &udp_port);
        assert_int_equal(listen(tcp4, 4), 0);
        assert_int_equal(listen(tcp6, 4), 0);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(tcp4_port);
        assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
        server = accept4(tcp4, NULL, NULL, SOCK_CLOEXEC);
        assert_true(server >= 0);
        assert_int_equal(getsockname(client, (struct sockaddr *)&address, &n), 0);
        client_port = ntohs(address.sin_port);

        run = env_ctl(env, 0, "run", "snapshot_socket", "--host", "-o", "json", NULL);
        rows = json_loads(run_out(run), 0, NULL);
        assert_true(json_is_array(rows));
        expect(row_of(rows, inode_of(tcp4)), "LISTEN", "TCP", "127.0.0.1", tcp4_port, "0.0.0.0", 0);
        expect(row_of(rows, inode_of(tcp6)), "LISTEN", "TCP", "::1", tcp6_port, "::", 0);
        expect(row_of(rows, inode_of(udp)), "CLOSE", "UDP", "127.0.0.1", udp_port, "0.0.0.0", 0);
        expect(row_of(rows, inode_of(client)), "ESTABLISHED", "TCP", "127.0.0.1", client_port,
               "127.0.0.1", tcp4_port);
        expect(row_of(rows, inode_of(server)), "ESTABLISHED", "TCP", "127.0.0.1", tcp4_port,
               "127.0.0.1", client_port);
        json_decref(rows);

        /* Names and addresses can be filtered by. */
        run = env_ctl(env, 0, "run", "snapshot_socket", "--host", "--filter",
                      "state==LISTEN,src.addr==::1", "-o", "json", NULL);
        rows = json_loads(run_out(run), 0, NULL);
        assert_true(json_array_size(rows) >= 1);
        for (size_t i = 0; i < json_array_size(rows); i++) {
                assert_string_equal(row_str(json_array_get(rows, i), "src.addr"), "::1");
                assert_string_equal(row_str(json_array_get(rows, i), "state"), "LISTEN");
        }
        json_decref(rows);
        close(tcp4);
        close(tcp6);
        close(udp);
        close(client);
        close(server);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_every_kind),
};
TEST_MAIN("gadget-snapshot-socket", tests)
