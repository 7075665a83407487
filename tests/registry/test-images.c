/* SPDX-License-Identifier: Apache-2.0 */
/* Images between stores and Debian's docker-registry, with skopeo as a third party: push, pull,
 * login, policy and signatures, offline archives. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/registry/registry.h"

#define ENV_TEST(_name) cmocka_unit_test_setup_teardown(_name, env_setup, teardown)

static struct registry registry;

static int teardown(void **state) {
        if (registry.dir[0])
                registry_done(&registry);
        registry = (struct registry){ .port = 0 };
        return env_teardown(state);
}

static const char *image(const char *path) {
        static char text[128];

        snprintf(text, sizeof(text), "%s/%s", registry.host, path);
        return text;
}

static void start(struct env *env, int flags) {
        test_needs(NEED_ROOT);
        test_needs(NEED_SKOPEO);
        env_start(env, NULL);
        registry_start(&registry, flags);
        setenv("HOME", env->root, 1);
        unsetenv("REGISTRY_AUTH_FILE");
        env_ctl(env, 0, "tag", "trace_open", image("t/open:1"), NULL);
}

static bool is_here(struct env *env, const char *name) {
        json_t *list = env_ctl_json(env, "image", "list", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) {
                found |= str_eq(row_str(item, "name"), name);
        }
        json_decref(list);
        return found;
}

static void test_push_pull_and_skopeo(void **state) {
        struct env *env = *state;
        char source[256], layout[256], again[256];
        struct run *run;

        start(env, 0);
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        env_ctl(env, 0, "image", "remove", image("t/open:1"), NULL);
        run = env_ctl(env, 0, "pull", "-q", image("t/open:1"), NULL);
        assert_non_null(str_after(run_out(run), "sha256:"));
        assert_true(is_here(env, image("t/open:1")));
        run = env_ctl(env, 1, "pull", "--platform", "linux/s390x", image("t/open:1"), NULL);
        assert_non_null(strstr(run_err(run), "it offers: linux/amd64, linux/arm64"));

        /* There and back by skopeo: still the same bytes. */
        snprintf(source, sizeof(source), "docker://%s", image("t/open:1"));
        snprintf(layout, sizeof(layout), "oci:%s:1", env_path(env, "/layout"));
        snprintf(again, sizeof(again), "docker://%s", image("t/again:1"));
        run = env_exec(env, "skopeo", "copy", "--all", "--src-tls-verify=false", source, layout,
                       NULL);
        assert_int_equal(run_exit(run), 0);
        run = env_exec(env, "skopeo", "copy", "--all", "--dest-tls-verify=false", layout, again,
                       NULL);
        assert_int_equal(run_exit(run), 0);
        env_ctl(env, 0, "pull", "--all-platforms", image("t/again:1"), NULL);
        env_ctl(env, 0, "push", image("t/again:1"), NULL);
        env_stop(env);
}

static void test_login_over_tls(void **state) {
        struct env *env = *state;
        char ca[128], command[512];
        struct run *run;
        struct stat st;

        start(env, REGISTRY_TLS | REGISTRY_PASSWORD);
        snprintf(ca, sizeof(ca), "%s", registry.dir);
        run = env_run(env, "push", image("t/open:1"), NULL);
        assert_int_equal(run_exit(run), 1); /* its CA is not known, and http is no way round it */
        assert_non_null(strstr(run_err(run), "certificate"));
        run = env_run(env, "push", "--cert-dir", ca, image("t/open:1"), NULL);
        assert_int_not_equal(run_exit(run), 0); /* nobody is logged in */
        snprintf(command, sizeof(command),
                 "printf secret | %s/gadgetctl login -u user --password-stdin %s",
                 env_path(env, "%s", GADGET_BINDIR), registry.host);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
        assert_int_equal(stat(env_path(env, "/.docker/config.json"), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        env_ctl(env, 0, "push", "--cert-dir", ca, image("t/open:1"), NULL);
        env_ctl(env, 0, "pull", "--insecure", image("t/open:1"), NULL);
        env_ctl(env, 0, "logout", registry.host, NULL);
        run = env_run(env, "pull", "--cert-dir", ca, image("t/open:1"), NULL);
        assert_int_not_equal(run_exit(run), 0);
        env_stop(env);
}

static void make_key(struct env *env) {
        char command[512];
        struct run *run;

        snprintf(
                command, sizeof(command),
                "cd %s && openssl ecparam -name prime256v1 -genkey -noout -out k.pem && openssl ec "
                "-in k.pem -pubout -out k.pub",
                env->root);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
}

static void write_policy(struct env *env, const char *rules) {
        cleanup_close int fd = -1;
        char text[512];
        int n;

        n = snprintf(text, sizeof(text), "keys:\n  me: %s/k.pub\n%s", env->root, rules);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "%s", GADGET_CONFDIR), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, "policy.yaml", text, (size_t)n, 0644), 0);
}

