/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets in, and by which way: tokens, identity tokens, credential helpers, client certificates,
 * mirrors, proxies and short names; and that no secret is seen where it does not belong. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/lib/httpd.h"
#include "tests/registry/registry.h"

#define ENV_TEST(_name) cmocka_unit_test_setup_teardown(_name, setup, teardown)

static struct registry registry;
static char *saved_path;

static int setup(void **state) {
        static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
                                             "no_proxy",   "NO_PROXY",    "REGISTRY_AUTH_FILE" };
        int r = env_setup(state);

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                unsetenv(names[i]);
        saved_path = strdup(getenv("PATH"));
        return r;
}

static int teardown(void **state) {
        if (registry.dir[0])
                registry_done(&registry);
        registry = (struct registry){ .port = 0 };
        setenv("PATH", saved_path, 1);
        free(saved_path);
        unsetenv("http_proxy");
        unsetenv("https_proxy");
        unsetenv("no_proxy");
        return env_teardown(state);
}

static const char *image(const char *path) {
        static char text[128];

        snprintf(text, sizeof(text), "%s/%s", registry.host, path);
        return text;
}

static void put_file(struct env *env, const char *dir, const char *name, mode_t mode,
                     const char *fmt, ...) PRINTF_LIKE(5, 6);
static void put_file(struct env *env, const char *dir, const char *name, mode_t mode,
                     const char *fmt, ...) {
        cleanup_close int fd = -1;
        char text[2048];
        va_list args;
        int n;

        va_start(args, fmt);
        n = vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "%s", dir), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, name, text, (size_t)n, mode), 0);
}

static void start(struct env *env, int flags) {
        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        setenv("HOME", env->root, 1);
        registry_start(&registry, flags);
}

static void login(struct env *env, const char *password) {
        char command[512];
        struct run *run;

        snprintf(command, sizeof(command),
                 "printf %s | %s/gadgetctl login -u user --password-stdin %s", password,
                 env_path(env, "%s", GADGET_BINDIR), registry.host);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
}

/* How many tokens were given so far, by how they were asked for. */
struct token_counts {
        int anonymous, basic, refresh;
};

static struct token_counts count_tokens(void) {
        struct token_counts counts = { 0 };

