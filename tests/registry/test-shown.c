/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a gadget image from its source to another host, as a user types it: build, push,
 * skopeo, import, run; a registry and a gadgetd that die on the way; signatures and policy; and all
 * that works without any network. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/env.h"
#include "tests/registry/registry.h"

#define ENV_TEST(_name) cmocka_unit_test_setup_teardown(_name, env_setup, teardown)
#define SOURCE TEST_SOURCE_DIR "/gadgets/trace_open"

static struct registry registry;

static int teardown(void **state) {
        if (registry.dir[0])
                registry_done(&registry);
        registry = (struct registry){ .port = 0 };
        return env_teardown(state);
}

static const char *image(const char *path) {
        static char texts[4][128];
        static size_t next;
        char *text = texts[next++ % ARRAY_SIZE(texts)];

        snprintf(text, sizeof(texts[0]), "localhost:%u/%s", registry.port, path);
        return text;
}

static struct run *shell(struct env *env, const char *fmt, ...) PRINTF_LIKE(2, 3);
static struct run *shell(struct env *env, const char *fmt, ...) {
        char command[2048];
        struct run *run;
        va_list args;
        int n = snprintf(command, sizeof(command), "PATH=%s:$PATH; cd %s && ",
                         env_path(env, "%s", GADGET_BINDIR), env->root);

        va_start(args, fmt);
        vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, args);
        va_end(args);
        run = env_exec(env, "sh", "-ec", command, NULL);
        if (run_exit_within(run, 60 * NSEC_PER_SEC) != 0)
                run_fail(run, "%s", command);
        return run;
}

static bool has_row(struct run *run, const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_true(fd < 0);
        if (!run_is_alive(run))
                run_fail(run, "it ended");
        return strstr(run_out(run), path) != NULL;
}

/* Starts it and opens a path that is not there until a row says so. */
static void assert_events(struct run *run, const char *path) {
        assert_true(WAIT_UNTIL(has_row(run, path), 3 * WAIT_DEFAULT));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
}

static void need_all(void) {
        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        test_needs(NEED_SKOPEO);
        test_needs(NEED_CLANG_BPF);
        test_needs(NEED_BPF_TRACEPOINT);
}

static void test_build_push_skopeo_import_run(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *index;

        need_all();
        env_start(env, NULL);
        registry_start(&registry, 0);
        shell(env, "gadgetctl --root $PWD build " SOURCE " %s && gadgetctl --root $PWD push %s",
              image("t/open:1"), image("t/open:1"));
        run = shell(env, "skopeo inspect --tls-verify=false --raw docker://%s", image("t/open:1"));
        index = json_loads(run_out(run), 0, NULL);
        assert_string_equal(row_str(index, "mediaType"), "application/vnd.oci.image.index.v1+json");
        assert_int_equal(json_array_size(row_get(index, "manifests")), 2);
        json_decref(index);

        shell(env, "skopeo copy -q --all --src-tls-verify=false docker://%s oci:layout:%s",
              image("t/open:1"), image("t/imported:1"));
        env_ctl(env, 0, "image", "import", env_path(env, "/layout"), NULL);
        run = env_run(env, "run", image("t/imported:1"), "--allow-unsigned", "-o", "json", NULL);
        assert_events(run, "/nonexistent/imported");

        /* What skopeo copied from one place of the registry to another is pulled by run. */
        shell(env,
              "skopeo copy -q --all --src-tls-verify=false --dest-tls-verify=false docker://%s "
              "docker://%s",
              image("t/open:1"), image("u/copied:2"));
        run = env_run(env, "run", image("u/copied:2"), "--allow-unsigned", "-o", "json", NULL);
        assert_events(run, "/nonexistent/copied");
        env_stop(env);
}

/* --- what dies on the way --- */

#define LARGE (200u << 20)

