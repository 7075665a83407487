/* SPDX-License-Identifier: Apache-2.0 */
/* gadget-fetch against Debian's docker-registry: plain, TLS with a CA of its own, and a password.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/digest.h"
#include "tests/lib/httpd.h"
#include "tests/registry/registry.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

static const char config_text[] = "name: test\n";

struct fixture {
        struct registry registry;
        struct fetcher fetcher;
};

static int setup(void **state) {
        *state = calloc(1, sizeof(struct fixture));
        return *state ? 0 : -1;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        if (fixture->fetcher.loop)
                fetcher_done(&fixture->fetcher);
        if (fixture->registry.dir[0])
                registry_done(&fixture->registry);
        free(fixture);
        return 0;
}

static void start(struct fixture *fixture, int flags, const char *password, bool is_push) {
        struct msg_fetch_open open = {
                .host = fixture->registry.host,
                .repository = "team/open",
                .username = password ? "user" : NULL,
                .password = password,
                .is_plain_http = !(flags & REGISTRY_TLS),
                .is_push = is_push,
        };
        char ca[128];

        snprintf(ca, sizeof(ca), "%s/ca.crt", fixture->registry.dir);
        fetcher_start(&fixture->fetcher, &open, flags & REGISTRY_TLS ? ca : NULL);
}

/* A memfd that may be read, of this content. */
static int content_fd(const void *data, size_t n) {
        int fd = memfd_sealed("content", data, n);

        assert_true(fd >= 0);
        return fd;
}

static void push_blob(struct fetcher *fetcher, const void *data, size_t n, char *ret_digest) {
        cleanup_close int fd = content_fd(data, n);

        assert_int_equal(digest_of(data, n, ret_digest), 0);
        fetcher_put(fetcher,
                    &(struct msg_fetch_put){
                            .job = 1, .kind = FETCH_BLOB, .reference = ret_digest, .size = n },
                    fd);
        assert_string_equal(fetcher->code, "");
}

static void push_manifest(struct fetcher *fetcher, const char *layer, size_t layer_size,
                          char *ret_digest) {
        char config[DIGEST_TEXT_MAX], text[2048];
        cleanup_close int fd = -1;
        int n;

        push_blob(fetcher, config_text, strlen(config_text), config);
        n = snprintf(text, sizeof(text),
                     "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE
                     "\",\"config\":{\"mediaType\":\"application/"
                     "vnd.gadget.config.v1+yaml\",\"digest\":\"%s\",\"size\":%zu},"
                     "\"layers\":[{\"mediaType\":\"application/"
                     "vnd.gadget.ebpf.program.v1+binary\",\"digest\":\"%s\",\"size\":%zu}]}",
                     config, strlen(config_text), layer, layer_size);
        fd = content_fd(text, (size_t)n);
        assert_int_equal(digest_of(text, (size_t)n, ret_digest), 0);
        fetcher_put(fetcher,
                    &(struct msg_fetch_put){ .job = 2,
                                             .kind = FETCH_MANIFEST,
                                             .reference = "v1",
                                             .media_type = MANIFEST_TYPE,
                                             .size = (uint64_t)n },
                    fd);
        assert_string_equal(fetcher->code, "");
}

/* Twelve MiB: more than two chunks of an upload. */
static uint8_t *big_content(size_t *ret_n) {
        size_t n = (12u << 20) + 17;
        uint8_t *data = malloc(n);
        uint32_t x = 1;

        assert_non_null(data);
        for (size_t i = 0; i < n; i++)
                data[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        *ret_n = n;
        return data;
}

static void round_trip(struct fixture *fixture, int flags, const char *password) {
        char layer[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX];
        cleanup_close int fd = memfd_create("sink", MFD_CLOEXEC);
        cleanup_buf struct buf back = BUF_INIT(16 << 20);
        struct fetcher *fetcher = &fixture->fetcher;
        cleanup_free uint8_t *data = NULL;
        size_t n;

        data = big_content(&n);
        registry_start(&fixture->registry, flags);
        start(fixture, flags, password, true);
        push_blob(fetcher, data, n, layer);
        assert_false(fetcher->was_present);
        assert_true(fetcher->progress > 0);
        push_blob(fetcher, data, n, layer);
        assert_true(fetcher->was_present);
        push_manifest(fetcher, layer, n, manifest);

        fetcher_get(fetcher, &(struct msg_fetch_get){ .job = 3, .reference = "v1", .max = 4 << 20 },
                    fd);
        assert_string_equal(fetcher->code, "");
        assert_string_equal(fetcher->media_type, MANIFEST_TYPE);
        assert_string_equal(fetcher->digest, manifest);
        assert_int_equal(read_fd(fd, &back), 0);
        assert_int_equal(digest_check(manifest, back.data, back.len), 0);

        /* The second half only: what the fd already holds is not sent again. */
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, data, n / 2, 0), (ssize_t)(n / 2));
        fetcher_get(fetcher,
                    &(struct msg_fetch_get){ .job = 4,
                                             .kind = FETCH_BLOB,
                                             .reference = layer,
                                             .offset = n / 2,
                                             .max = n },
                    fd);
        assert_string_equal(fetcher->code, "");
        assert_int_equal(fetcher->status, 206);
        assert_int_equal(fetcher->bytes, n);
        buf_reset(&back);
        assert_int_equal(read_fd(fd, &back), 0);
        assert_int_equal(digest_check(layer, back.data, back.len), 0);

        /* One byte less than it takes. */
        fetcher_get(fetcher,
                    &(struct msg_fetch_get){
                            .job = 5, .kind = FETCH_BLOB, .reference = layer, .max = n - 1 },
                    fd);
        assert_string_equal(fetcher->code, "limit");
        fetcher_get(fetcher,
                    &(struct msg_fetch_get){ .job = 6, .reference = "nothing", .max = 4096 }, fd);
        assert_string_equal(fetcher->code, "not-found");
}