        for (const char *line = run_out(registry.tokens); line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                (void)sscanf(line, "%d %d %d", &counts.anonymous, &counts.basic, &counts.refresh);
        return counts;
}

/* Anybody pulls, nobody pushes without a password; a wrong one is told. */
static void test_bearer(void **state) {
        struct env *env = *state;
        struct run *run;

        start(env, REGISTRY_TOKEN);
        env_start(env, NULL);
        env_ctl(env, 0, "tag", "trace_open", image("t/open:1"), NULL);
        run = env_run(env, "push", image("t/open:1"), NULL);
        assert_int_equal(run_exit(run), 4);
        assert_non_null(strstr(run_err(run), "authentication required"));
        assert_true(count_tokens().anonymous > 0);
        assert_int_equal(count_tokens().basic, 0);
        login(env, "wrong");
        run = env_run(env, "push", image("t/open:1"), NULL);
        assert_int_equal(run_exit(run), 4);
        assert_null(strstr(run_err(run), "wrong"));
        login(env, "secret");
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        assert_true(count_tokens().basic > 0);
        env_ctl(env, 0, "logout", registry.host, NULL);
        env_ctl(env, 0, "image", "prune", "--all", NULL);
        env_ctl(env, 0, "pull", image("t/open:1"), NULL);
        env_stop(env);
}

/* A refresh token, as `docker login` keeps it for some registries. */
static void test_identity_token(void **state) {
        struct env *env = *state;
        struct run *run;

        start(env, REGISTRY_TOKEN);
        env_start(env, NULL);
        env_ctl(env, 0, "tag", "trace_open", image("t/open:1"), NULL);
        put_file(env, "/.docker", "config.json", 0600,
                 "{\"auths\":{\"%s\":{\"auth\":\"\",\"identitytoken\":\"refresh-wrong\"}}}",
                 registry.host);
        run = env_run(env, "push", image("t/open:1"), NULL);
        assert_int_equal(run_exit(run), 4);
        assert_null(strstr(run_err(run), "refresh-wrong"));
        put_file(env, "/.docker", "config.json", 0600,
                 "{\"auths\":{\"%s\":{\"auth\":\"\",\"identitytoken\":\"refresh-me\"}}}",
                 registry.host);
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        assert_true(count_tokens().refresh > 0);
        env_stop(env);
}

/* Notes who called it, and how, and what it was asked. */
static void put_helper(struct env *env, const char *user, const char *secret) {
        put_file(env, "/bin", "docker-credential-test", 0755,
                 "#!/bin/sh\nread -r server\necho \"$1 $(id -u) $server "
                 "$(cat /proc/$PPID/comm)\" >>%s/helper.log\n"
                 "case $1 in get) echo "
                 "'{\"ServerURL\":\"x\",\"Username\":\"%s\",\"Secret\":\"%s\"}' "
                 ";; esac\n",
                 env->root, user, secret);
}

static const char *helper_log(struct env *env) {
        static char text[4096];
        cleanup_close int fd = open(env_path(env, "/helper.log"), O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

        text[MAX(n, (ssize_t)0)] = '\0';
        return text;
}

/* credHelpers and credsStore: started by gadgetctl as the user, never by gadgetd, whose side sees
 * only what they answered. */
static void test_helpers(void **state) {
        struct env *env = *state;
        char path[1024], expected[160];
        struct run *run;

        start(env, REGISTRY_TOKEN);
        env_start(env, NULL);
        snprintf(path, sizeof(path), "%s:%s", env_path(env, "/bin"), saved_path);
        setenv("PATH", path, 1);
        env_ctl(env, 0, "tag", "trace_open", image("t/open:1"), NULL);
        put_helper(env, "user", "secret");
        put_file(env, "/.docker", "config.json", 0600, "{\"credHelpers\":{\"%s\":\"test\"}}",
                 registry.host);
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        snprintf(expected, sizeof(expected), "get %u %s gadgetctl\n", geteuid(), registry.host);
        assert_string_equal(helper_log(env), expected);

        /* One that gives a refresh token, for every registry. */
        put_helper(env, "<token>", "refresh-me");
        put_file(env, "/.docker", "config.json", 0600, "{\"credsStore\":\"test\"}");
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        assert_true(count_tokens().refresh > 0);

        /* login gives it to the helper and writes no secret; logout has it erased. */
        login(env, "secret");
        assert_non_null(strstr(helper_log(env), "store "));
        env_ctl(env, 0, "logout", registry.host, NULL);
        assert_non_null(strstr(helper_log(env), "erase "));
        run = env_exec(env, "grep", "-r", "c2VjcmV0\\|secret", env_path(env, "/.docker"), NULL);
        assert_int_equal(run_exit(run), 1);

        /* What is no plain name is not run. */
        put_file(env, "/.docker", "config.json", 0600, "{\"credsStore\":\"../../bin/sh\"}");
        run = env_run(env, "pull", image("t/open:1"), NULL);
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "no name of a credential helper"));
        env_stop(env);
}

