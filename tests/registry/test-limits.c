/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry, an uploader or a crowd can make us hold: each limit of transfers is reached, and
 * said. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "gadget/api.h"
#include "ipc/mp.h"
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

static uint8_t *put_text(uint8_t *p, const char *text) {
        return mp_put_str(p, text, (uint32_t)strlen(text));
}

/* image.write with a piece of this size, by hand: our own encoder refuses one that is too large. */
static void put_write(struct buf *frame, size_t n) {
        uint8_t *p = buf_reserve(frame, n + 4096);
        cleanup_free uint8_t *data = malloc(n);

        assert_non_null(p);
        assert_non_null(data);
        memset(data, 'x', n);
        p = mp_put_array(p, 4);
        p = mp_put_uint(p, 0);
        p = mp_put_uint(p, 77);
        p = put_text(p, "image.write");
        p = mp_put_map(p, 4);
        p = put_text(p, "digest");
        p = put_text(p, "sha256:"
                        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        p = put_text(p, "offset");
        p = mp_put_uint(p, 0);
        p = put_text(p, "size");
        p = mp_put_uint(p, 2 * LIMIT_BLOB_CHUNK_MAX);
        p = put_text(p, "data");
        p = mp_put_bin(p, data, (uint32_t)n);
        frame->len = (size_t)(p - frame->data);
}

/* The next thing that gadgetd says: an answer whose third member is the error, or nil. */
static bool is_refused(struct peer *peer) {
        uint8_t answer[4096];
        struct mp_reader reader;
        uint64_t kind, id;
        ssize_t got;
        uint32_t n;

        got = recv(peer->fd, answer, sizeof(answer), 0);
        assert_true(got > 0);
        reader = mp_reader_of(BYTES(answer, (size_t)got));
        assert_int_equal(mp_read_array(&reader, &n), 0);
        assert_int_equal(mp_read_uint(&reader, &kind), 0);
        assert_int_equal(mp_read_uint(&reader, &id), 0);
        assert_int_equal(kind, 1);
        assert_int_equal(id, 77);
        return mp_read_map(&reader, &n) == 0;
}

/* LIMIT_BLOB_CHUNK_MAX: so many bytes are taken, one more is refused. */
static void test_chunk_too_large(void **state) {
        cleanup_buf struct buf frame = BUF_INIT(2 * LIMIT_BLOB_CHUNK_MAX);
        struct env *env = *state;
        struct peer *peer;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        peer = peer_new(env_connect(env));
        put_write(&frame, LIMIT_BLOB_CHUNK_MAX + 1);
        assert_int_equal(peer_send(peer, frame.data, frame.len), 0);
        assert_true(is_refused(peer));
        buf_reset(&frame);
        put_write(&frame, LIMIT_BLOB_CHUNK_MAX);
        assert_int_equal(peer_send(peer, frame.data, frame.len), 0);
        assert_false(is_refused(peer));
        peer_free(peer);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_promised_sizes, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_transfers, env_setup, env_teardown),
        cmocka_unit_test_setup_teardown(test_chunk_too_large, env_setup, env_teardown),
};

TEST_MAIN("transfer-limits", tests)
