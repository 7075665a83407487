/* SPDX-License-Identifier: Apache-2.0 */
/* The build-time packer as the build calls it: by its arguments, its exit code and what it leaves.
 */
#include "tests/unit/image/store-fixture.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "tests/lib/run.h"

/* Exit code of gadget-pack; ret_err (NULL = not wanted) is the caller's to free. */
static int pack(struct store_fixture *f, const char *const *argv, char **ret_err) {
        struct run *run = run_new(&(struct run_spec){ .argv = argv, .dir = f->dir, .cwd = f->dir });
        int status = run_exit(run);

        if (ret_err)
                *ret_err = strdup(run_err(run));
        run_free(run);
        return status;
}

#define PACK(_f, _ret_err, ...)                                                                    \
        pack(_f, (const char *const[]){ GADGET_PACK, __VA_ARGS__, NULL }, _ret_err)

static void write_file(struct store_fixture *f, const char *name, const char *text) {
        assert_int_equal(write_file_atomic(f->dir_fd, name, text, strlen(text), 0644), 0);
}

static char *read_text(struct store_fixture *f, const char *name) {
        struct buf b = BUF_INIT(1 << 20);

        assert_int_equal(read_file_at(f->dir_fd, name, &b), 0);
        return buf_steal_string(&b);
}

static void write_inputs(struct store_fixture *f) {
        write_file(f, "gadget.yaml", "name: sample\n");
        write_file(f, "amd64.o", "one for amd64");
        write_file(f, "arm64.o", "one for arm64");
}

static void test_packs_and_changes_nothing_the_second_time(void **state) {
        struct store_fixture *f = *state;
        cleanup_free char *index = NULL;
        cleanup_free char *digest = NULL;

        write_inputs(f);
        for (int i = 0; i < 2; i++) {
                cleanup_free char *index_again = NULL;
                cleanup_free char *digest_again = NULL;

                assert_int_equal(PACK(f, NULL, "--store", "made/store", "--ref", "sample:1",
                                      "--definition", "gadget.yaml", "--object", "arm64=arm64.o",
                                      "--object", "amd64=amd64.o", "--annotation",
                                      "org.opencontainers.image.title=sample=x", "--created", "77",
                                      "--digest-file", "digest"),
                                 0);
                index_again = read_text(f, "made/store/index.json");
                digest_again = read_text(f, "digest");
                if (i == 0) {
                        index = TAKE_PTR(index_again);
                        digest = TAKE_PTR(digest_again);
                        continue;
                }
                assert_string_equal(index, index_again);
                assert_string_equal(digest, digest_again);
        }
        f->store = store_close(f->store);
        snprintf(f->path, sizeof(f->path), "%s/made/store", f->dir);
        store_fixture_reopen(f);
        assert_loads(f->store, "sample:1", "one");
        assert_int_equal(count_blobs(f), 6);
        digest[strcspn(digest, "\n")] = '\0';
        assert_non_null(strstr(index, digest));
}

static void test_source_date_epoch(void **state) {
        struct store_fixture *f = *state;
        cleanup_free char *json = NULL;
        struct image_ref ref = ref_of("dated");

        write_inputs(f);
        setenv("SOURCE_DATE_EPOCH", "86400", 1);
        assert_int_equal(
                PACK(f, NULL, "--store", "store", "--ref", "dated", "--object", "amd64=amd64.o"),
                0);
        unsetenv("SOURCE_DATE_EPOCH");
        assert_int_equal(store_inspect(f->store, &ref, &json, NULL), 0);
        assert_non_null(strstr(json, "1970-01-02T00:00:00Z"));
}

static void test_usage(void **state) {
        struct store_fixture *f = *state;

        assert_int_equal(PACK(f, NULL, "--ref", "a", "--object", "amd64=x"), 2);
        assert_int_equal(PACK(f, NULL, "--store", "s", "--ref", "a"), 2);
        assert_int_equal(PACK(f, NULL, "--no-such-option"), 2);
        assert_int_equal(
                PACK(f, NULL, "--store", "s", "--ref", "a", "--object", "amd64=x", "stray"), 2);
        assert_int_equal(PACK(f, NULL, "--help"), 0);
}

static void test_failures_name_what(void **state) {
        struct store_fixture *f = *state;
        static const struct {
                const char *ref, *object, *extra, *value, *why;
        } cases[] = {
                { "A B", "amd64=amd64.o", NULL, NULL, "image reference 'A B'" },
                { "a", "amd64=none.o", NULL, NULL, "cannot read 'none.o': No such file" },
                { "a", "amd64.o", NULL, NULL, "--object 'amd64.o' is not ARCH=FILE" },
                { "a", "AMD64=amd64.o", NULL, NULL, "architecture 'AMD64'" },
                { "a", "amd64=amd64.o", "--definition", "none.yaml", "cannot read 'none.yaml'" },
                { "a", "amd64=amd64.o", "--annotation", "=x", "is not KEY=VALUE" },
                { "a", "amd64=amd64.o", "--created", "soon", "'soon' is not a number" },
                { "a", "amd64=amd64.o", "--digest-file", "no/where", "cannot write 'no/where'" },
        };

        write_inputs(f);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *err = NULL;

                assert_int_equal(PACK(f, &err, "--store", "store", "--ref", cases[i].ref,
                                      "--object", cases[i].object, cases[i].extra, cases[i].value),
                                 1);
                if (!strstr(err, cases[i].why) || !str_after(err, "gadget-pack: "))
                        fail_msg("'%s' does not say '%s'", err, cases[i].why);
        }
}

#define FIXTURE_TEST(_name)                                                                        \
        cmocka_unit_test_setup_teardown(_name, store_fixture_setup, store_fixture_teardown)

static const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_packs_and_changes_nothing_the_second_time),
        FIXTURE_TEST(test_source_date_epoch),
        FIXTURE_TEST(test_usage),
        FIXTURE_TEST(test_failures_name_what),
};
TEST_MAIN("gadget-pack", tests)
