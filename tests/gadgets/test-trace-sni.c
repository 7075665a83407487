/* SPDX-License-Identifier: Apache-2.0 */
/* trace_sni: what TLS clients in containers ask for. */
#include <stdio.h>

#include "tests/lib/runc.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, runc_teardown)

/* By a small ClientHello that the test makes, and by that of a real client. */
static void test_names(void **state) {
        struct env *env = *state;
        char netns[64];
        struct run *run;
        json_t *row, *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_SOCKET);
        env_start(env, NULL);
        runc_start(env, "gt-tls", NULL, "");
        runc_start(env, "gt-other", NULL, "");
        runc_server(env, "gt-tls", "sink", "127.0.0.1", "4433");
        runc_server(env, "gt-other", "sink", "127.0.0.1", "4433");
        run = env_run(env, "run", "trace_sni", "--name", "t", "-c", "gt-tls", "-o", "json", NULL);
        env_wait_state(env, "t", "running");

        runc_act(env, "gt-other", "tls-hello", "127.0.0.1", "4433", "not.seen", NULL);
        runc_act(env, "gt-tls", "tls-hello", "127.0.0.1", "4433", "www.example.com", NULL);
        row = run_wait_row(run, "name", "www.example.com");
        assert_string_equal(row_str(row, "runtime.containerName"), "gt-tls");
        assert_int_equal(row_int(row, "netns_id"), runc_netns(env, "gt-tls"));
        assert_string_equal(row_str(row, "proc.comm"), "netact");
        assert_string_equal(row_str(row, "src.addr"), "127.0.0.1");
        assert_true(row_int(row, "src.port") > 0);
        assert_string_equal(row_str(row, "src.proto"), "TCP");
        assert_string_equal(row_str(row, "dst.addr"), "127.0.0.1");
        assert_int_equal(row_int(row, "dst.port"), 4433);

        rows = run_rows(run);
        assert_int_equal(json_array_size(rows), 1);
        json_decref(rows);
        env_ctl(env, 0, "stop", "t", NULL);

        /* A process of the host in the network of a container. */
        run = env_run(env, "run", "trace_sni", "--name", "u", "--host", "-o", "json", NULL);
        env_wait_state(env, "u", "running");
        snprintf(netns, sizeof(netns), "--net=/proc/%d/ns/net", runc_pid(env, "gt-tls"));
        /* Nobody answers it: that it fails is in order. */
        run_exit(env_exec(env, "nsenter", netns, "openssl", "s_client", "-connect",
                          "127.0.0.1:4433", "-servername", "by-openssl.example.org", NULL));
        row = run_wait_row(run, "name", "by-openssl.example.org");
        assert_string_equal(row_str(row, "runtime.containerName"), "");
        assert_string_equal(row_str(row, "proc.comm"), "openssl");
        assert_int_equal(row_int(row, "netns_id"), runc_netns(env, "gt-tls"));
        env_ctl(env, 0, "stop", "u", NULL);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_names),
};
TEST_MAIN("gadget-trace-sni", tests)
