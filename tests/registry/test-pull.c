/* SPDX-License-Identifier: Apache-2.0 */
/* What a pull or push asks for and what not: tags, digests, docker's types, --pull, mounts, tokens;
 * where credentials may lie; and what the process that talks to the registry may do. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"
#include "image/digest.h"
#include "tests/lib/env.h"
#include "tests/lib/httpd.h"

#define ENV_TEST(_name) cmocka_unit_test_setup_teardown(_name, setup, env_teardown)

static int setup(void **state) {
        static const char *const names[] = { "http_proxy",     "https_proxy", "HTTPS_PROXY",
                                             "no_proxy",       "NO_PROXY",    "REGISTRY_AUTH_FILE",
                                             "XDG_RUNTIME_DIR" };
        int r = env_setup(state);

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                unsetenv(names[i]);
        return r;
}

static void start(struct env *env) {
        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        env_start(env, NULL);
}

static const char *image(const struct httpd *httpd, const char *path) {
        static char texts[4][320];
        static size_t next;
        char *text = texts[next++ % ARRAY_SIZE(texts)];

        snprintf(text, sizeof(texts[0]), "127.0.0.1:%u/%.255s", httpd_port(httpd), path);
        return text;
}

static void put_file(struct env *env, const char *dir, const char *name, const char *text) {
        cleanup_close int fd = -1;

        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "%s", dir), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, name, text, strlen(text), 0600), 0);
}

/* --- what is asked for --- */

static void test_by_digest(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        char digest[DIGEST_TEXT_MAX], name[256], part[256];
        struct env *env = *state;
        struct run *run;

        start(env);
        httpd_manifest_digest(httpd, digest);
        snprintf(name, sizeof(name), "d/thing@%s", digest);
        /* What the registry serves under the digest must have it. */
        run = env_run(env, "pull", "--plain-http", image(httpd, name), NULL);
        assert_int_equal(run_exit(run), 1);
        snprintf(part, sizeof(part), "/v2/d/thing/manifests/%s ", digest);
        assert_true(httpd_saw(httpd, part));
        httpd_serve(httpd, part, "application/vnd.oci.image.manifest.v1+json", "{}", 2);
        run = env_run(env, "pull", "--plain-http", image(httpd, name), NULL);
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "something else than sha256:"));
        httpd_serve_manifest(httpd, part);
        run = env_ctl(env, 0, "pull", "-q", "--plain-http", image(httpd, name), NULL);
        assert_int_equal(strncmp(run_out(run), digest, strlen(digest)), 0);
        env_ctl(env, 0, "image", "fsck", NULL);
        env_stop(env);
        httpd_free(httpd);
}

static void test_docker_types(void **state) {
        struct httpd *httpd = httpd_new(LIE_DOCKER);
        struct env *env = *state;
        struct run *run;

        start(env);
        env_ctl(env, 0, "pull", "--plain-http", image(httpd, "d/thing:1"), NULL);
        env_ctl(env, 0, "image", "fsck", NULL);
        run = env_run(env, "pull", "--plain-http", "--platform", "s390x", image(httpd, "d/thing:1"),
                      NULL);
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "it offers: linux/"));
        env_stop(env);
        httpd_free(httpd);
}

/* run --pull: never asks nobody, missing asks once, always asks each time. */
static void test_when_run_pulls(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        struct env *env = *state;
        const char *name;

        start(env);
        name = image(httpd, "w/thing:1");
        run_exit(env_run(env, "run", "--plain-http", "--pull", "never", name, NULL));
        assert_int_equal(httpd_requests(httpd), 0);
        run_exit(env_run(env, "run", "--plain-http", name, NULL));
        assert_int_equal(httpd_count(httpd, "/manifests/1 "), 1);
        run_exit(env_run(env, "run", "--plain-http", "--pull", "missing", name, NULL));
        assert_int_equal(httpd_count(httpd, "/manifests/1 "), 1);
        run_exit(env_run(env, "run", "--plain-http", "--pull", "always", name, NULL));
        assert_int_equal(httpd_count(httpd, "/manifests/1 "), 2);
        /* The blobs are here: they are compared, not fetched again. */
        assert_int_equal(httpd_count(httpd, "/blobs/sha256:"), 2);
        env_stop(env);
        httpd_free(httpd);
}

