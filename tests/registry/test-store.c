/* SPDX-License-Identifier: Apache-2.0 */
/* The store as others see it: two gadgetd in one, skopeo and umoci beside them, archives with
 * images of both stores, and other clients while a large one is imported. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/env.h"
#include "tests/lib/peer.h"
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

/* Runs a command of the shell in the root of the test; its standard output is valid until the next
 * call. */
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
        if (run_exit_within(run, 120 * NSEC_PER_SEC) != 0)
                run_fail(run, "%s", command);
        return run_out(run);
}

static bool is_listed(json_t *list, const char *name) {
        bool found = false;
        json_t *item;
        size_t i;

        json_array_foreach(list, i, item) {
                found |= strstr(row_str(item, "name"), name) != NULL;
        }
        return found;
}

static bool has(struct env *env, const char *name) {
        json_t *list = env_ctl_json(env, "image", "list", "-o", "json", NULL);
        bool found = is_listed(list, name);

        json_decref(list);
        return found;
}

static void assert_sound(struct env *env) {
        json_t *report = env_ctl_json(env, "image", "fsck", "-o", "json", NULL);

        assert_int_equal(json_array_size(row_get(report, "quarantined")), 0);
        json_decref(report);
}

/* --- others' tools --- */

/* What was pulled is a layout for umoci and skopeo, and what skopeo copies out of it comes back as
 * the same image. */
static void test_others_read_a_pulled_store(void **state) {
        struct env *env = *state;
        char store[128];

        test_needs(NEED_ROOT);
        test_needs(NEED_REGISTRY);
        test_needs(NEED_SKOPEO);
        test_needs(NEED_UMOCI);
        env_start(env, NULL);
        registry_start(&registry, 0);
        snprintf(store, sizeof(store), "%s/store", env_path(env, "%s", GADGET_STATEDIR));
        env_ctl(env, 0, "tag", "trace_open", image("t/open:1"), NULL);
        env_ctl(env, 0, "push", image("t/open:1"), NULL);
        env_ctl(env, 0, "image", "remove", image("t/open:1"), NULL);
        env_ctl(env, 0, "image", "prune", "--all", NULL);
        env_ctl(env, 0, "pull", "--all-platforms", image("t/open:1"), NULL);

        assert_non_null(strstr(shell(env, "umoci ls --layout %s", store), image("t/open:1")));
        /* umoci's names end at a colon, so it is given one of its own for what it looks into. */
        shell(env, "skopeo copy -q --all oci:%s:%s oci:plain:open", store, image("t/open:1"));
        assert_non_null(strstr(shell(env, "umoci ls --layout plain"), "open"));
        shell(env, "umoci gc --layout plain");
        assert_non_null(
                strstr(shell(env, "skopeo inspect --raw oci:plain:open"), "vnd.oci.image.index"));
        shell(env,
              "cmp $(echo plain/blobs/sha256/* | tr ' ' '\\n' | head -1) %s/blobs/sha256/$(ls "
              "plain/blobs/sha256 | head -1)",
              store);

        env_ctl(env, 0, "image", "remove", image("t/open:1"), NULL);
        shell(env, "skopeo copy -q --all oci:plain:open oci:named:%s", image("t/again:1"));
        env_ctl(env, 0, "image", "import", env_path(env, "/named"), NULL);
        assert_true(has(env, "t/again:1"));
        assert_sound(env);
        env_stop(env);
}

/* --- two of them --- */

/* A gadgetd with a run directory of its own and the other's store. */
static struct run *start_second(struct env *env) {
        struct run *run;

        shell(env,
              "mkdir -p second/var/lib second/etc && ln -s ../usr second/usr && "
              "ln -s %s second/var/lib/gadgetd",
              env_path(env, "%s", GADGET_STATEDIR));
        run = env_exec(env, env_path(env, "%s/gadgetd", GADGET_BINDIR), "--root",
                       env_path(env, "/second"), NULL);
        assert_true(WAIT_UNTIL(
                access(env_path(env, "/second%s/gadgetd.sock", GADGET_RUNDIR), F_OK) == 0,
                WAIT_DEFAULT));
        return run;
}

static struct run *second_ctl(struct env *env, const char *verb, const char *a, const char *b) {
        return env_exec(env, env_path(env, "%s/gadgetctl", GADGET_BINDIR), "--root",
                        env_path(env, "/second"), verb, a, b, NULL);
}