static void test_plain(void **state) {
        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        round_trip(*state, 0, NULL);
}

static void test_tls_and_password(void **state) {
        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        round_trip(*state, REGISTRY_TLS | REGISTRY_PASSWORD, "secret");
}

static void test_wrong_password(void **state) {
        cleanup_close int fd = memfd_create("sink", MFD_CLOEXEC);
        struct fixture *fixture = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        registry_start(&fixture->registry, REGISTRY_PASSWORD);
        start(fixture, REGISTRY_PASSWORD, "wrong", false);
        fetcher_get(&fixture->fetcher,
                    &(struct msg_fetch_get){ .job = 1, .reference = "v1", .max = 4096 }, fd);
        assert_string_equal(fixture->fetcher.code, "denied");
        assert_null(strstr(fixture->fetcher.message, "wrong"));
}

static void test_unknown_ca(void **state) {
        cleanup_close int fd = memfd_create("sink", MFD_CLOEXEC);
        struct fixture *fixture = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        registry_start(&fixture->registry, REGISTRY_TLS);
        start(fixture, 0, NULL, false);
        fetcher_done(&fixture->fetcher);
        fetcher_start(&fixture->fetcher,
                      &(struct msg_fetch_open){ .host = fixture->registry.host,
                                                .repository = "team/open" },
                      "/etc/ssl/certs/ca-certificates.crt");
        fetcher_get(&fixture->fetcher,
                    &(struct msg_fetch_get){ .job = 1, .reference = "v1", .max = 4096 }, fd);
        assert_string_equal(fixture->fetcher.code, "unavailable");
        assert_non_null(strstr(fixture->fetcher.message, "certificate"));
}

/* An upload that goes wrong in the middle goes on where the registry says that it is: nothing is
 * sent twice that had arrived, and the blob is right in the end. */
static void test_upload_resumes(void **state) {
        static const struct {
                enum httpd_lie lie;
                uint64_t again; /* bytes that must be sent once more */
        } cases[] = {
                { LIE_NONE, 0 },
                { LIE_PUSH_CUT, 0 },
                { LIE_PUSH_LOST, 0 },
                { LIE_PUSH_BUSY, 5u << 20 },
                { LIE_PUSH_AMNESIA, 5u << 20 },
        };
        struct fixture *fixture = *state;
        cleanup_free uint8_t *data = NULL;
        char layer[DIGEST_TEXT_MAX];
        size_t n;

        test_needs(NEED_ROOT);
        data = big_content(&n);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct httpd *httpd = httpd_new(cases[i].lie);
                char host[32];

                snprintf(host, sizeof(host), "127.0.0.1:%u", httpd_port(httpd));
                fetcher_start(&fixture->fetcher,
                              &(struct msg_fetch_open){ .host = host,
                                                        .repository = "team/open",
                                                        .is_plain_http = true,
                                                        .is_push = true },
                              NULL);
                push_blob(&fixture->fetcher, data, n, layer);
                assert_int_equal(fixture->fetcher.bytes, n);
                assert_int_equal(httpd_uploaded_blobs(httpd), 1);
                print_message("%-26s %u bytes sent for %zu\n", httpd_lie_names[cases[i].lie],
                              httpd_uploaded_bytes(httpd), n);
                assert_int_equal(httpd_uploaded_bytes(httpd), n + cases[i].again);
                fetcher_done(&fixture->fetcher);
                fixture->fetcher.loop = NULL;
                httpd_free(httpd);
        }
}

/* docker-registry dies between two pieces and comes back: the upload begins again, and ends well.
 */
static void test_upload_survives_a_restart(void **state) {
        struct fixture *fixture = *state;
        struct fetcher *fetcher = &fixture->fetcher;
        uint64_t deadline = now_ns() + 3 * WAIT_DEFAULT;
        cleanup_free uint8_t *data = NULL;
        char layer[DIGEST_TEXT_MAX];
        cleanup_close int fd = -1;
        size_t n;

        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        data = big_content(&n);
        registry_start(&fixture->registry, 0);
        start(fixture, 0, NULL, true);
        fd = content_fd(data, n);
        assert_int_equal(digest_of(data, n, layer), 0);
        assert_int_equal(
                channel_send(fetcher->channel, MSG_FETCH_PUT,
                             &(struct msg_fetch_put){
                                     .job = 1, .kind = FETCH_BLOB, .reference = layer, .size = n },
                             &fd, 1),
                0);
        while (fetcher->progress == 0 && !fetcher->has_result && now_ns() < deadline)
                assert_int_equal(loop_run_once(fetcher->loop, NSEC_PER_SEC), 0);
        assert_false(fetcher->has_result);
        registry_restart(&fixture->registry);
        while (!fetcher->has_result && now_ns() < deadline)
                assert_int_equal(loop_run_once(fetcher->loop, NSEC_PER_SEC), 0);
        assert_true(fetcher->has_result);
        assert_string_equal(fetcher->code, "");
        push_blob(fetcher, data, n, layer);
        assert_true(fetcher->was_present);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls_and_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_ca, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upload_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upload_survives_a_restart, setup, teardown),
};

TEST_MAIN("fetch", tests)