/* What another repository of the same registry has is asked to be mounted from there. */
static void test_mount(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        struct env *env = *state;

        start(env);
        env_ctl(env, 0, "tag", "trace_open", image(httpd, "one/open:1"), NULL);
        env_ctl(env, 0, "push", "--plain-http", image(httpd, "one/open:1"), NULL);
        assert_false(httpd_saw(httpd, "mount="));
        env_ctl(env, 0, "tag", "trace_open", image(httpd, "two/open:1"), NULL);
        env_ctl(env, 0, "push", "--plain-http", image(httpd, "two/open:1"), NULL);
        assert_true(httpd_saw(httpd, "POST /v2/two/open/blobs/uploads/?mount=sha256:"));
        assert_true(httpd_saw(httpd, "&from=one/open"));
        env_stop(env);
        httpd_free(httpd);
}

/* One token serves the whole pull. */
static void test_token_is_kept(void **state) {
        struct httpd *tokens = httpd_new(LIE_NONE), *httpd = httpd_new(LIE_REALM);
        struct env *env = *state;

        start(env);
        httpd_set_other(httpd, tokens);
        env_ctl(env, 0, "pull", "--plain-http", image(httpd, "t/thing:1"), NULL);
        assert_int_equal(httpd_count(tokens, "GET /token"), 1);
        assert_true(httpd_saw(tokens, "scope=repository%3At%2Fthing%3Apull") ||
                    httpd_saw(tokens, "scope=repository:t%2Fthing:pull"));
        env_stop(env);
        httpd_free(httpd);
        httpd_free(tokens);
}

/* --- credentials --- */

/* Wherever docker, podman and skopeo keep them. */
static void test_where_credentials_lie(void **state) {
        struct env *env = *state;
        struct httpd *httpd;
        char text[256], name[64];

        start(env);
        for (int place = 0; place < 5; place++) {
                httpd = httpd_new(LIE_LOGIN_LOOP);
                snprintf(text, sizeof(text),
                         "{\"auths\":{\"127.0.0.1:%u\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}",
                         httpd_port(httpd));
                snprintf(name, sizeof(name), "127.0.0.1:%u/t/thing:1", httpd_port(httpd));
                if (place == 0)
                        put_file(env, "/.docker", "config.json", text);
                if (place == 1)
                        put_file(env, "/.config/containers", "auth.json", text);
                if (place == 2) {
                        put_file(env, "/run-user/containers", "auth.json", text);
                        setenv("XDG_RUNTIME_DIR", env_path(env, "/run-user"), 1);
                }
                if (place == 3) {
                        put_file(env, "/elsewhere", "auth.json", text);
                        setenv("REGISTRY_AUTH_FILE", env_path(env, "/elsewhere/auth.json"), 1);
                }
                if (place == 4) {
                        put_file(env, "/elsewhere", "other.json", text);
                        run_exit(env_run(env, "pull", "--plain-http", "--authfile",
                                         env_path(env, "/elsewhere/other.json"), name, NULL));
                } else {
                        run_exit(env_run(env, "pull", "--plain-http", name, NULL));
                }
                assert_true(httpd_saw(httpd, "Authorization: Basic dXNlcjpzZWNyZXQ="));
                httpd_free(httpd);
        }
        env_stop(env);
        unsetenv("REGISTRY_AUTH_FILE");
        unsetenv("XDG_RUNTIME_DIR");
}