/* The registry wants a certificate of the client's: from --cert-dir, or from certs.d by host. */
static void test_client_certificate(void **state) {
        struct env *env = *state;
        char client[128], ca_only[128], command[512];
        struct run *run;

        start(env, REGISTRY_TLS | REGISTRY_CLIENT_CERT);
        env_start(env, NULL);
        snprintf(client, sizeof(client), "%s/client", registry.dir);
        snprintf(ca_only, sizeof(ca_only), "%s/ca-only", registry.dir);
        snprintf(command, sizeof(command), "mkdir -p %s %s/etc/docker/certs.d && cp %s/ca.crt %s",
                 ca_only, env->root, registry.dir, ca_only);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
        env_ctl(env, 0, "tag", "trace_open", image("t/open:1"), NULL);
        run = env_run(env, "push", "--cert-dir", ca_only, image("t/open:1"), NULL);
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "certificate")); /* the alert is named */
        env_ctl(env, 0, "push", "--cert-dir", client, image("t/open:1"), NULL);

        snprintf(command, sizeof(command), "cp -r %s %s/etc/docker/certs.d/%s", client, env->root,
                 registry.host);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
        env_ctl(env, 0, "image", "prune", "--all", NULL);
        env_ctl(env, 0, "pull", image("t/open:1"), NULL);
        env_stop(env);
}

/* --- ways --- */

static void put_config(struct env *env, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put_config(struct env *env, const char *fmt, ...) {
        char text[1024];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        put_file(env, GADGET_CONFDIR, "gadgetd.yaml", 0644, "%s", text);
}

static void put_credentials(struct env *env, const char *host) {
        put_file(env, "/.docker", "config.json", 0600,
                 "{\"auths\":{\"%s\":{\"auth\":\"dXNlcjpzZWNyZXQ=\"}}}", host);
}

/* The mirror is asked first and hears nothing of the user; when it is wrong or gone, the registry
 * itself is asked. */
static void test_mirrors(void **state) {
        static const struct {
                enum httpd_lie lie;
                bool has_origin_to_help;
        } cases[] = {
                { LIE_NONE, false },         { LIE_WRONG_BYTES, true }, { LIE_BOTH_KINDS, true },
                { LIE_REDIRECT_LOOP, true }, { LIE_LOGIN_LOOP, true },
        };
        struct env *env = *state;
        char name[64], host[32];
        struct httpd *origin, *mirror;

        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                origin = httpd_new(LIE_NONE);
                mirror = httpd_new(cases[i].lie);
                put_config(
                        env,
                        "registries:\n  - host: 127.0.0.1:%u\n    plain-http: true\n    mirrors: "
                        "[\"localhost:%u\"]\n  - host: localhost:%u\n    plain-http: true\n",
                        httpd_port(origin), httpd_port(mirror), httpd_port(mirror));
                snprintf(host, sizeof(host), "127.0.0.1:%u", httpd_port(origin));
                put_credentials(env, host);
                env_start(env, NULL);
                snprintf(name, sizeof(name), "%s/m/thing:1", host);
                env_ctl(env, 0, "pull", name, NULL);
                assert_true(httpd_requests(mirror) > 0);
                assert_int_equal(httpd_requests(origin) > 0, cases[i].has_origin_to_help);
                assert_int_equal(httpd_authorizations(mirror), 0);
                env_ctl(env, 0, "image", "fsck", NULL);
                env_ctl(env, 0, "image", "prune", "--all", NULL);
                env_stop(env);
                httpd_free(mirror);
                httpd_free(origin);
        }
        /* A mirror that is not there at all. */
        origin = httpd_new(LIE_NONE);
        put_config(env,
                   "registries:\n  - host: 127.0.0.1:%u\n    plain-http: true\n    mirrors: "
                   "[\"127.0.0.1:%u\"]\n",
                   httpd_port(origin), free_port());
        env_start(env, NULL);
        snprintf(name, sizeof(name), "127.0.0.1:%u/m/thing:1", httpd_port(origin));
        env_ctl(env, 0, "pull", name, NULL);
        env_stop(env);
        httpd_free(origin);
}

