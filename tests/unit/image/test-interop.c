/* SPDX-License-Identifier: Apache-2.0 */
/* skopeo and umoci read our store as it is, write to it, and we read theirs. */
#include "tests/unit/image/store-fixture.h"

#include <stdio.h>

#include "tests/lib/run.h"

/* Runs it to its end; the output is the caller's to free. */
static char *run_tool(struct store_fixture *f, const char *const *argv) {
        struct run *run = run_new(&(struct run_spec){ .argv = argv, .dir = f->dir });
        char *out;

        if (run_exit(run) != 0)
                run_fail(run, "%s", argv[0]);
        out = strdup(run_out(run));
        run_free(run);
        return out;
}

#define RUN_TOOL(_f, ...) run_tool(_f, (const char *const[]){ __VA_ARGS__, NULL })

/* For those whose output says nothing. */
#define DO_TOOL(_f, ...) free(RUN_TOOL(_f, __VA_ARGS__))

static bool has_umoci(void) {
        if (access("/usr/bin/umoci", X_OK) == 0)
                return true;
        fprintf(stderr, "SKIP-REASON umoci: /usr/bin/umoci is not installed\n");
        return false;
}

/* "oci:DIR/what:name" */
static const char *oci(struct store_fixture *f, const char *what, const char *name, char out[256]) {
        snprintf(out, 256, "oci:%s/%s:%s", f->dir, what, name);
        return out;
}

static void test_skopeo_reads(void **state) {
        struct store_fixture *f = *state;
        char digest[DIGEST_TEXT_MAX], from[256];
        cleanup_free char *raw = NULL;

        test_needs(NEED_SKOPEO);
        assert_int_equal(pack_sample(f->store, "trace_open:latest", "one", digest, NULL), 0);
        assert_int_equal(pack_sample(f->store, "r.io:5000/t/open:1", "two", NULL, NULL), 0);
        raw = RUN_TOOL(f, "skopeo", "inspect", "--raw", oci(f, "store", "trace_open:latest", from));
        assert_int_equal(digest_check(digest, raw, strlen(raw)), 0);
        free(TAKE_PTR(raw));
        raw = RUN_TOOL(f, "skopeo", "inspect", "--raw",
                       oci(f, "store", "r.io:5000/t/open:1", from));
        assert_non_null(strstr(raw, MEDIA_TYPE_INDEX));
}

/* The copy is the same bytes, so its digest, by which it may be signed, is the same too. */
static void test_skopeo_copies_out(void **state) {
        struct store_fixture *f = *state;
        char digest[DIGEST_TEXT_MAX], from[256], to[256], path[128];
        cleanup(store_closep) struct store *copy = NULL;
        cleanup(image_freep) struct image *image = NULL;
        struct image_ref ref = ref_of("copied:7");

        test_needs(NEED_SKOPEO);
        assert_int_equal(pack_sample(f->store, "a", "one", digest, NULL), 0);
        DO_TOOL(f, "skopeo", "copy", "--all", oci(f, "store", "a:latest", from),
                oci(f, "copy", "copied:7", to));
        snprintf(path, sizeof(path), "%s/copy", f->dir);
        assert_int_equal(store_open(path, STORE_READ_ONLY, &copy, NULL), 0);
        assert_int_equal(store_load(copy, &ref, "arm64", &image, NULL), 0);
        assert_string_equal(image->digest, digest);
        assert_loads(copy, "copied:7", "one");
}

/* Without --all it takes this machine's manifest alone. */
static void test_skopeo_copies_one_platform(void **state) {
        struct store_fixture *f = *state;
        char from[256], to[256], path[128];
        cleanup(store_closep) struct store *copy = NULL;

        test_needs(NEED_SKOPEO);
        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        DO_TOOL(f, "skopeo", "--override-arch", "amd64", "copy", oci(f, "store", "a:latest", from),
                oci(f, "copy", "foo", to));
        snprintf(path, sizeof(path), "%s/copy", f->dir);
        assert_int_equal(store_open(path, STORE_READ_ONLY, &copy, NULL), 0);
        assert_loads(copy, "foo", "one");
}

static void test_skopeo_writes_into_the_store(void **state) {
        struct store_fixture *f = *state;
        char from[256], to[256];
        struct image_ref foreign = ref_of("foreign:1"), a = ref_of("a");

        test_needs(NEED_SKOPEO);
        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
        DO_TOOL(f, "skopeo", "copy", "--all", oci(f, "store", "a:latest", from),
                oci(f, "store", "foreign:1", to));
        assert_loads(f->store, "foreign:1", "one");
        assert_loads(f->store, "a", "one");
        assert_loads(f->store, "b", "two");
        assert_int_equal(store_remove(f->store, &a, NULL), 0);
        assert_loads(f->store, "foreign:1", "one");
        assert_int_equal(store_remove(f->store, &foreign, NULL), 0);
        assert_int_equal(count_blobs(f), 6);
        assert_loads(f->store, "b", "two");
}

static void test_umoci_lists_collects_and_removes(void **state) {
        struct store_fixture *f = *state;
        cleanup_free char *listed = NULL;
        char image[160];

        if (!has_umoci())
                skip();
        assert_int_equal(pack_sample(f->store, "a:1", "one", NULL, NULL), 0);
        assert_int_equal(pack_sample(f->store, "team/b", "two", NULL, NULL), 0);
        listed = RUN_TOOL(f, "umoci", "ls", "--layout", f->path);
        assert_string_equal(listed, "a:1\nteam/b:latest\n");

        DO_TOOL(f, "umoci", "gc", "--layout", f->path);
        assert_loads(f->store, "a:1", "one");
        assert_loads(f->store, "team/b", "two");
        assert_int_equal(count_blobs(f), 11);

        /* It tags and describes images of one platform only, but a name it can take away. */
        snprintf(image, sizeof(image), "%s:a:1", f->path);
        DO_TOOL(f, "umoci", "rm", "--image", image);
        assert_not_found(f->store, "a:1");
        assert_loads(f->store, "team/b", "two");
}

#define FIXTURE_TEST(_name)                                                                        \
        cmocka_unit_test_setup_teardown(_name, store_fixture_setup, store_fixture_teardown)

static const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_skopeo_reads),
        FIXTURE_TEST(test_skopeo_copies_out),
        FIXTURE_TEST(test_skopeo_copies_one_platform),
        FIXTURE_TEST(test_skopeo_writes_into_the_store),
        FIXTURE_TEST(test_umoci_lists_collects_and_removes),
};
TEST_MAIN("image-interop", tests)