/* Pulled and unsigned: refused. Signed: runs. Policy tightened: refused, though it is here. The
 * signature goes along with push, pull, export and import. */
static void test_policy_and_signatures(void **state) {
        struct env *env = *state;
        char name[128], rule[256], key[128], pub[128], archive[128];
        struct run *run;

        start(env, 0);
        test_needs(NEED_BPF_TRACEPOINT);
        snprintf(name, sizeof(name), "%s", image("t/open:1"));
        snprintf(key, sizeof(key), "%s/k.pem", env->root);
        snprintf(pub, sizeof(pub), "%s/k.pub", env->root);
        snprintf(archive, sizeof(archive), "%s/a.tar", env->root);
        make_key(env);
        env_ctl(env, 0, "push", name, NULL);
        env_ctl(env, 0, "image", "remove", name, NULL);
        env_ctl(env, 0, "pull", "--all-platforms", name, NULL);
        run = env_ctl(env, 4, "run", name, "--timeout", "200ms", NULL);
        assert_non_null(strstr(run_err(run), "--allow-unsigned"));
        env_ctl(env, 0, "run", name, "--timeout", "200ms", "--allow-unsigned", NULL);
        env_ctl(env, 4, "image", "verify", "--key", pub, name, NULL);
        env_ctl(env, 0, "image", "sign", "--key", key, name, NULL);
        env_ctl(env, 0, "image", "verify", "--key", pub, name, NULL);
        env_ctl(env, 4, "run", name, "--timeout", "200ms", NULL);
        write_policy(env, "");
        env_ctl(env, 0, "run", name, "--timeout", "200ms", NULL);
        env_ctl(env, 0, "push", name, NULL);
        env_ctl(env, 0, "image", "export", name, archive, NULL);

        snprintf(rule, sizeof(rule), "images:\n  - match: \"%s/t/*\"\n    digest: sha256:00\n",
                 registry.host);
        write_policy(env, rule);
        run = env_ctl(env, 4, "run", name, "--timeout", "200ms", NULL);
        assert_non_null(strstr(run_err(run), "policy.yaml line 4"));
        write_policy(env, "");
        env_ctl(env, 0, "image", "remove", name, NULL);
        env_ctl(env, 0, "image", "prune", NULL);
        env_ctl(env, 0, "pull", name, NULL);
        env_ctl(env, 0, "run", name, "--timeout", "200ms", NULL);

        registry_stop(&registry); /* no network from here on */
        env_ctl(env, 0, "image", "remove", name, NULL);
        env_ctl(env, 0, "image", "prune", NULL);
        env_ctl(env, 0, "image", "import", archive, NULL);
        env_ctl(env, 0, "image", "verify", "--key", pub, name, NULL);
        env_ctl(env, 0, "run", name, "--timeout", "200ms", "--pull", "never", NULL);
        env_stop(env);
}

/* The registry dies in the middle of a pull and comes back: the pull goes on. */
static void test_registry_is_restarted(void **state) {
        struct env *env = *state;
        struct run *run;

        start(env, 0);
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        env_ctl(env, 0, "image", "prune", "--all", NULL);
        /* Stopped, it accepts connections and says nothing: the pull is under way and waits. */
        run_signal(registry.run, SIGSTOP);
        run = env_run(env, "pull", "--plain-http", image("t/open:1"), NULL);
        assert_true(
                WAIT_UNTIL(env_child(env, run_pid(env->daemon), "gadget-fetch") > 0, WAIT_DEFAULT));
        registry_restart(&registry);
        assert_int_equal(run_exit(run), 0);
        assert_true(is_here(env, image("t/open:1")));
        env_stop(env);
}

static void test_fsck_quarantines(void **state) {
        struct env *env = *state;
        char command[512];
        struct run *run;
        json_t *report;

        start(env, 0);
        snprintf(command, sizeof(command),
                 "cd %s%s/store/blobs/sha256 && f=$(ls -S | head -1) && printf X | dd of=$f bs=1 "
                 "seek=10 conv=notrunc",
                 env->root, GADGET_STATEDIR);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
        report = env_ctl_json(env, "image", "fsck", "-o", "json", NULL);
        assert_int_equal(json_array_size(row_get(report, "quarantined")), 1);
        json_decref(report);
        report = env_ctl_json(env, "image", "fsck", "-o", "json", NULL);
        assert_int_equal(json_array_size(row_get(report, "quarantined")), 0);
        json_decref(report);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_push_pull_and_skopeo),  ENV_TEST(test_login_over_tls),
        ENV_TEST(test_policy_and_signatures), ENV_TEST(test_registry_is_restarted),
        ENV_TEST(test_fsck_quarantines),
};

TEST_MAIN("registry-images", tests)