/* An image with one layer that takes a while, in the registry only. */
static void push_large(struct env *env) {
        shell(env,
              "mkdir -p big/blobs/sha256; cd big; put() { d=$(sha256sum $1 | cut -d' ' -f1); "
              "n=$(stat -c %%s $1); mv $1 blobs/sha256/$d; }; "
              "head -c %u /dev/zero | openssl enc -aes-128-ctr -nosalt -K 01 -iv 02 >layer "
              "2>/dev/null; put layer; layer=$d; layer_n=$n; "
              "printf 'name: big\\n' >config; put config; "
              "printf '{\"schemaVersion\":2,\"mediaType\":\"application/"
              "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/"
              "vnd.gadget.config.v1+yaml\",\"digest\":\"sha256:%%s\",\"size\":%%s},\"layers\":[{"
              "\"mediaType\":\"application/"
              "vnd.gadget.ebpf.program.v1+binary\",\"digest\":\"sha256:%%s\",\"size\":%%s}]}' $d "
              "$n $layer $layer_n >m; put m; "
              "printf '{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
              "vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%%s\",\"size\":%%s,"
              "\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}}]}' $d $n "
              ">index.json; printf '{\"imageLayoutVersion\":\"1.0.0\"}' >oci-layout",
              LARGE, image("t/big:1"));
        env_ctl(env, 0, "image", "import", env_path(env, "/big"), NULL);
        shell(env, "gadgetctl --root $PWD push -q %s && rm -r big", image("t/big:1"));
        env_ctl(env, 0, "image", "prune", "--all", NULL);
}

/* Bytes that have been fetched of the large layer and are not a blob yet. */
static uint64_t partial_size(struct env *env) {

        char command[512], text[32] = "";
        FILE *f;

        snprintf(command, sizeof(command),
                 "stat -c %%s %s%s/store/.part-* 2>/dev/null | sort -n | tail -1", env->root,
                 GADGET_STATEDIR);
        f = popen(command, "re");
        assert_non_null(f);
        (void)!fgets(text, sizeof(text), f);
        pclose(f);
        return strtoull(text, NULL, 10);
}

/* What the registry has written to anybody since it was started. */
static uint64_t bytes_sent(void) {
        cleanup_buf struct buf text = BUF_INIT(4096);
        char path[64];
        const char *at;

        snprintf(path, sizeof(path), "/proc/%d/io", run_pid(registry.run));
        assert_int_equal(read_file_at(AT_FDCWD, path, &text), 0);
        at = memmem(text.data, text.len, "wchar: ", 7);
        assert_non_null(at);
        return strtoull(at + 7, NULL, 10);
}

static void test_registry_is_killed_in_a_blob(void **state) {
        struct env *env = *state;
        uint64_t before, after;
        struct run *run;

        need_all();
        env_start(env, NULL);
        registry_start(&registry, 0);
        push_large(env);
        run = env_run(env, "pull", image("t/big:1"), NULL);
        assert_true(WAIT_UNTIL(partial_size(env) > 8u << 20, 3 * WAIT_DEFAULT));
        registry_stop(&registry); /* SIGKILL */
        before = partial_size(env);
        assert_true(before > 8u << 20 && before < LARGE);
        registry_restart(&registry);
        assert_int_equal(run_exit_within(run, 60 * NSEC_PER_SEC), 0);
        after = bytes_sent();
        print_message("%llu MiB had come, the registry sent %llu of %u MiB after its restart\n",
                      (unsigned long long)before >> 20, (unsigned long long)after >> 20,
                      LARGE >> 20);
        assert_true(after < LARGE - before + (4u << 20));
        env_ctl(env, 0, "image", "fsck", NULL);
        assert_int_equal(partial_size(env), 0);
        env_stop(env);
}

/* gadgetd itself is killed in the middle: the next one goes on where it was. */
static void test_gadgetd_is_killed_in_a_blob(void **state) {
        struct env *env = *state;
        uint64_t before, sent;
        struct run *run;

        need_all();
        env_start(env, "--no-spare", NULL);
        registry_start(&registry, 0);
        push_large(env);
        run = env_run(env, "pull", image("t/big:1"), NULL);
        assert_true(WAIT_UNTIL(partial_size(env) > 8u << 20, 3 * WAIT_DEFAULT));
        run_signal(env->daemon, SIGKILL);
        assert_int_not_equal(run_exit(env->daemon), 0);
        assert_int_not_equal(run_exit(run), 0);
        before = partial_size(env);
        assert_true(before < LARGE);
        env_start(env, "--no-spare", NULL);
        env_ctl(env, 0, "image", "fsck", NULL);
        sent = bytes_sent();
        env_ctl(env, 0, "pull", image("t/big:1"), NULL);
        sent = bytes_sent() - sent;
        print_message("%llu MiB had come, the registry sent %llu of %u MiB after that\n",
                      (unsigned long long)before >> 20, (unsigned long long)sent >> 20,
                      LARGE >> 20);
        assert_true(sent < LARGE - before + (4u << 20));
        env_stop(env);
}

