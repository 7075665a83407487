/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry, an uploader or a crowd can make us hold: each limit of transfers is reached, and
 * said. */
#include <signal.h>
#include <stdio.h>

#include "gadget/api.h"
#include "tests/lib/env.h"
#include "tests/lib/peer.h"

static struct run *start_liar(struct env *env, char *ret_host, size_t n) {
        struct run *run =
                env_exec(env, "python3", TEST_SOURCE_DIR "/tests/registry/lying-registry.py", NULL);

        run_wait_out(run, "\n");
        snprintf(ret_host, n, "127.0.0.1:%d", atoi(run_out(run)));
        return run;
}

static void expect_refused(struct env *env, const char *host, const char *repository,
                           const char *text) {
        char image[128];
        struct run *run;

        snprintf(image, sizeof(image), "%s/%s:1", host, repository);
        run = env_ctl(env, 1, "pull", "--plain-http", image, NULL);
        if (!strstr(run_err(run), text))
                run_fail(run, "not refused for '%s'", text);
}

/* LIMIT_BLOB_SIZE_MAX and LIMIT_IMAGE_SIZE_MAX: refused by what the manifest says, before a byte is
 * fetched. */
static void test_promised_sizes(void **state) {
        struct env *env = *state;
        char host[64], text[64];

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        start_liar(env, host, sizeof(host));
        snprintf(text, sizeof(text), "more than %d", LIMIT_BLOB_SIZE_MAX);
        expect_refused(env, host, "big-blob", text);
        snprintf(text, sizeof(text), "more than %d bytes", LIMIT_IMAGE_SIZE_MAX);
        expect_refused(env, host, "big-image", text);
        env_stop(env);
}

static bool somebody_was_told(struct run **runs, size_t n, const char *text) {
        for (size_t i = 0; i < n; i++)
                if (strstr(run_err(runs[i]), text))
                        return true;
        return false;
}

static void test_too_many_transfers(void **state) {
        struct run *runs[LIMIT_TRANSFERS_MAX + 1];
        struct env *env = *state;
        char host[64], image[128], text[64];

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        start_liar(env, host, sizeof(host));
        snprintf(text, sizeof(text), "%d pulls and pushes run already", LIMIT_TRANSFERS_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                snprintf(image, sizeof(image), "%s/mute/mute:%zu", host, i);
                runs[i] = env_run(env, "pull", "--plain-http", image, NULL);
        }
        assert_true(WAIT_UNTIL(somebody_was_told(runs, ARRAY_SIZE(runs), text), WAIT_DEFAULT));
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                run_signal(runs[i], SIGTERM);
                run_exit(runs[i]);
        }
        env_stop(env);
}

static void test_chunk_too_large(void **state) {
        struct req_image_write request = {
                .digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                .size = LIMIT_BLOB_CHUNK_MAX + 1,
        };
        struct env *env = *state;
        cleanup_free uint8_t *data = calloc(1, LIMIT_BLOB_CHUNK_MAX + 1);
        struct buf frame = BUF_INIT(2 * LIMIT_BLOB_CHUNK_MAX);

        test_needs(NEED_ROOT);
        assert_non_null(data);
        request.data = BYTES(data, LIMIT_BLOB_CHUNK_MAX + 1);
        /* Our own encoder will not say it, so no client of ours can. */
        assert_int_equal(rpc_put_request(&frame, 1, METHOD_IMAGE_WRITE, &request), -E2BIG);
        buf_done(&frame);
        (void)env;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_promised_sizes, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_transfers, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_chunk_too_large, env_setup, env_teardown),
};

TEST_MAIN("transfer-limits", tests)