/* Both tag, remove and list at once, again and again: nothing is lost, nothing is damaged, and each
 * sees what the other wrote. */
static void test_two_gadgetd_on_one_store(void **state) {
        struct env *env = *state;
        struct run *second, *runs[2];
        char name[64];

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        env_ctl(env, 0, "tag", "trace_open", "shared:first", NULL);
        second = start_second(env);
        for (int i = 0; i < 12; i++) {
                snprintf(name, sizeof(name), "from-one:%d", i);
                runs[0] = env_run(env, "tag", "trace_open", name, NULL);
                snprintf(name, sizeof(name), "from-two:%d", i);
                runs[1] = second_ctl(env, "tag", "trace_exec", name);
                assert_int_equal(run_exit(runs[0]), 0);
                assert_int_equal(run_exit(runs[1]), 0);
        }
        for (int i = 0; i < 12; i++) {
                snprintf(name, sizeof(name), "from-one:%d", i);
                assert_true(has(env, name));
                snprintf(name, sizeof(name), "from-two:%d", i);
                assert_true(has(env, name));
        }
        /* Each removes the other's, while blobs are collected. */
        for (int i = 0; i < 12; i++) {
                snprintf(name, sizeof(name), "from-two:%d", i);
                runs[0] = env_run(env, "image", "remove", name, NULL);
                snprintf(name, sizeof(name), "from-one:%d", i);
                runs[1] = second_ctl(env, "image", "remove", name);
                assert_int_equal(run_exit(runs[0]), 0);
                assert_int_equal(run_exit(runs[1]), 0);
        }
        assert_false(has(env, "from-"));
        assert_true(has(env, "shared:first"));
        assert_sound(env);
        env_ctl(env, 0, "image", "inspect", "shared:first", NULL);
        run_signal(second, SIGTERM);
        assert_int_equal(run_exit(second), 0);
        env_stop(env);
}

/* --- archives --- */

/* One archive with a bundled and a local image, each signed: both come back with their signatures,
 * into a store that knows nothing of them. */
static void test_export_of_both_stores(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_SKOPEO);
        env_start(env, NULL);
        shell(env, "openssl ecparam -name prime256v1 -genkey -noout -out k.pem && "
                   "openssl ec -in k.pem -pubout -out k.pub 2>/dev/null");
        env_ctl(env, 0, "tag", "trace_exec", "mine/exec:1", NULL);
        env_ctl(env, 0, "image", "sign", "--key", env_path(env, "/k.pem"), "trace_open", NULL);
        env_ctl(env, 0, "image", "sign", "--key", env_path(env, "/k.pem"), "mine/exec:1", NULL);
        env_ctl(env, 0, "image", "export", "trace_open", "mine/exec:1", env_path(env, "/a.tar"),
                NULL);
        env_ctl(env, 0, "image", "export", "--format", "oci-dir", "trace_open", "mine/exec:1",
                env_path(env, "/dir"), NULL);
        shell(env,
              "skopeo inspect --raw oci:dir:mine/exec:1 | grep -q image.index && tar -tf a.tar | "
              "grep blobs/sha256/ | wc -l | grep -qx $(ls dir/blobs/sha256 | wc -l)");
        run = env_ctl(env, 1, "image", "export", "trace_open", "nothing:1", env_path(env, "/b.tar"),
                      NULL);
        assert_non_null(strstr(run_err(run), "nothing:1"));
        env_stop(env);

        shell(env, "rm -r %s/store", env_path(env, "%s", GADGET_STATEDIR));
        env_start(env, NULL);
        env_ctl(env, 4, "image", "verify", "--key", env_path(env, "/k.pub"), "trace_open", NULL);
        env_ctl(env, 0, "image", "import", env_path(env, "/a.tar"), NULL);
        env_ctl(env, 0, "image", "verify", "--key", env_path(env, "/k.pub"), "trace_open", NULL);
        env_ctl(env, 0, "image", "verify", "--key", env_path(env, "/k.pub"), "mine/exec:1", NULL);
        assert_sound(env);
        env_stop(env);
}

/* --- listing and pruning --- */

