/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulls from registries that lie (tests/lib/httpd.h): each lie is refused or overcome in bounded
 * time, leaves no bad byte under blobs/, and gets no credential to where it does not belong.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/env.h"
#include "tests/lib/httpd.h"

#define ENV_TEST(_name) cmocka_unit_test_setup_teardown(_name, env_setup, env_teardown)

static const struct {
        enum httpd_lie lie;
        const char *says; /* NULL = the pull succeeds */
} cases[] = {
        { LIE_NONE, NULL },
        { LIE_BUSY, NULL },
        { LIE_WRONG_BYTES, "something else than blob" },
        { LIE_SHORT, "bytes in the registry" },
        { LIE_LONG, "bytes allowed" },
        { LIE_DIGEST_HEADER, "the registry says sha256:" },
        { LIE_CONTENT_TYPE, "announced" },
        { LIE_BOTH_KINDS, "neither an index nor a manifest" },
        { LIE_DIGEST_PATH, "'digest' is" },
        { LIE_DUPLICATE_KEY, "duplicate" },
        { LIE_DEEP, "nest" },
        { LIE_MANY_LAYERS, "bytes allowed" },
        { LIE_INDEX_OF_INDEXES, "index of indexes" },
        { LIE_HUGE_MANIFEST, "bytes allowed" },
        { LIE_BOMB, NULL }, /* never unpacked: the bytes as sent are the blob */
        { LIE_LOGIN_LOOP, "127.0.0.1" },
        { LIE_REDIRECT_LOOP, "redirects" },
        { LIE_REDIRECT_LINK_LOCAL, "an address that" },
        { LIE_HUGE_LAYER, "more than 268435456" },
        { LIE_HUGE_IMAGE, "the image has more than 1073741824 bytes" },
        { LIE_SLOW, "time given" },
        { LIE_SLOW_HEAD, "time given" },
        { LIE_ENDLESS_HEAD, "127.0.0.1" },
        { LIE_TOKEN_LOOP, "authentication required" },
        { LIE_REDIRECT_FILE, "neither http nor https" },
        { LIE_LAYERS, "more than 128" },
        { LIE_INDEX_HIDDEN, "announced" },
        { LIE_URLS, NULL }, /* ignored: what is fetched is fetched here */
};

#define LIE_TIME_MAX (30 * NSEC_PER_SEC)
#define DAEMON_MEMORY_MAX_KIB (128u << 10)