/* A name without host is pulled by the configured prefix, and run is what pulls it. */
static void test_short_names(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        struct env *env = *state;
        struct run *run;
        json_t *list;

        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        env_start(env, NULL);
        run = env_ctl(env, 1, "pull", "thing:1", NULL);
        assert_non_null(strstr(run_err(run), "short-names"));
        env_stop(env);
        put_config(env,
                   "short-names:\n  prefix: 127.0.0.1:%u/some/team\nregistries:\n  - host: "
                   "127.0.0.1:%u\n    plain-http: true\n",
                   httpd_port(httpd), httpd_port(httpd));
        env_start(env, NULL);
        env_ctl(env, 1, "run", "--pull", "never", "thing:1", NULL);
        assert_int_equal(httpd_requests(httpd), 0);
        run = env_run(env, "run", "thing:1", NULL); /* it is no gadget, but it is fetched */
        assert_int_not_equal(run_exit(run), 0);
        assert_true(httpd_saw(httpd, "GET /v2/some/team/thing/manifests/1 "));
        list = env_ctl_json(env, "image", "list", "-o", "json", NULL);
        assert_true(json_array_size(list) > 0);
        json_decref(list);
        env_ctl(env, 0, "image", "inspect", "trace_open", NULL); /* bundled: nobody is asked */
        assert_false(httpd_saw(httpd, "trace_open"));
        env_stop(env);
        httpd_free(httpd);
}

/* $http_proxy for what is spoken by http, $https_proxy for the rest, $no_proxy against both. */
static void test_proxies(void **state) {
        struct httpd *proxy = httpd_new(LIE_NONE);
        struct env *env = *state;
        char url[64];
        struct run *run;

        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        put_credentials(env, "registry.invalid");
        snprintf(url, sizeof(url), "http://127.0.0.1:%u", httpd_port(proxy));
        env_start(env, NULL);
        setenv("http_proxy", url, 1);
        env_ctl(env, 0, "pull", "--plain-http", "registry.invalid/p/thing:1", NULL);
        assert_true(httpd_saw(proxy, "GET http://registry.invalid/v2/p/thing/manifests/1 "));
        setenv("no_proxy", "registry.invalid", 1);
        run = env_run(env, "pull", "--plain-http", "registry.invalid/p/other:1", NULL);
        assert_int_equal(run_exit(run), 1);
        assert_false(httpd_saw(proxy, "p/other"));
        unsetenv("no_proxy");
        unsetenv("http_proxy");
        setenv("https_proxy", url, 1);
        run = env_run(env, "pull", "registry.invalid/p/third:1", NULL);
        assert_int_equal(run_exit(run), 1); /* this proxy knows no CONNECT */
        assert_true(httpd_saw(proxy, "CONNECT registry.invalid:443 "));
        assert_false(httpd_saw(proxy, "p/third"));
        assert_false(httpd_saw(proxy, "dXNlcjpzZWNyZXQ="));
        env_stop(env);
        httpd_free(proxy);
}

/* Two pulls of the same content under two names: their blobs are asked for at the same time, and
 * each once. */
static void test_blobs_are_shared(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        struct env *env = *state;
        struct run *runs[2];
        char name[64];

        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        env_start(env, NULL);
        httpd_hold_blobs(httpd);
        for (int i = 0; i < 2; i++) {
                snprintf(name, sizeof(name), "127.0.0.1:%u/shared/%d:1", httpd_port(httpd), i);
                runs[i] = env_run(env, "pull", "--plain-http", name, NULL);
                /* Also the signatures were asked for: nothing but blobs is missing. */
                snprintf(name, sizeof(name), "GET /v2/shared/%d/referrers/", i);
                assert_true(WAIT_UNTIL(httpd_saw(httpd, name), WAIT_DEFAULT));
        }
        /* Both blobs of the first pull at once, neither answered. */
        assert_true(WAIT_UNTIL(httpd_count(httpd, "/blobs/sha256:") == 2, WAIT_DEFAULT));
        httpd_release_blobs(httpd);
        assert_int_equal(run_exit(runs[0]), 0);
        assert_int_equal(run_exit(runs[1]), 0);
        assert_int_equal(httpd_count(httpd, "/blobs/sha256:"), 2);
        env_ctl(env, 0, "image", "fsck", NULL);
        env_stop(env);
        httpd_free(httpd);
}