/* login asks without echo; -p works and warns. */
static void test_login_asks(void **state) {
        struct env *env = *state;
        char command[400], in_root[512];
        cleanup_close int fd = -1;
        struct run *run;

        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        assert_int_equal(mkfifo(env_path(env, "/typed"), 0600), 0);
        snprintf(command, sizeof(command),
                 "script -qec '%s/gadgetctl login 127.0.0.1:5000' /dev/null <typed",
                 env_path(env, "%s", GADGET_BINDIR));
        snprintf(in_root, sizeof(in_root), "cd %s && %s", env->root, command);
        run = env_exec(env, "sh", "-c", in_root, NULL);
        fd = open(env_path(env, "/typed"), O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        run_wait_out(run, "Username: ");
        assert_int_equal(write(fd, "user\n", 5), 5);
        run_wait_out(run, "Password: ");
        assert_int_equal(write(fd, "secret\n", 7), 7);
        assert_int_equal(run_exit(run), 0);
        assert_null(strstr(run_out(run), "secret"));
        run = env_exec(env, "grep", "-c", "dXNlcjpzZWNyZXQ=", env_path(env, "/.docker/config.json"),
                       NULL);
        assert_int_equal(run_exit(run), 0);
        run = env_run(env, "login", "-u", "user", "-p", "secret", "127.0.0.1:5001", NULL);
        assert_int_equal(run_exit(run), 0);
        assert_non_null(strstr(run_err(run), "--password-stdin"));
}

/* --- the process --- */

static const char *status_line(const char *status, const char *key) {
        static char value[128];
        const char *at = strstr(status, key);

        assert_non_null(at);
        at += strlen(key);
        at += strspn(at, ":\t ");
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\n"), at);
        return value;
}

/* The number that this command of the shell prints, in which $0 is the process. */
static size_t count(struct env *env, const char *command, pid_t pid) {
        char text[16];
        struct run *run;

        snprintf(text, sizeof(text), "%d", pid);
        run = env_exec(env, "sh", "-c", command, text, NULL);
        (void)run_exit(run);
        return strtoul(run_out(run), NULL, 10);
}

/* gadget-fetch in the middle of a download: an own uid, no capability, a seccomp filter, nothing of
 * the host's files, and no file open but the one that it was handed. */
static void test_fetcher_has_no_privileges(void **state) {
        struct httpd *httpd = httpd_new(LIE_SLOW);
        cleanup_buf struct buf text = BUF_INIT(16384);
        struct env *env = *state;
        const char *status;
        struct run *run;
        char path[64];
        pid_t pid;

        start(env);
        run = env_run(env, "pull", "--plain-http", image(httpd, "s/thing:1"), NULL);
        run_wait_err(run, "done"); /* its config, so it has begun */
        pid = env_child(env, run_pid(env->daemon), "gadget-fetch");
        assert_true(pid > 0);
        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        assert_int_equal(read_file_at(AT_FDCWD, path, &text), 0);
        assert_int_equal(buf_append(&text, "", 1), 0);
        status = (const char *)text.data;
        assert_in_range(strtoul(status_line(status, "\nUid"), NULL, 10), FETCHER_UID_BASE,
                        WORKER_UID_BASE - 1);
        for (const char *const *set = (const char *const[]){ "\nCapInh", "\nCapPrm", "\nCapEff",
                                                             "\nCapBnd", "\nCapAmb", NULL };
             *set; set++)
                assert_string_equal(status_line(status, *set), "0000000000000000");
        assert_string_equal(status_line(status, "\nNoNewPrivs"), "1");
        assert_string_equal(status_line(status, "\nSeccomp"), "2");
        assert_string_equal(status_line(status, "\nGroups"), "");
        /* resolv.conf, hosts, services, nsswitch.conf at most. */
        assert_true(count(env, "find /proc/$0/root/ -xdev -type f | wc -l", pid) <= 4);
        /* Files of the host that it has open: the blob that it fetches. */
        assert_int_equal(count(env, "ls -l /proc/$0/fd | grep -c -- '-> /.*part-sha256'", pid), 1);
        assert_int_equal(count(env,
                               "ls -l /proc/$0/fd | grep -- '-> /' | grep -vc "
                               "'part-sha256\\|memfd:\\|/dev/null\\|pipe:'",
                               pid),
                         0);
        run_signal(run, SIGINT);
        (void)run_exit(run);
        env_stop(env);
        httpd_free(httpd);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_by_digest),      ENV_TEST(test_docker_types),
        ENV_TEST(test_when_run_pulls), ENV_TEST(test_mount),
        ENV_TEST(test_token_is_kept),  ENV_TEST(test_where_credentials_lie),
        ENV_TEST(test_login_asks),     ENV_TEST(test_fetcher_has_no_privileges),
};

TEST_MAIN("registry-pull", tests)
