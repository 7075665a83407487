/* SPDX-License-Identifier: Apache-2.0 */
/* Images as a user handles them: build, tag, list, inspect, remove, run; and that others' tools can
 * read them. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/system/act.h"

static bool lists(struct env *env, const char *part) {
        json_t *list = env_ctl_json(env, "image", "list", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) {
                found |= strstr(row_str(item, "name"), part) != NULL;
        }
        json_decref(list);
        return found;
}

static void test_bundled_gadgets_are_listed(void **state) {
        struct env *env = *state;
        json_t *list, *item;
        size_t i;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        assert_true(lists(env, "trace_open"));
        assert_true(lists(env, "trace_exec"));
        list = env_ctl_json(env, "image", "list", "-o", "json", NULL);
        json_array_foreach(list, i, item) {
                assert_true(json_is_true(row_get(item, "bundled")));
                assert_string_equal(row_str(item, "architectures"), "amd64,arm64");
                assert_non_null(str_after(row_str(item, "digest"), "sha256:"));
        }
        json_decref(list);
        env_stop(env);
}

static void test_inspect_lists_permissions(void **state) {
        struct env *env = *state;
        json_t *image;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        image = env_ctl_json(env, "image", "inspect", "trace_open", "-o", "json", NULL);
        assert_true(json_array_size(row_get(image, "permissions.helpers")) > 0);
        assert_true(json_array_size(row_get(image, "permissions.maps")) > 0);
        assert_true(row_int(image, "permissions.map_bytes") > 0);
        assert_true(row_int(image, "permissions.map_bytes") < (1 << 20));
        json_decref(image);
        env_stop(env);
}

/* From a user's source to rows, and away again. */
static void test_build_tag_run_remove(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_CLANG_BPF);
        env_start(env, NULL);
        run = env_ctl(env, 0, "build", "--prog",
                      TEST_SOURCE_DIR "/gadgets/trace_open/program.bpf.c", "--definition",
                      TEST_SOURCE_DIR "/gadgets/trace_open/gadget.yaml", "mine:v1", NULL);
        assert_non_null(strstr(run_out(run), "sha256:"));
        assert_true(lists(env, "mine:v1"));
        env_ctl(env, 0, "tag", "mine:v1", "mine:v2", NULL);
        assert_true(lists(env, "mine:v2"));
        env_ctl(env, 0, "image", "remove", "mine:v1", NULL);
        assert_false(lists(env, "mine:v1"));
        run = env_run(env, "run", "mine:v2", "-o", "json", NULL);
        act_open_until_row(run, "built");
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        env_ctl(env, 0, "image", "rm", "mine:v2", NULL);
        assert_false(lists(env, "mine"));
        env_ctl(env, 1, "run", "mine:v2", NULL);
        env_stop(env);
}

/* Same source, same time, same bytes. */
static void test_build_is_deterministic(void **state) {
        struct env *env = *state;
        char first[128];
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_CLANG_BPF);
        env_start(env, NULL);
        setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
        run = env_ctl(env, 0, "build", TEST_SOURCE_DIR "/gadgets/trace_open", "a:1", NULL);
        assert_non_null(strstr(run_out(run), "sha256:"));
        snprintf(first, sizeof(first), "%.71s", strstr(run_out(run), "sha256:"));
        run = env_ctl(env, 0, "build", TEST_SOURCE_DIR "/gadgets/trace_open", "a:2", NULL);
        unsetenv("SOURCE_DATE_EPOCH");
        assert_non_null(strstr(run_out(run), first));
        env_stop(env);
}

/* What a hostile source directory is called stays a name: no shell ever sees it. */
static void test_build_never_runs_a_shell(void **state) {
        struct env *env = *state;
        const char *dir;
        struct run *run;
        cleanup_buf struct buf source = BUF_INIT(1 << 20);
        int fd = -1;

        test_needs(NEED_ROOT);
        test_needs(NEED_CLANG_BPF);
        env_start(env, NULL);
        dir = env_path(env, "/a;touch PWNED;$(touch PWNED)\n`touch PWNED`");
        assert_int_equal(make_dirs(AT_FDCWD, dir, 0755, &fd), 0);
        assert_int_equal(read_file_at(AT_FDCWD, TEST_SOURCE_DIR "/gadgets/trace_open/program.bpf.c",
                                      &source),
                         0);
        assert_int_equal(write_file_atomic(fd, "program.bpf.c", source.data, source.len, 0644), 0);
        close(fd);
        run = env_run(env, "build", dir, "hostile:1", NULL);
        assert_int_equal(run_exit(run), 0);
        assert_int_equal(access("PWNED", F_OK), -1);
        assert_int_equal(access(env_path(env, "/PWNED"), F_OK), -1);
        env_stop(env);
}

/* A source that does not compile: the compiler's words, exit code 1, no image. */
static void test_build_shows_compiler_errors(void **state) {
        struct env *env = *state;
        struct run *run;
        int fd = -1;

        test_needs(NEED_ROOT);
        test_needs(NEED_CLANG_BPF);
        env_start(env, NULL);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/broken"), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, "program.bpf.c", "int x = undeclared;\n", 20, 0644),
                         0);
        close(fd);
        run = env_ctl(env, 1, "build", env_path(env, "/broken"), "broken:1", NULL);
        assert_non_null(strstr(run_err(run), "undeclared"));
        assert_false(lists(env, "broken"));
        env_stop(env);
}

static void test_skopeo_reads_our_images(void **state) {
        struct env *env = *state;
        char source[600];
        struct run *run;
        json_t *index;

        test_needs(NEED_ROOT);
        test_needs(NEED_SKOPEO);
        snprintf(source, sizeof(source), "oci:%s/store:trace_open:latest",
                 env_path(env, "%s", GADGET_DATADIR));
        run = env_exec(env, "skopeo", "inspect", "--raw", source, NULL);
        if (run_exit(run) != 0)
                run_fail(run, "skopeo does not read it");
        index = json_loads(run_out(run), 0, NULL);
        assert_non_null(index);
        assert_string_equal(row_str(index, "mediaType"), "application/vnd.oci.image.index.v1+json");
        assert_int_equal(json_array_size(row_get(index, "manifests")), 2);
        json_decref(index);
}

/* A blob that was tampered with is noticed before anything of it runs. */
static void test_tampered_blob_is_refused(void **state) {
        struct env *env = *state;
        char command[1024];
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_CLANG_BPF);
        env_start(env, NULL);
        env_ctl(env, 0, "build", TEST_SOURCE_DIR "/gadgets/trace_open", "t:1", NULL);
        snprintf(command, sizeof(command),
                 "cd '%s%s/store/blobs/sha256' && for f in *; do printf X | dd of=$f bs=1 seek=$(( "
                 "$(stat -c %%s $f) / 2 )) "
                 "conv=notrunc status=none; done",
                 env->root, GADGET_STATEDIR);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
        run = env_ctl(env, 1, "run", "t:1", "--timeout", "2", NULL);
        assert_non_null(strstr(run_err(run), "digest"));
        env_ctl(env, 0, "run", "trace_open", "--timeout", "200ms", NULL);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_bundled_gadgets_are_listed), ENV_TEST(test_inspect_lists_permissions),
        ENV_TEST(test_build_tag_run_remove),       ENV_TEST(test_build_is_deterministic),
        ENV_TEST(test_build_never_runs_a_shell),   ENV_TEST(test_build_shows_compiler_errors),
        ENV_TEST(test_skopeo_reads_our_images),    ENV_TEST(test_tampered_blob_is_refused),
};

TEST_MAIN("images", tests)