static void test_list_columns(void **state) {
        struct env *env = *state;
        char line[512] = "", *save = NULL, *word, *at;
        const char *expected[] = { "registry.example:5000/team/open", "v1", "sha256:" };
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        env_ctl(env, 0, "tag", "trace_open", "registry.example:5000/team/open:v1", NULL);
        run = env_ctl(env, 0, "image", "list", NULL);
        assert_non_null(str_after(run_out(run), "REPOSITORY"));
        at = strstr(run_out(run), "registry.example");
        assert_non_null(at);
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
        word = strtok_r(line, " ", &save);
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++, word = strtok_r(NULL, " ", &save))
                assert_int_equal(strncmp(word, expected[i], strlen(expected[i])), 0);
        assert_non_null(strchr(word, 'T')); /* when it was created */
        word = strtok_r(NULL, "", &save);
        assert_non_null(strstr(word, "amd64,arm64"));
        assert_non_null(strstr(word, "local"));
        env_stop(env);
}

/* An image that an instance runs is held: prune leaves it, until the instance has gone. */
static void test_prune_leaves_what_runs(void **state) {
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        env_ctl(env, 0, "tag", "trace_open", "held:1", NULL);
        env_ctl(env, 0, "tag", "trace_exec", "loose:1", NULL);
        env_ctl(env, 0, "run", "--detach", "--name", "holder", "held:1", NULL);
        env_wait_state(env, "holder", "running");
        env_ctl(env, 0, "image", "prune", "--all", NULL);
        assert_true(has(env, "held:1"));
        assert_false(has(env, "loose:1"));
        assert_sound(env);
        env_ctl(env, 0, "stop", "holder", NULL);
        env_ctl(env, 0, "image", "prune", "--all", NULL);
        assert_false(has(env, "held:1"));
        env_stop(env);
}

/* --- a large import --- */

/* A layout whose one layer is as large as a blob may be. */
static void make_large_layout(struct env *env) {
        shell(env,
              "mkdir -p big/blobs/sha256; cd big; put() { d=$(sha256sum $1 | cut -d' ' -f1); "
              "n=$(stat "
              "-c %%s $1); mv $1 blobs/sha256/$d; }; "
              "truncate -s %d layer; put layer; layer=$d; layer_n=$n; printf 'name: big\\n' "
              ">config; put "
              "config; "
              "printf '{\"schemaVersion\":2,\"mediaType\":\"application/"
              "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/"
              "vnd.gadget.config.v1+yaml\",\"digest\":\"sha256:%%s\",\"size\":%%s},\"layers\":[{"
              "\"mediaType\":\"application/"
              "vnd.gadget.ebpf.program.v1+binary\",\"digest\":\"sha256:%%s\",\"size\":%%s}]}' $d "
              "$n "
              "$layer $layer_n >m; put m; "
              "printf '{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
              "vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%%s\",\"size\":%%s,"
              "\"annotations\":{\"org.opencontainers.image.ref.name\":\"big:1\"}}]}' $d $n "
              ">index.json; "
              "printf '{\"imageLayoutVersion\":\"1.0.0\"}' >oci-layout",
              LIMIT_BLOB_SIZE_MAX);
}

/* Another client is served all the time: it is answered many times between the first byte of the
 * import and its end. */
static void test_import_blocks_nobody(void **state) {
        struct env *env = *state;
        unsigned int n_served = 0;
        struct peer *peer;
        struct rep_list list;
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        make_large_layout(env);
        peer = peer_new(env_connect(env));
        run = env_run(env, "image", "import", env_path(env, "/big"), NULL);
        while (run_is_alive(run)) {
                assert_int_equal(peer_call(peer, METHOD_INSTANCE_LIST,
                                           &(struct req_instance_list){ .all = false }, &list,
                                           NULL),
                                 0);
                n_served++;
        }
        assert_int_equal(run_exit(run), 0);
        print_message("%u lists while 256 MiB were imported\n", n_served);
        assert_true(n_served > LIMIT_BLOB_SIZE_MAX / LIMIT_BLOB_CHUNK_MAX / 4);
        assert_true(has(env, "big:1"));
        peer_free(peer);
        env_ctl(env, 0, "image", "remove", "big:1", NULL);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_others_read_a_pulled_store), ENV_TEST(test_two_gadgetd_on_one_store),
        ENV_TEST(test_export_of_both_stores),      ENV_TEST(test_list_columns),
        ENV_TEST(test_prune_leaves_what_runs),     ENV_TEST(test_import_blocks_nobody),
};

TEST_MAIN("registry-store", tests)