static void log_in(struct env *env, uint16_t port) {
        cleanup_close int fd = open(env->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char text[256];
        int n;

        n = snprintf(text, sizeof(text),
                     "{\"auths\":{\"127.0.0.1:%u\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}", port);
        assert_int_equal(write_file_atomic(fd, "auth.json", text, (size_t)n, 0600), 0);
        setenv("REGISTRY_AUTH_FILE", env_path(env, "/auth.json"), 1);
}

/* Every blob that is there is what its name says, and nothing half-fetched is left that turned out
 * to be bad. */
static void assert_store_is_sound(struct env *env) {
        json_t *report = env_ctl_json(env, "image", "fsck", "-o", "json", NULL);

        assert_int_equal(json_array_size(row_get(report, "quarantined")), 0);
        json_decref(report);
}

/* The most that gadgetd ever had in memory. */
static unsigned long peak_kib(struct env *env) {
        cleanup_buf struct buf text = BUF_INIT(16384);
        const char *at;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/status", run_pid(env->daemon));
        assert_int_equal(read_file_at(AT_FDCWD, path, &text), 0);
        at = memmem(text.data, text.len, "VmHWM:", 6);
        assert_non_null(at);
        return strtoul(at + 6, NULL, 10);
}

static struct run *pull(struct env *env, const struct httpd *httpd, const char *name) {
        char image[64];
        struct run *run;

        snprintf(image, sizeof(image), "127.0.0.1:%u/%s:1", httpd_port(httpd), name);
        run = env_run(env, "pull", "--plain-http", "--transfer-timeout", "8s", image, NULL);
        (void)run_exit_within(run, 40 * NSEC_PER_SEC);
        return run;
}

static void tell_lie(struct env *env, size_t i) {
        struct httpd *httpd = httpd_new(cases[i].lie), *bystander = httpd_new(LIE_NONE);
        uint64_t start = now_ns();
        struct run *run;
        char name[32];

        snprintf(name, sizeof(name), "lie%zu", i);
        httpd_set_other(httpd, bystander);
        log_in(env, httpd_port(httpd));
        run = pull(env, httpd, name);
        print_message("%-34s exit %d, %llu ms, %u requests: %.90s\n", httpd_lie_names[cases[i].lie],
                      run_exit(run), (unsigned long long)((now_ns() - start) / NSEC_PER_MSEC),
                      httpd_requests(httpd), run_err(run));
        if ((run_exit(run) != 0) != (cases[i].says != NULL))
                run_fail(run, "%s", httpd_lie_names[cases[i].lie]);
        if (cases[i].says && !strstr(run_err(run), cases[i].says))
                run_fail(run, "does not say '%s'", cases[i].says);
        assert_true(now_ns() - start < LIE_TIME_MAX);
        /* A second, then till a date that is more than one ahead. */
        if (cases[i].lie == LIE_BUSY)
                assert_true(now_ns() - start > 2 * NSEC_PER_SEC);
        assert_null(strstr(run_err(run), "secret"));
        assert_int_equal(httpd_requests(bystander), 0);
        httpd_free(httpd);
        httpd_free(bystander);
        assert_store_is_sound(env);
        env_ctl(env, 0, "image", "prune", "--all", NULL);
}

/* Each ends in time, with the store sound, and without a word to anybody else. */
static void test_every_lie(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                tell_lie(env, i);
        print_message("gadgetd had at most %lu KiB\n", peak_kib(env));
        assert_true(peak_kib(env) < DAEMON_MEMORY_MAX_KIB);
        env_stop(env);
}

/* Cut anywhere, the manifest is asked for again. */
static void test_cut_manifest(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        unsetenv("REGISTRY_AUTH_FILE");
        for (size_t cut = 0; cut < 640; cut += 64) {
                struct httpd *httpd = httpd_new(LIE_CUT_MANIFEST);
                struct run *run;
                char name[32];

                httpd_set_cut(httpd, cut);
                snprintf(name, sizeof(name), "manifest%zu", cut);
                run = pull(env, httpd, name);
                if (run_exit(run) != 0)
                        run_fail(run, "not fetched again when cut at %zu", cut);
                httpd_free(httpd);
                assert_store_is_sound(env);
        }
        env_stop(env);
}

/* Cut at every KiB: the second request asks for the rest only. Whoever does not know that, or will
 * not, is asked for all of it. */
static void test_cut_at_every_kib(void **state) {
        static const enum httpd_lie lies[] = { LIE_CUT_ONCE, LIE_NO_RANGE, LIE_RANGE_REFUSED };
        struct env *env = *state;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        unsetenv("REGISTRY_AUTH_FILE");
        for (size_t i = 0; i < 12 * ARRAY_SIZE(lies); i++) {
                struct httpd *httpd = httpd_new(lies[i / 12]);
                struct run *run;
                char name[32];

                httpd_set_cut(httpd, (i % 12) << 10);
                snprintf(name, sizeof(name), "cut%zu", i);
                run = pull(env, httpd, name);
                if (run_exit(run) != 0)
                        run_fail(run, "%s: not resumed at %zu KiB", httpd_lie_names[lies[i / 12]],
                                 i % 12);
                assert_int_equal(httpd_ranges(httpd), i % 12 > 0);
                httpd_free(httpd);
                assert_store_is_sound(env);
                env_ctl(env, 0, "image", "prune", "--all", NULL);
        }
        env_stop(env);
}

/* The other host is reached, and hears nothing of the user. */
static void test_credentials_stay(void **state) {
        static const enum httpd_lie lies[] = { LIE_REALM, LIE_REDIRECT_AWAY };
        struct env *env = *state;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
                struct httpd *other = httpd_new(LIE_NONE), *httpd = httpd_new(lies[i]);
                struct run *run;

                httpd_set_other(httpd, other);
                log_in(env, httpd_port(httpd));
                run = pull(env, httpd, "away");
                if (run_exit(run) != 0)
                        run_fail(run, "%s", httpd_lie_names[lies[i]]);
                assert_true(httpd_requests(other) > 0);
                assert_int_equal(httpd_authorizations(other), 0);
                httpd_free(httpd);
                httpd_free(other);
                env_ctl(env, 0, "image", "prune", "--all", NULL);
        }
        env_stop(env);
}

/* LIMIT_TRANSFERS_MAX pulls that do not end: the next is refused, and all are gone with their
 * clients. */
static void test_transfers_are_limited(void **state) {
        struct run *runs[LIMIT_TRANSFERS_MAX];
        struct env *env = *state;
        struct httpd *httpd = httpd_new(LIE_SLOW);
        char image[64];
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                snprintf(image, sizeof(image), "127.0.0.1:%u/slow%zu:1", httpd_port(httpd), i);
                runs[i] = env_run(env, "pull", "--plain-http", image, NULL);
                run_wait_err(runs[i], "done"); /* its config, so it has begun */
        }
        run = env_ctl(env, 1, "pull", "--plain-http", image, NULL);
        assert_non_null(strstr(run_err(run), "run already"));
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                run_signal(runs[i], SIGKILL);
        assert_true(WAIT_UNTIL(env_child(env, run_pid(env->daemon), "gadget-fetch") == 0,
                               WAIT_DEFAULT));
        httpd_free(httpd);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_every_lie),
        ENV_TEST(test_cut_manifest),
        ENV_TEST(test_cut_at_every_kib),
        ENV_TEST(test_credentials_stay),
        ENV_TEST(test_transfers_are_limited),
};

TEST_MAIN("hostile-registry", tests)
