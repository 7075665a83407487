/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures that others made, in every place where they may lie: cosign's tag, referrers with the
 * tag as fallback (docker-registry has no API for them), and the API itself (played by
 * tests/lib/httpd.h). They are fetched with the image, verified without network, and go on to
 * another registry. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "image/signature.h"
#include "image/store.h"
#include "tests/lib/env.h"
#include "tests/lib/httpd.h"
#include "tests/registry/registry.h"

#define ENV_TEST(_name) cmocka_unit_test_setup_teardown(_name, env_setup, teardown)
#define FIXTURE TEST_SOURCE_DIR "/tests/registry/cosign-fixture.py"

static struct registry registry;

static int teardown(void **state) {
        if (registry.dir[0])
                registry_done(&registry);
        registry = (struct registry){ .port = 0 };
        return env_teardown(state);
}

static const char *shell(struct env *env, const char *fmt, ...) PRINTF_LIKE(2, 3);
static const char *shell(struct env *env, const char *fmt, ...) {
        char command[2048];
        struct run *run;
        va_list args;
        int n = snprintf(command, sizeof(command), "cd %s && ", env->root);

        va_start(args, fmt);
        vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, args);
        va_end(args);
        run = env_exec(env, "sh", "-ec", command, NULL);
        if (run_exit(run) != 0)
                run_fail(run, "%s", command);
        return run_out(run);
}

static void make_keys(struct env *env) {
        for (int i = 0; i < 2; i++)
                shell(env,
                      "openssl ecparam -name prime256v1 -genkey -noout -out k%d.pem && "
                      "openssl ec -in k%d.pem -pubout -out k%d.pub 2>/dev/null",
                      i, i, i);
}

static void verify(struct env *env, int key, const char *name, int exit_code) {
        struct run *run;
        char pub[128];

        snprintf(pub, sizeof(pub), "%s/k%d.pub", env->root, key);
        run = env_run(env, "image", "verify", "--key", pub, name, NULL);
        if (run_exit(run) != exit_code)
                run_fail(run, "verify by key %d", key);
}

static void forget_images(struct env *env) {
        env_ctl(env, 0, "image", "prune", "--all", NULL);
}

/* docker-registry holds what cosign would have put there. */
static void test_tags(void **state) {
        static const struct {
                const char *form;
                int verified; /* exit code */
        } cases[] = {
                { "simple", 0 },     { "dsse", 0 },     { "message", 0 },
                { "simple-lie", 4 }, { "dsse-lie", 4 },
        };
        struct env *env = *state;
        char name[64], digest[96];

        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        env_start(env, NULL);
        make_keys(env);
        registry_start(&registry, 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct run *run;

                snprintf(name, sizeof(name), "%s/c/%s:1", registry.host, cases[i].form);
                env_ctl(env, 0, "tag", "trace_open", name, NULL);
                run = env_ctl(env, 0, "push", "-q", name, NULL);
                snprintf(digest, sizeof(digest), "%.71s", run_out(run));
                forget_images(env);
                shell(env,
                      "f=%s%s/store/blobs/sha256/%s; IMAGE_BYTES=$f python3 " FIXTURE
                      " %s %s c/%s %s $(stat -Lc %%s $f) k0.pem",
                      env->root, GADGET_DATADIR, digest + strlen("sha256:"), cases[i].form,
                      registry.host, cases[i].form, digest);
                env_ctl(env, 0, "pull", name, NULL);
                verify(env, 0, name, cases[i].verified);
                verify(env, 1, name, 4);
                forget_images(env);
        }
        env_stop(env);
}

static int serve_file(const char *dir, const char *name, struct httpd *httpd) {
        cleanup_close int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_buf struct buf text = BUF_INIT(1 << 20);
        char part[512];

        assert_int_equal(read_file_at(dir_fd, name, &text), 0);
        snprintf(part, sizeof(part), "/manifests/%s ", name);
        httpd_serve(httpd, part, MEDIA_TYPE_MANIFEST, text.data, text.len);
        snprintf(part, sizeof(part), "/blobs/%s ", name);
        httpd_serve(httpd, part, "application/octet-stream", text.data, text.len);
        return 0;
}

static void serve_fixture(struct env *env, struct httpd *httpd, const char *digest) {
        cleanup_buf struct buf referrers = BUF_INIT(1 << 20);
        cleanup_close int dir_fd = -1;
        const struct dirent *entry;
        char dir[128], part[512];
        DIR *stream;

        snprintf(dir, sizeof(dir), "%s/fixture", env->root);
        stream = opendir(dir);
        assert_non_null(stream);
        while ((entry = readdir(stream)))
                if (str_after(entry->d_name, "sha256:"))
                        serve_file(dir, entry->d_name, httpd);
        closedir(stream);
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(read_file_at(dir_fd, "referrers.json", &referrers), 0);
        snprintf(part, sizeof(part), "/referrers/%s", digest);
        httpd_serve(httpd, part, MEDIA_TYPE_INDEX, referrers.data, referrers.len);
}