/* Bars with bytes and a rate on a terminal, lines elsewhere, and the digest alone with --quiet. */
static void test_progress(void **state) {
        struct httpd *httpd = httpd_new(LIE_NONE);
        struct env *env = *state;
        char command[512], name[64];
        struct run *run;

        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        env_start(env, NULL);
        snprintf(name, sizeof(name), "127.0.0.1:%u/p/thing:1", httpd_port(httpd));
        snprintf(command, sizeof(command), "%s/gadgetctl --root %s pull --plain-http %s",
                 env_path(env, "%s", GADGET_BINDIR), env->root, name);
        run = env_exec(env, "script", "-qec", command, "/dev/null", NULL);
        assert_int_equal(run_exit(run), 0);
        assert_non_null(strstr(run_out(run), "[==============================] 12 KiB/12 KiB "));
        assert_non_null(strstr(run_out(run), "/s\033[K"));
        env_ctl(env, 0, "image", "prune", "--all", NULL);

        run = env_ctl(env, 0, "pull", "--plain-http", name, NULL);
        assert_non_null(strstr(run_err(run), ": done, 12 KiB\n"));
        assert_null(strchr(run_err(run), '\r'));
        assert_null(strchr(run_err(run), '\033'));
        env_ctl(env, 0, "image", "prune", "--all", NULL);

        run = env_ctl(env, 0, "pull", "--plain-http", "--quiet", name, NULL);
        assert_int_equal(strlen(run_out(run)), strlen("sha256:") + 64 + 1);
        assert_string_equal(run_err(run), "");
        env_stop(env);
        httpd_free(httpd);
}

/* While a pull with credentials is on its way: nothing of them in any process's arguments or
 * environment, nor in what gadgetd logs. */
static void test_secrets_are_nowhere(void **state) {
        struct httpd *httpd = httpd_new(LIE_SLOW);
        struct env *env = *state;
        char name[64], host[32], daemon[16], client[16];
        struct run *run, *found;

        test_needs(NEED_ROOT);
        setenv("HOME", env->root, 1);
        snprintf(host, sizeof(host), "127.0.0.1:%u", httpd_port(httpd));
        put_credentials(env, host);
        env_start(env, NULL);
        snprintf(name, sizeof(name), "%s/s/thing:1", host);
        run = env_run(env, "pull", "--plain-http", name, NULL);
        run_wait_err(run, "done"); /* its config, so it has begun */
        snprintf(daemon, sizeof(daemon), "%d", run_pid(env->daemon));
        snprintf(client, sizeof(client), "%d", run_pid(run));
        found = env_exec(env, "sh", "-c",
                         "for p in $0 $1 $(cat /proc/$0/task/*/children); do "
                         "grep -l 'dXNlcjpzZWNyZXQ\\|user:secret' /proc/$p/cmdline "
                         "/proc/$p/environ; done; true",
                         daemon, client, NULL);
        assert_int_equal(run_exit(found), 0);
        assert_string_equal(run_out(found), "");
        run_signal(run, SIGINT);
        (void)run_exit(run);
        assert_null(strstr(run_err(env->daemon), "secret"));
        assert_null(strstr(run_err(env->daemon), "dXNlcjpzZWNyZXQ"));
        env_stop(env);
        httpd_free(httpd);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_bearer),   ENV_TEST(test_identity_token),
        ENV_TEST(test_helpers),  ENV_TEST(test_client_certificate),
        ENV_TEST(test_mirrors),  ENV_TEST(test_short_names),
        ENV_TEST(test_proxies),  ENV_TEST(test_blobs_are_shared),
        ENV_TEST(test_progress), ENV_TEST(test_secrets_are_nowhere),
};

TEST_MAIN("registry-access", tests)