/* --- signatures, policy, no network --- */

static void put_policy(struct env *env, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put_policy(struct env *env, const char *fmt, ...) {
        cleanup_close int fd = -1;
        char text[1024];
        va_list args;
        int n;

        va_start(args, fmt);
        n = vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "%s", GADGET_CONFDIR), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, "policy.yaml", text, (size_t)n, 0644), 0);
}

/* Everything below runs where there is no interface but a loopback that is down. */
static void test_sign_tighten_and_go_offline(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *index;
        char id[20];

        need_all();
        env_start(env, NULL);
        registry_start(&registry, 0);
        shell(env, "for k in me other; do openssl ecparam -name prime256v1 -genkey -noout -out "
                   "$k.pem && openssl ec -in $k.pem -pubout -out $k.pub 2>/dev/null; done");
        env_ctl(env, 0, "tag", "trace_open", image("t/open:1"), NULL);
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        env_ctl(env, 0, "image", "prune", "--all", NULL);
        env_ctl(env, 0, "pull", "--all-platforms", image("t/open:1"), NULL);
        env_ctl(env, 0, "image", "sign", "--key", env_path(env, "/me.pem"), image("t/open:1"),
                NULL);
        put_policy(env, "keys:\n  me: %s/me.pub\n", env->root);
        env_ctl(env, 0, "run", image("t/open:1"), "--timeout", "200ms", NULL);
        /* Which policy admitted it, and when, stands with the image. */
        index = env_ctl_json(env, "image", "inspect", image("t/open:1"), "-o", "json", NULL);
        assert_non_null(str_after(row_str(index, "policy"), "sha256:"));
        snprintf(id, sizeof(id), "%.19s", row_str(index, "policy"));
        assert_non_null(strstr(row_str(index, "admitted"), id));
        json_decref(index);
        put_policy(env,
                   "keys:\n  other: %s/other.pub\nimages:\n  - match: \"localhost:%u/*\"\n    "
                   "signed-by: [other]\n",
                   env->root, registry.port);
        run = env_ctl(env, 4, "run", image("t/open:1"), "--timeout", "200ms", NULL);
        print_message("%s", run_err(run));
        assert_non_null(strstr(run_err(run), "policy.yaml line 4"));
        put_policy(env, "keys:\n  me: %s/me.pub\n", env->root);
        env_stop(env);

        shell(env, "unshare -n gadgetctl --root $PWD image export %s a.tar", image("t/open:1"));
        shell(env, "rm -r .%s/store; unshare -n gadgetctl --root $PWD image import a.tar",
              GADGET_STATEDIR);
        shell(env, "unshare -n gadgetctl --root $PWD image verify --key me.pub %s",
              image("t/open:1"));
        run = env_exec(env, "unshare", "-n", env_path(env, "%s/gadgetctl", GADGET_BINDIR), "--root",
                       env->root, "run", image("t/open:1"), "-o", "json", NULL);
        assert_events(run, "/nonexistent/offline");
        /* And signing needs none either. */
        shell(env,
              "unshare -n gadgetctl --root $PWD image sign --key other.pem %s && unshare -n "
              "gadgetctl --root $PWD image verify --key other.pub %s",
              image("t/open:1"), image("t/open:1"));
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_build_push_skopeo_import_run),
        ENV_TEST(test_registry_is_killed_in_a_blob),
        ENV_TEST(test_gadgetd_is_killed_in_a_blob),
        ENV_TEST(test_sign_tighten_and_go_offline),
};

TEST_MAIN("registry-shown", tests)