/* OCI 1.1: GET /v2/NAME/referrers/DIGEST. What came that way goes to a registry without the API as
 * the tag, and is found there again. */
static void test_referrers(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        char name[64], copy[64], digest[DIGEST_TEXT_MAX];
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        env_start(env, NULL);
        make_keys(env);
        httpd_manifest_digest(httpd, digest);
        shell(env, "mkdir fixture && python3 " FIXTURE " dsse fixture r/thing %s 1 k0.pem", digest);
        serve_fixture(env, httpd, digest);
        snprintf(name, sizeof(name), "127.0.0.1:%u/r/thing:1", httpd_port(httpd));
        env_ctl(env, 0, "pull", "--plain-http", name, NULL);
        assert_true(httpd_saw(httpd, "/v2/r/thing/referrers/sha256:"));
        verify(env, 0, name, 0);
        verify(env, 1, name, 4);

        registry_start(&registry, 0);
        snprintf(copy, sizeof(copy), "%s/r/thing:1", registry.host);
        env_ctl(env, 0, "tag", name, copy, NULL);
        env_ctl(env, 0, "push", copy, NULL);
        forget_images(env);
        env_ctl(env, 0, "pull", copy, NULL);
        verify(env, 0, copy, 0);
        forget_images(env);
        verify(env, 0, copy, 1);
        env_stop(env);
        httpd_free(httpd);
}

/* What is said to be a signature and is larger than one can be is not asked for; the image comes
 * all the same, unsigned. */
static void test_large_signatures_are_left(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        char name[64], digest[DIGEST_TEXT_MAX], part[256], manifest[1024];
        struct env *env = *state;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        make_keys(env);
        httpd_manifest_digest(httpd, digest);
        digest[6] = '-';
        snprintf(part, sizeof(part), "/manifests/%s.sig ", digest);
        snprintf(manifest, sizeof(manifest),
                 "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_MANIFEST
                 "\",\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:%064d\",\"size\":2},"
                 "\"layers\":[{\"mediaType\":\"" MEDIA_TYPE_SIMPLE_SIGNING
                 "\",\"digest\":\"sha256:%064d\",\"size\":%u}]}",
                 1, 2, SIGNATURE_PAYLOAD_MAX + 1);
        httpd_serve(httpd, part, MEDIA_TYPE_MANIFEST, manifest, strlen(manifest));
        snprintf(name, sizeof(name), "127.0.0.1:%u/r/thing:1", httpd_port(httpd));
        env_ctl(env, 0, "pull", "--plain-http", name, NULL);
        assert_true(httpd_saw(httpd, part));
        snprintf(part, sizeof(part), "/blobs/sha256:%064d", 2);
        assert_false(httpd_saw(httpd, part));
        verify(env, 0, name, 4);
        env_stop(env);
        httpd_free(httpd);
}

/* Somebody else's referrer is in the registry's list: a push adds to the list, and takes nothing
 * out of it. A second push has nothing to add. */
static void test_referrers_are_added(void **state) {
        struct env *env = *state;
        char name[64], digest[96], key[128];
        const char *first;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        test_needs(NEED_SKOPEO);
        env_start(env, NULL);
        make_keys(env);
        registry_start(&registry, 0);
        snprintf(name, sizeof(name), "%s/c/two:1", registry.host);
        env_ctl(env, 0, "tag", "trace_open", name, NULL);
        run = env_ctl(env, 0, "push", "-q", name, NULL);
        snprintf(digest, sizeof(digest), "%.71s", run_out(run));
        snprintf(key, sizeof(key), "%s/k1.pem", env->root);
        env_ctl(env, 0, "image", "sign", "--key", key, "--format", "bundle", name, NULL);
        /* Between our signing and our push. */
        shell(env, "python3 " FIXTURE " dsse %s c/two %s 1 k0.pem", registry.host, digest);
        env_ctl(env, 0, "push", name, NULL);
        digest[6] = '-';
        first = strdup(shell(env,
                             "skopeo inspect --raw --tls-verify=false docker://%s/c/two:%s | grep "
                             "-o 'digest' | wc -l",
                             registry.host, digest));
        assert_int_equal(atoi(first), 2);
        free((char *)first);
        env_ctl(env, 0, "push", name, NULL);
        forget_images(env);
        env_ctl(env, 0, "pull", name, NULL);
        verify(env, 0, name, 0);
        verify(env, 1, name, 0);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_tags),
        ENV_TEST(test_referrers),
        ENV_TEST(test_referrers_are_added),
        ENV_TEST(test_large_signatures_are_left),
};

TEST_MAIN("registry-signatures", tests)
