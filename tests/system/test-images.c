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
        assert_true(row_int(image, "map_bytes") > 0);
        assert_true(row_int(image, "map_bytes_declared") >= row_int(image, "map_bytes"));
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

/* "sha256:..." of what `build` printed; valid until the next call. */
static const char *built_digest(struct run *run) {
        static char digest[128];
        const char *at = strstr(run_out(run), "sha256:");

        assert_non_null(at);
        snprintf(digest, sizeof(digest), "%.71s", at);
        return digest;
}

static void copy_sources(struct env *env, const char *dir) {
        char command[1024];
        struct run *run;

        snprintf(command, sizeof(command),
                 "mkdir -p %s && cp " TEST_SOURCE_DIR
                 "/gadgets/trace_open/program.bpf.c " TEST_SOURCE_DIR
                 "/gadgets/trace_open/gadget.yaml %s",
                 dir, dir);
        run = env_exec(env, "sh", "-c", command, NULL);
        assert_int_equal(run_exit(run), 0);
}

/* Same source, same SOURCE_DATE_EPOCH: same bytes, from whatever directory and whenever. Without it
 * the image says when it was built. */
static void test_build_is_reproducible(void **state) {
        struct env *env = *state;
        char first[128], here[128], there[128];
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_CLANG_BPF);
        snprintf(here, sizeof(here), "%s", env_path(env, "/here"));
        snprintf(there, sizeof(there), "%s", env_path(env, "/some/where/else"));
        copy_sources(env, here);
        copy_sources(env, there);
        env_start(env, NULL);
        setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
        snprintf(first, sizeof(first), "%s",
                 built_digest(env_ctl(env, 0, "build", here, "a:1", NULL)));
        /* Another second by the clock, other times of the files. */
        run = env_exec(env, "touch", "-d", "2001-01-01",
                       env_path(env, "/some/where/else/program.bpf.c"), NULL);
        assert_int_equal(run_exit(run), 0);
        assert_true(WAIT_UNTIL(time(NULL) % 2 == 0, WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(time(NULL) % 2 == 1, WAIT_DEFAULT));
        assert_string_equal(built_digest(env_ctl(env, 0, "build", there, "b:2", NULL)), first);
        setenv("SOURCE_DATE_EPOCH", "1700000001", 1);
        assert_string_not_equal(built_digest(env_ctl(env, 0, "build", here, "c:1", NULL)), first);
        unsetenv("SOURCE_DATE_EPOCH");
        assert_string_not_equal(built_digest(env_ctl(env, 0, "build", here, "d:1", NULL)), first);
        env_stop(env);
}

static json_t *raw_index(struct env *env, const char *name) {
        char source[600];
        struct run *run;
        json_t *index;

        snprintf(source, sizeof(source), "oci:%s/store:%s", env_path(env, "%s", GADGET_STATEDIR),
                 name);
        run = env_exec(env, "skopeo", "inspect", "--raw", source, NULL);
        assert_int_equal(run_exit(run), 0);
        index = json_loads(run_out(run), 0, NULL);
        assert_non_null(index);
        return index;
}

static void test_build_platforms_and_annotations(void **state) {
        static const struct {
                const char *platform;
                const char *architectures; /* NULL = refused */
        } cases[] = {
                { "amd64", "amd64" },
                { "linux/arm64", "arm64" },
                { "linux/arm64,linux/amd64", "amd64,arm64" },
                { "linux/s390x", NULL },
                { "windows/amd64", NULL },
                { "", NULL },
        };
        struct env *env = *state;
        json_t *index, *notes;
        const char *dir;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_CLANG_BPF);
        test_needs(NEED_SKOPEO);
        dir = env_path(env, "/src");
        copy_sources(env, dir);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                json_t *list, *item;
                size_t at;

                run = env_ctl(env, cases[i].architectures ? 0 : 1, "build", "--platform",
                              cases[i].platform, env_path(env, "/src"), "p:1", NULL);
                if (!cases[i].architectures) {
                        assert_non_null(strstr(run_err(run), "--platform"));
                        continue;
                }
                list = env_ctl_json(env, "image", "list", "-o", "json", NULL);
                json_array_foreach(list, at, item) {
                        if (strstr(row_str(item, "name"), "p:1"))
                                assert_string_equal(row_str(item, "architectures"),
                                                    cases[i].architectures);
                }
                json_decref(list);
        }
        /* Given twice is both; annotations come from the definition and the command line. */
        env_ctl(env, 0, "build", "--platform", "arm64", "--platform", "amd64", "--annotation",
                "org.opencontainers.image.authors=me", "--cflags", "-DOF_THE_TEST=1 -Wextra",
                env_path(env, "/src"), "p:2", NULL);
        index = raw_index(env, "p:2");
        assert_int_equal(json_array_size(row_get(index, "manifests")), 2);
        notes = json_object_get(index, "annotations");
        assert_string_equal(
                json_string_value(json_object_get(notes, "org.opencontainers.image.authors")),
                "me");
        assert_string_equal(
                json_string_value(json_object_get(notes, "org.opencontainers.image.title")),
                "trace open");
        assert_non_null(json_object_get(notes, "org.opencontainers.image.description"));
        assert_string_equal(
                json_string_value(json_object_get(notes, "dev.gadgetd.builder.version")),
                GADGET_VERSION);
        json_decref(index);
        run = env_ctl(env, 1, "build", "--cflags", "-save-temps", env_path(env, "/src"), "p:3",
                      NULL);
        assert_non_null(strstr(run_err(run), "'-save-temps' is refused"));
        env_ctl(env, 1, "build", "--annotation", "dev.gadgetd.builder.version=9",
                env_path(env, "/src"), "p:3", NULL);
        assert_false(lists(env, "p:3"));
        env_stop(env);
}

/* --cflags reach the compiler, and build.yaml names the source. */
static void test_build_file_and_macros(void **state) {
        static const char source[] =
                "#ifndef GIVEN\n#error not given\n#endif\n"
                "char _license[] __attribute__((section(\"license\"))) = \"GPL\";\n";
        static const char file[] = "ebpfsource: code.c\n";
        struct env *env = *state;
        struct run *run;
        int fd = -1;

        test_needs(NEED_ROOT);
        test_needs(NEED_CLANG_BPF);
        env_start(env, NULL);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/odd"), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, "code.c", source, strlen(source), 0644), 0);
        assert_int_equal(write_file_atomic(fd, "build.yaml", file, strlen(file), 0644), 0);
        close(fd);
        run = env_ctl(env, 1, "build", env_path(env, "/odd"), "odd:1", NULL);
        assert_non_null(strstr(run_err(run), "not given"));
        /* It is no gadget, which is not what this is about. */
        env_ctl(env, 0, "build", "--validate-metadata=false", "--cflags", "-DGIVEN",
                env_path(env, "/odd"), "odd:1", NULL);
        assert_true(lists(env, "odd:1"));
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
        ENV_TEST(test_bundled_gadgets_are_listed),
        ENV_TEST(test_inspect_lists_permissions),
        ENV_TEST(test_build_tag_run_remove),
        ENV_TEST(test_build_is_reproducible),
        ENV_TEST(test_build_platforms_and_annotations),
        ENV_TEST(test_build_file_and_macros),
        ENV_TEST(test_build_never_runs_a_shell),
        ENV_TEST(test_build_shows_compiler_errors),
        ENV_TEST(test_skopeo_reads_our_images),
        ENV_TEST(test_tampered_blob_is_refused),
};

TEST_MAIN("images", tests)
