/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/image/store-fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"

#define HEAD(_type) "{\"schemaVersion\":2,\"mediaType\":\"" _type "\","

static void test_open_refuses_what_is_no_layout(void **state) {
        struct store_fixture *f = *state;
        struct error err = { 0 };
        struct store *store;
        char path[128];

        snprintf(path, sizeof(path), "%s/nothing", f->dir);
        assert_int_equal(store_open(path, 0, &store, &err), -ENOENT);
        assert_int_equal(err.code, ERROR_NOT_FOUND);

        err = (struct error){ 0 };
        assert_int_equal(store_open(f->dir, STORE_READ_ONLY, &store, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "oci-layout"));

        snprintf(path, sizeof(path), "%s/two", f->dir);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(write_file_atomic(f->dir_fd, "two/oci-layout",
                                           "{\"imageLayoutVersion\":\"2.0.0\"}", 30, 0644),
                         0);
        assert_int_equal(store_open(path, STORE_READ_ONLY, &store, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "imageLayoutVersion"));
}

static void test_create_is_idempotent(void **state) {
        struct store_fixture *f = *state;
        cleanup(store_closep) struct store *again = NULL;

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(store_open(f->path, STORE_CREATE, &again, NULL), 0);
        assert_loads(again, "a:latest", "one");
}

static void test_pack_and_load(void **state) {
        struct store_fixture *f = *state;
        cleanup(image_freep) struct image *image = NULL;
        char digest[DIGEST_TEXT_MAX], by_digest[256];
        struct image_ref ref = ref_of("sample:1");
        struct error err = { 0 };

        assert_int_equal(pack_sample(f->store, "sample:1", "one", digest, &err), 0);
        store_fixture_reopen(f);
        assert_int_equal(store_load(f->store, &ref, "arm64", &image, &err), 0);
        assert_string_equal(image->name, "sample:1");
        assert_string_equal(image->digest, digest);
        assert_true(digest_is_valid(image->manifest_digest));
        assert_string_not_equal(image->manifest_digest, digest);
        assert_int_equal(image->object_size, strlen("one for arm64"));
        assert_memory_equal(image->object, "one for arm64", image->object_size);
        assert_false(image->is_bundled);

        snprintf(by_digest, sizeof(by_digest), "sample@%s", digest);
        assert_loads(f->store, by_digest, "one");
        snprintf(by_digest, sizeof(by_digest), "other@%s", digest);
        assert_not_found(f->store, by_digest);
        assert_not_found(f->store, "sample");
        assert_not_found(f->store, "other:1");
}

static void test_read_only(void **state) {
        struct store_fixture *f = *state;
        cleanup(store_closep) struct store *bundled = NULL;
        cleanup(image_freep) struct image *image = NULL;
        struct image_ref ref = ref_of("a");
        struct error err = { 0 };

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(store_open(f->path, STORE_READ_ONLY, &bundled, &err), 0);
        assert_int_equal(store_load(bundled, &ref, "amd64", &image, &err), 0);
        assert_true(image->is_bundled);
        assert_int_equal(store_remove(bundled, &ref, &err), -EROFS);
        assert_int_equal(err.code, ERROR_DENIED);
        assert_int_equal(store_tag(bundled, &ref, &ref, &err), -EROFS);
        assert_int_equal(pack_sample(bundled, "b", "two", NULL, &err), -EROFS);
        assert_loads(f->store, "a", "one");
}

static void test_missing_architecture_names_those_that_there_are(void **state) {
        struct store_fixture *f = *state;
        struct image_ref ref = ref_of("a");
        struct error err = { 0 };
        struct image *image;

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(store_load(f->store, &ref, "s390x", &image, &err), -ENOEXEC);
        assert_int_equal(err.code, ERROR_NOT_FOUND);
        assert_string_equal(err.msg,
                            "image 'a:latest': has nothing for s390x; it offers: amd64, arm64");
}

static void read_all(struct store_fixture *f, const char *name, struct buf *b) {
        *b = BUF_INIT(1 << 20);
        assert_int_equal(read_file_at(f->store->root_fd, name, b), 0);
}

static void test_pack_is_deterministic(void **state) {
        struct store_fixture *f = *state;
        cleanup(store_closep) struct store *other = NULL;
        cleanup_buf struct buf first = { 0 };
        cleanup_buf struct buf second = { 0 };
        char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX], path[128];

        /* Same input in another store and in another order of images. */
        snprintf(path, sizeof(path), "%s/other", f->dir);
        assert_int_equal(store_open(path, STORE_CREATE, &other, NULL), 0);
        assert_int_equal(pack_sample(f->store, "x", "one", a, NULL), 0);
        assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
        assert_int_equal(pack_sample(other, "b", "two", NULL, NULL), 0);
        assert_int_equal(pack_sample(other, "x", "one", b, NULL), 0);
        assert_string_equal(a, b);
        read_all(f, "index.json", &first);
        second = BUF_INIT(1 << 20);
        assert_int_equal(read_file_at(f->dir_fd, "other/index.json", &second), 0);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);

        /* And once more into the same store: nothing changes. */
        buf_done(&second);
        assert_int_equal(pack_sample(f->store, "x", "one", b, NULL), 0);
        assert_string_equal(a, b);
        read_all(f, "index.json", &second);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);
        assert_int_equal(count_blobs(f),
                         11); /* two indexes, four manifests, four objects, one config */
}

static void test_packed_documents(void **state) {
        struct store_fixture *f = *state;
        cleanup_json json_t *root = NULL;
        cleanup_free char *text = NULL;
        struct image_ref ref = ref_of("sample");
        char digest[DIGEST_TEXT_MAX];
        const json_t *manifest, *layer;

        assert_int_equal(pack_sample(f->store, "sample", "one", digest, NULL), 0);
        assert_int_equal(store_inspect(f->store, &ref, &text, NULL), 0);
        assert_int_equal(json_parse(BYTES(text, strlen(text)), 1000, &root, NULL), 0);
        assert_string_equal(json_string_value(json_object_get(root, "name")), "sample:latest");
        assert_string_equal(json_string_value(json_object_get(root, "digest")), digest);
        assert_string_equal(json_string_value(json_object_get(root, "mediaType")),
                            MEDIA_TYPE_INDEX);
        assert_string_equal(json_string_value(json_object_get(root, "definition")),
                            "name: sample\n");
        assert_string_equal(
                annotation_get(json_object_get(root, "annotations"), ANNOTATION_CREATED),
                "2023-11-14T22:13:20Z");
        assert_int_equal(json_array_size(json_object_get(root, "manifests")), 2);

        manifest = json_array_get(json_object_get(root, "manifests"), 0);
        assert_string_equal(json_string_value(json_object_get(manifest, "architecture")), "amd64");
        assert_string_equal(json_string_value(json_object_get(manifest, "os")), "linux");
        assert_string_equal(json_string_value(json_object_get(manifest, "artifactType")),
                            ARTIFACT_TYPE_GADGET);
        assert_string_equal(
                annotation_get(json_object_get(json_object_get(manifest, "config"), "annotations"),
                               ANNOTATION_TITLE),
                "config.yaml");
        assert_int_equal(json_array_size(json_object_get(manifest, "layers")), 1);
        layer = json_array_get(json_object_get(manifest, "layers"), 0);
        assert_string_equal(json_string_value(json_object_get(layer, "mediaType")),
                            MEDIA_TYPE_GADGET_EBPF);
        assert_string_equal(annotation_get(json_object_get(layer, "annotations"), ANNOTATION_TITLE),
                            "program.o");
        assert_string_equal(
                annotation_get(json_object_get(layer, "annotations"), ANNOTATION_AUTHORS),
                "A. Nonymous");
        assert_string_equal(
                annotation_get(json_object_get(manifest, "annotations"), ANNOTATION_TITLE),
                "sample");
}

static void test_inspect_what_is_missing(void **state) {
        struct store_fixture *f = *state;
        struct image_ref ref = ref_of("nothing");
        struct error err = { 0 };
        char *text;

        assert_int_equal(store_inspect(f->store, &ref, &text, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "nothing:latest"));
}

static void test_pack_refuses(void **state) {
        struct store_fixture *f = *state;
        static const struct pack_object one[] = { { "amd64", { (const uint8_t *)"x", 1 } } };
        static const struct pack_object twice[] = { { "amd64", { (const uint8_t *)"x", 1 } },
                                                    { "amd64", { (const uint8_t *)"y", 1 } } };
        static const struct pack_object empty[] = { { "amd64", { (const uint8_t *)"x", 0 } } };
        static const struct pack_object odd[] = { { "../amd64", { (const uint8_t *)"x", 1 } } };
        static const struct pack_annotation created[] = { { ANNOTATION_CREATED, "now" } };
        static const struct pack_annotation repeated[] = { { "k", "a" }, { "k", "b" } };
        static const struct pack_annotation no_key[] = { { "", "a" } };
        static const struct pack_annotation bad_utf8[] = { { "k", "\xff" } };
        const struct pack_object large[] = {
                { "amd64", { (const uint8_t *)"x", LIMIT_OBJECT_SIZE_MAX + 1 } }
        };
        const struct {
                struct pack_spec spec;
                int result;
                const char *why;
        } cases[] = {
                { { .objects = one, .n_objects = 0 }, -EINVAL, "no eBPF object" },
                { { .objects = twice, .n_objects = 2 }, -EINVAL, "two objects for amd64" },
                { { .objects = empty, .n_objects = 1 }, -EINVAL, "is empty" },
                { { .objects = odd, .n_objects = 1 }, -EINVAL, "architecture '../amd64'" },
                { { .objects = large, .n_objects = 1 }, -EFBIG, "more than" },
                { { .objects = one,
                    .n_objects = 1,
                    .definition = { (const uint8_t *)"", LIMIT_DEFINITION_SIZE_MAX + 1 } },
                  -EFBIG,
                  "definition" },
                { { .objects = one, .n_objects = 1, .created = UINT64_MAX }, -EINVAL, "year" },
                { { .objects = one, .n_objects = 1, .annotations = created, .n_annotations = 1 },
                  -EINVAL,
                  "SOURCE_DATE_EPOCH" },
                { { .objects = one, .n_objects = 1, .annotations = repeated, .n_annotations = 2 },
                  -EINVAL,
                  "twice" },
                { { .objects = one, .n_objects = 1, .annotations = no_key, .n_annotations = 1 },
                  -EINVAL,
                  "key" },
                { { .objects = one, .n_objects = 1, .annotations = bad_utf8, .n_annotations = 1 },
                  -EINVAL,
                  "UTF-8" },
        };
        struct image_ref ref = ref_of("a"), by_digest;
        char digest[DIGEST_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = { 0 };
                int r = store_pack(f->store, &ref, &cases[i].spec, digest, &err);

                if (r != cases[i].result || !strstr(err.msg, cases[i].why))
                        fail_msg("case %zu: %d '%s', wanted '%s'", i, r, err.msg, cases[i].why);
        }
        by_digest =
                ref_of("a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        assert_int_equal(store_pack(f->store, &by_digest,
                                    &(struct pack_spec){ .objects = one, .n_objects = 1 }, digest,
                                    NULL),
                         -EINVAL);
        assert_int_equal(count_blobs(f), 0);
}

/* The largest that is allowed goes in and comes out. */
static void test_pack_at_the_limits(void **state) {
        struct store_fixture *f = *state;
        cleanup(image_freep) struct image *image = NULL;
        cleanup_free uint8_t *zeros = calloc(1, LIMIT_OBJECT_SIZE_MAX);
        const struct pack_object object = { "amd64", { zeros, LIMIT_OBJECT_SIZE_MAX } };
        struct image_ref ref = ref_of("a");
        char digest[DIGEST_TEXT_MAX];
        struct error err = { 0 };

        if (store_pack(f->store, &ref,
                       &(struct pack_spec){ .definition = { zeros, LIMIT_DEFINITION_SIZE_MAX },
                                            .objects = &object,
                                            .n_objects = 1 },
                       digest, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), 0);
        assert_int_equal(image->object_size, LIMIT_OBJECT_SIZE_MAX);
        assert_int_equal(image->definition_size, LIMIT_DEFINITION_SIZE_MAX);
}

static void test_pack_without_definition(void **state) {
        struct store_fixture *f = *state;
        static const struct pack_object object = { "amd64", { (const uint8_t *)"x", 1 } };
        cleanup(image_freep) struct image *image = NULL;
        struct image_ref ref = ref_of("a");
        char digest[DIGEST_TEXT_MAX];

        assert_int_equal(store_pack(f->store, &ref,
                                    &(struct pack_spec){ .objects = &object, .n_objects = 1 },
                                    digest, NULL),
                         0);
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, NULL), 0);
        assert_int_equal(image->definition_size, 0);
        assert_non_null(image->definition);
}

static int on_listed(void *userdata, const struct image_info *info) {
        struct buf *out = userdata;

        return buf_printf(out, "%s %s %s%s;", info->name, info->architectures, info->created,
                          info->is_damaged ? " damaged" : "");
}

static void assert_list(struct store *store, const char *want) {
        cleanup_buf struct buf out = BUF_INIT(1 << 16);
        cleanup_free char *text = NULL;

        assert_int_equal(store_list(store, on_listed, &out, NULL), 0);
        text = buf_steal_string(&out);
        assert_string_equal(text ?: "", want);
}

#define LISTED(_name) _name " amd64,arm64 2023-11-14T22:13:20Z;"

static void test_list(void **state) {
        struct store_fixture *f = *state;

        assert_list(f->store, "");
        assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
        assert_int_equal(pack_sample(f->store, "r.io:1/a:1", "one", NULL, NULL), 0);
        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_list(f->store, LISTED("a:latest") LISTED("b:latest") LISTED("r.io:1/a:1"));
}

static int on_sized(void *userdata, const struct image_info *info) {
        *(uint64_t *)userdata = info->size;
        return -ECANCELED; /* ends the listing */
}

static void test_list_counts_shared_blobs_once(void **state) {
        struct store_fixture *f = *state;
        uint64_t size = 0, on_disk = 0;
        cleanup_free char *command = NULL;
        FILE *du;

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(store_list(f->store, on_sized, &size, NULL), -ECANCELED);
        assert_true(asprintf(&command, "cat %s/blobs/sha256/* | wc -c", f->path) > 0);
        du = popen(command, "r");
        assert_int_equal(fscanf(du, "%lu", &on_disk), 1);
        pclose(du);
        assert_int_equal(size, on_disk);
}

static void test_tag(void **state) {
        struct store_fixture *f = *state;
        struct image_ref a = ref_of("a"), b = ref_of("team/b:2"), none = ref_of("none");
        struct error err = { 0 };

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(store_tag(f->store, &a, &b, &err), 0);
        assert_loads(f->store, "team/b:2", "one");
        assert_loads(f->store, "a", "one");
        assert_int_equal(store_tag(f->store, &none, &b, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "none:latest"));
        assert_int_equal(store_tag(f->store, &a, &a, &err), 0);
        assert_loads(f->store, "a", "one");

        /* A name moves: what only it held is gone, and the other name is untouched. */
        assert_int_equal(pack_sample(f->store, "a", "two", NULL, NULL), 0);
        assert_loads(f->store, "a", "two");
        assert_loads(f->store, "team/b:2", "one");
        assert_int_equal(count_blobs(f), 11);
        assert_int_equal(store_tag(f->store, &a, &b, &err), 0);
        assert_loads(f->store, "team/b:2", "two");
        assert_int_equal(count_blobs(f), 6);
}

static void test_remove_keeps_shared_blobs(void **state) {
        struct store_fixture *f = *state;
        struct image_ref a = ref_of("a"), b = ref_of("b");
        struct error err = { 0 };

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
        assert_int_equal(count_blobs(f), 11); /* the definition is one blob for both */
        assert_int_equal(store_remove(f->store, &a, &err), 0);
        assert_not_found(f->store, "a");
        assert_loads(f->store, "b", "two");
        assert_int_equal(count_blobs(f), 6);
        assert_int_equal(store_remove(f->store, &a, &err), -ENOENT);
        assert_int_equal(store_remove(f->store, &b, &err), 0);
        assert_int_equal(count_blobs(f), 0);
        assert_list(f->store, "");
}

static void test_remove_by_digest_takes_all_tags_of_the_repository(void **state) {
        struct store_fixture *f = *state;
        char digest[DIGEST_TEXT_MAX], text[256];
        struct image_ref a = ref_of("a:1"), a2 = ref_of("a:2"), b = ref_of("b"), by_digest;

        assert_int_equal(pack_sample(f->store, "a:1", "one", digest, NULL), 0);
        assert_int_equal(store_tag(f->store, &a, &a2, NULL), 0);
        assert_int_equal(store_tag(f->store, &a, &b, NULL), 0);
        snprintf(text, sizeof(text), "a@%s", digest);
        by_digest = ref_of(text);
        assert_int_equal(store_remove(f->store, &by_digest, NULL), 0);
        assert_not_found(f->store, "a:1");
        assert_not_found(f->store, "a:2");
        assert_loads(f->store, "b", "one");
}

/* An index may list platforms that nobody pulled; their absence must not stop the collection. */
static void test_garbage_with_absent_platform(void **state) {
        struct store_fixture *f = *state;
        cleanup_free char *json = NULL;
        cleanup_json json_t *root = NULL;
        struct image_ref a = ref_of("a"), b = ref_of("b");
        const char *arm64;
        char path[BLOB_PATH_MAX];

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
        assert_int_equal(store_inspect(f->store, &a, &json, NULL), 0);
        assert_int_equal(json_parse(BYTES(json, strlen(json)), 1000, &root, NULL), 0);
        arm64 = json_string_value(
                json_object_get(json_array_get(json_object_get(root, "manifests"), 1), "digest"));
        blob_path(arm64, path);
        assert_int_equal(unlinkat(f->store->root_fd, path, 0), 0);

        assert_list(f->store, "a:latest amd64 2023-11-14T22:13:20Z;" LISTED("b:latest"));
        assert_int_equal(store_remove(f->store, &b, NULL), 0);
        assert_int_equal(count_blobs(f), 4); /* index, one manifest, config, one object */
        assert_loads(f->store, "a", "one");
}

/* A document that is there but cannot be read might name any blob. */
static void test_garbage_keeps_all_beside_a_damaged_index(void **state) {
        struct store_fixture *f = *state;
        char digest[DIGEST_TEXT_MAX], path[BLOB_PATH_MAX];
        struct image_ref b = ref_of("b");
        cleanup_close int fd = -1;

        assert_int_equal(pack_sample(f->store, "a", "one", digest, NULL), 0);
        assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
        blob_path(digest, path);
        fd = openat(f->store->root_fd, path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "X", 1, 5), 1);

        assert_list(f->store, "a:latest   damaged;" LISTED("b:latest"));
        assert_int_equal(store_remove(f->store, &b, NULL), 0);
        assert_not_found(f->store, "b");
        assert_int_equal(count_blobs(f), 11);

        /* Packing the same image again repairs it. */
        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_loads(f->store, "a", "one");
}

/* One image names the manifests of another in a way that must not keep them from being followed, or
 * collection from ending. */
static void test_garbage_with_a_hostile_neighbour(void **state) {
        struct store_fixture *f = *state;
        static const char *const types[] = { "text/plain", MEDIA_TYPE_MANIFEST };
        char victim[DIGEST_TEXT_MAX], object[DIGEST_TEXT_MAX], hostile[DIGEST_TEXT_MAX];
        struct image_ref b = ref_of("b");
        char text[2048];

        assert_int_equal(pack_sample(f->store, "victim", "one", victim, NULL), 0);
        put_raw(f, NULL, "", BYTES("not JSON", 8), object);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                snprintf(text, sizeof(text),
                         HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[{\"mediaType\":\"%s\",\"digest\":"
                                                "\"%s\","
                                                "\"size\":1},{\"mediaType\":\"" MEDIA_TYPE_MANIFEST
                                                "\",\"digest\":\"%s\",\"size\":8}]}",
                         types[i], victim, object);
                put_raw(f, "a-first", MEDIA_TYPE_INDEX, BYTES(text, strlen(text)), hostile);
                assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
                assert_int_equal(store_remove(f->store, &b, NULL), 0);
                assert_loads(f->store, "victim", "one");
                assert_int_equal(count_blobs(f),
                                 8); /* the victim's six, the hostile index and its object */
        }
}

static void test_copy(void **state) {
        struct store_fixture *f = *state;
        cleanup(store_closep) struct store *other = NULL;
        struct image_ref a = ref_of("a"), mine = ref_of("mine:1"), none = ref_of("none");
        char digest[DIGEST_TEXT_MAX], path[BLOB_PATH_MAX], dir[128];
        cleanup(image_freep) struct image *image = NULL;
        struct error err = { 0 };

        snprintf(dir, sizeof(dir), "%s/other", f->dir);
        assert_int_equal(store_open(dir, STORE_CREATE, &other, NULL), 0);
        assert_int_equal(pack_sample(f->store, "a", "one", digest, NULL), 0);
        assert_int_equal(pack_sample(f->store, "b", "two", NULL, NULL), 0);
        assert_int_equal(store_copy(f->store, &none, other, &mine, &err), -ENOENT);
        assert_int_equal(store_copy(f->store, &a, other, &mine, &err), 0);
        assert_int_equal(store_load(other, &mine, "arm64", &image, &err), 0);
        assert_string_equal(image->digest, digest);
        assert_loads(other, "mine:1", "one");
        assert_not_found(other, "b");

        /* A damaged image is not handed on. */
        blob_path(image->manifest_digest, path);
        {
                cleanup_close int fd = openat(f->store->root_fd, path, O_WRONLY | O_CLOEXEC);

                assert_int_equal(pwrite(fd, "X", 1, 3), 1);
        }
        assert_int_equal(store_copy(f->store, &a, other, &a, &err), -EBADMSG);
        assert_not_found(other, "a");
        assert_loads(other, "mine:1", "one");
}

static void test_left_over_temporary_files_go(void **state) {
        struct store_fixture *f = *state;
        cleanup_blob_writer struct blob_writer busy = { .fd = -1 };
        struct image_ref a = ref_of("a");
        char digest[DIGEST_TEXT_MAX];

        assert_int_equal(
                write_file_atomic(f->store->root_fd, ".tmp-0123456789abcdef", "x", 1, 0644), 0);
        assert_int_equal(blob_writer_init(&busy, f->store->root_fd, "sha256", NULL), 0);
        assert_int_equal(blob_writer_add(&busy, "abc", 3, NULL), 0);
        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(store_remove(f->store, &a, NULL), 0);

        assert_int_equal(faccessat(f->store->root_fd, ".tmp-0123456789abcdef", F_OK, 0), -1);
        /* The one that a living writer holds is still there. */
        assert_int_equal(blob_writer_commit(&busy, NULL, digest, NULL), 0);
        assert_string_equal(
                digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_int_equal(count_blobs(f), 1);
}

static void test_blob_writer_refuses_another_digest(void **state) {
        struct store_fixture *f = *state;
        static const char want[] =
                "sha512:" /* of "abc" */
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        struct descriptor d = { .digest = want, .size = 3 };
        cleanup_free uint8_t *content = NULL;
        struct error err = { 0 };

        for (int good = 0; good < 2; good++) {
                cleanup_blob_writer struct blob_writer w = { .fd = -1 };

                assert_int_equal(blob_writer_init(&w, f->store->root_fd, want, NULL), 0);
                assert_int_equal(blob_writer_add(&w, "ab", 2, NULL), 0);
                assert_int_equal(blob_writer_add(&w, good ? "c" : "d", 1, NULL), 0);
                assert_int_equal(blob_writer_commit(&w, want, NULL, &err), good ? 0 : -EBADMSG);
        }
        assert_non_null(strstr(err.msg, "should have sha512:ddaf"));
        assert_int_equal(blob_read(f->store->root_fd, &d, 3, &content, &err), 0);
        assert_string_equal((char *)content, "abc");
        free(TAKE_PTR(content));
        assert_int_equal(blob_read(f->store->root_fd, &d, 2, &content, &err), -EFBIG);
        assert_int_equal(err.code, ERROR_LIMIT);
}

/* Each byte of each blob that is read, changed: the load fails, says so, and works again when the
 * byte is back. */
static void test_every_corruption_is_detected(void **state) {
        struct store_fixture *f = *state;
        cleanup_buf struct buf listing = BUF_INIT(1 << 16);
        cleanup_free char *command = NULL;
        struct image_ref ref = ref_of("a");
        char name[80];
        FILE *ls;
        size_t n_checked = 0;

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_true(asprintf(&command, "ls %s/blobs/sha256", f->path) > 0);
        ls = popen(command, "r");
        while (fscanf(ls, "%70s", name) == 1) {
                char path[BLOB_PATH_MAX], digest[DIGEST_TEXT_MAX];
                cleanup_close int fd = -1;
                struct stat st;

                snprintf(digest, sizeof(digest), "sha256:%s", name);
                blob_path(digest, path);
                fd = openat(f->store->root_fd, path, O_RDWR | O_CLOEXEC);
                assert_int_equal(fstat(fd, &st), 0);
                for (off_t i = 0; i < st.st_size; i++) {
                        cleanup(image_freep) struct image *amd64 = NULL;
                        cleanup(image_freep) struct image *arm64 = NULL;
                        struct error err = { 0 };
                        uint8_t old, bad;
                        int r;

                        assert_int_equal(pread(fd, &old, 1, i), 1);
                        bad = old ^ 1;
                        assert_int_equal(pwrite(fd, &bad, 1, i), 1);
                        /* Every blob belongs to the one or the other architecture, or both. */
                        r = store_load(f->store, &ref, "amd64", &amd64, &err);
                        if (r == 0)
                                r = store_load(f->store, &ref, "arm64", &arm64, &err);
                        assert_int_equal(r, -EBADMSG);
                        assert_non_null(strstr(err.msg, name));
                        assert_non_null(strstr(err.msg, "is damaged"));
                        assert_int_equal(pwrite(fd, &old, 1, i), 1);
                        n_checked++;
                }
        }
        pclose(ls);
        assert_true(n_checked > 2000);
        assert_loads(f->store, "a", "one");
}

static void test_truncated_and_missing_blobs(void **state) {
        struct store_fixture *f = *state;
        char digest[DIGEST_TEXT_MAX], path[BLOB_PATH_MAX];
        struct image_ref ref = ref_of("a");
        struct error err = { 0 };
        struct image *image;

        assert_int_equal(pack_sample(f->store, "a", "one", digest, NULL), 0);
        blob_path(digest, path);
        {
                cleanup_close int fd = openat(f->store->root_fd, path, O_RDWR | O_CLOEXEC);

                assert_int_equal(ftruncate(fd, 10), 0);
        }
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "has 10 bytes but should have"));

        /* Missing is damage of the image, never "no such image": the next store must not be asked
         * instead. */
        assert_int_equal(unlinkat(f->store->root_fd, path, 0), 0);
        err = (struct error){ 0 };
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "is missing; pull or build the image again"));

        /* A link is not followed, wherever it leads. */
        assert_int_equal(symlinkat("/etc/passwd", f->store->root_fd, path), 0);
        assert_true(store_load(f->store, &ref, "amd64", &image, NULL) < 0);
        assert_int_equal(unlinkat(f->store->root_fd, path, 0), 0);
        assert_int_equal(mkfifoat(f->store->root_fd, path, 0644), 0);
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), -EBADMSG);
}

static const char *layer_text(const char *type, const char *digest, size_t size, char *out,
                              size_t n) {
        snprintf(out, n, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", type, digest,
                 size);
        return out;
}

/* Manifests that are well-formed but no gadget. */
static void test_images_that_are_no_gadgets(void **state) {
        struct store_fixture *f = *state;
        static const struct {
                const char *config, *layers, *why;
        } cases[] = {
                { MEDIA_TYPE_GADGET_CONFIG, "", "it has no layers" },
                { MEDIA_TYPE_GADGET_CONFIG, "w", "no eBPF layer but 'application/vnd.gadget.wasm" },
                { MEDIA_TYPE_GADGET_CONFIG, "ee", "more than one eBPF layer" },
                { "application/vnd.oci.image.config.v1+json", "e",
                  "its config is of type 'application/vnd.oci" },
                { MEDIA_TYPE_GADGET_CONFIG, "ew", NULL },
                { MEDIA_TYPE_GADGET_CONFIG, "we", NULL },
                { MEDIA_TYPE_EMPTY, "e", NULL },
        };
        struct image_ref ref = ref_of("a");
        char e[DIGEST_TEXT_MAX], d[DIGEST_TEXT_MAX];

        put_raw(f, NULL, "", BYTES("elf", 3), e);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup(image_freep) struct image *image = NULL;
                char text[4096], layers[2048] = "", one[300];
                struct error err = { 0 };
                int r;

                for (const char *l = cases[i].layers; *l; l++) {
                        size_t n = strlen(layers);

                        snprintf(layers + n, sizeof(layers) - n, "%s%s", n ? "," : "",
                                 layer_text(
                                         *l == 'e'
                                                 ? MEDIA_TYPE_GADGET_EBPF
                                                 : "application/vnd.gadget.wasm.program.v1+binary",
                                         e, 3, one, sizeof(one)));
                }
                snprintf(text, sizeof(text),
                         HEAD(MEDIA_TYPE_MANIFEST) "\"config\":%s,\"layers\":[%s]}",
                         layer_text(cases[i].config, e, 3, one, sizeof(one)), layers);
                put_raw(f, "a", MEDIA_TYPE_MANIFEST, BYTES(text, strlen(text)), d);
                r = store_load(f->store, &ref, "amd64", &image, &err);
                if (cases[i].why ? r != -EBADMSG || !strstr(err.msg, cases[i].why) : r != 0)
                        fail_msg("case %zu: %d '%s'", i, r, err.msg);
        }
}

/* The blob is fine, its descriptor lies. */
static void test_descriptors_that_lie(void **state) {
        struct store_fixture *f = *state;
        struct image_ref ref = ref_of("a");
        char e[DIGEST_TEXT_MAX], d[DIGEST_TEXT_MAX], config[300], layer[300], text[1024];
        struct error err = { 0 };
        struct image *image;

        put_raw(f, NULL, "", BYTES("elf", 3), e);
        layer_text(MEDIA_TYPE_GADGET_CONFIG, e, 3, config, sizeof(config));
        snprintf(text, sizeof(text), HEAD(MEDIA_TYPE_MANIFEST) "\"config\":%s,\"layers\":[%s]}",
                 config, layer_text(MEDIA_TYPE_GADGET_EBPF, e, 4, layer, sizeof(layer)));
        put_raw(f, "a", MEDIA_TYPE_MANIFEST, BYTES(text, strlen(text)), d);
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "has 3 bytes but should have 4"));

        /* Size limits hold before anything is read or allocated. */
        snprintf(text, sizeof(text), HEAD(MEDIA_TYPE_MANIFEST) "\"config\":%s,\"layers\":[%s]}",
                 config,
                 layer_text(MEDIA_TYPE_GADGET_EBPF, e, (size_t)LIMIT_OBJECT_SIZE_MAX + 1, layer,
                            sizeof(layer)));
        put_raw(f, "a", MEDIA_TYPE_MANIFEST, BYTES(text, strlen(text)), d);
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), -EFBIG);
        assert_int_equal(err.code, ERROR_LIMIT);

        /* An index entry that announces a manifest but leads to an index. */
        snprintf(text, sizeof(text), HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[]}");
        put_raw(f, "a", MEDIA_TYPE_MANIFEST, BYTES(text, strlen(text)), d);
        err = (struct error){ 0 };
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "was announced"));
}

static void set_index(struct store_fixture *f, const char *text) {
        assert_int_equal(
                write_file_atomic(f->store->root_fd, "index.json", text, strlen(text), 0644), 0);
}

static void test_bad_index_json(void **state) {
        struct store_fixture *f = *state;
        static const struct {
                const char *text, *why;
        } cases[] = {
                { "", "index.json: is not JSON" },
                { "{\"schemaVersion\":1,\"manifests\":[]}", "'schemaVersion'" },
                { "{\"schemaVersion\":2}", "'manifests' is not an array" },
                { "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"../"
                  "x\",\"size\":1}]}",
                  "index.json: manifests[0]: 'digest' is '../x'" },
        };
        struct image_ref ref = ref_of("a");
        struct image *image;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = { 0 };

                set_index(f, cases[i].text);
                assert_int_equal(store_load(f->store, &ref, "amd64", &image, &err), -EBADMSG);
                if (!strstr(err.msg, cases[i].why) || !strstr(err.msg, f->path))
                        fail_msg("'%s' does not say '%s'", err.msg, cases[i].why);
                /* What cannot be read is not overwritten either. */
                assert_int_equal(pack_sample(f->store, "b", "x", NULL, NULL), -EBADMSG);
        }
        assert_int_equal(unlinkat(f->store->root_fd, "index.json", 0), 0);
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, NULL), -EBADMSG);
}

/* What other tools write: no mediaType in index.json, names without a tag, entries without a name,
 * foreign names. */
static void test_index_of_other_tools(void **state) {
        struct store_fixture *f = *state;
        cleanup(image_freep) struct image *image = NULL;
        struct image_ref ref = ref_of("foo"), renamed = ref_of("foo");
        char digest[DIGEST_TEXT_MAX], text[2048];
        struct layout layout = { 0 };
        struct descriptor d;
        const char *name;

        assert_int_equal(pack_sample(f->store, "a", "one", digest, NULL), 0);
        assert_int_equal(layout_read(f->store->root_fd, &layout, NULL), 0);
        layout_get(&layout, 0, &d, &name);
        snprintf(text, sizeof(text),
                 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
                 "\"size\":%lu},"
                 "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lu,\"annotations\":{"
                 "\"" ANNOTATION_REF_NAME "\":\"My Image\"}},"
                 "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lu,\"annotations\":{"
                 "\"" ANNOTATION_REF_NAME "\":\"foo\"}}]}",
                 d.media_type, digest, d.size, d.media_type, digest, d.size, d.media_type, digest,
                 d.size);
        layout_done(&layout);
        set_index(f, text);
        assert_int_equal(store_load(f->store, &ref, "amd64", &image, NULL), 0);
        assert_list(f->store, LISTED("My Image") LISTED("foo:latest"));

        /* Naming it again replaces the entry whose name means the same. */
        assert_int_equal(store_tag(f->store, &ref, &renamed, NULL), 0);
        assert_list(f->store, LISTED("My Image") LISTED("foo:latest"));
        assert_int_equal(store_remove(f->store, &ref, NULL), 0);
        assert_list(f->store, LISTED("My Image"));
        assert_int_equal(count_blobs(f), 6);
}

static void test_lone_manifest_with_platform(void **state) {
        struct store_fixture *f = *state;
        cleanup_free char *json = NULL;
        cleanup_json json_t *root = NULL;
        struct image_ref a = ref_of("a"), one = ref_of("one"), two = ref_of("two");
        const json_t *manifest;
        struct error err = { 0 };
        struct image *image;
        struct descriptor d = { .media_type = MEDIA_TYPE_MANIFEST,
                                .architecture = "arm64",
                                .os = "linux" };

        assert_int_equal(pack_sample(f->store, "a", "one", NULL, NULL), 0);
        assert_int_equal(store_inspect(f->store, &a, &json, NULL), 0);
        assert_int_equal(json_parse(BYTES(json, strlen(json)), 1000, &root, NULL), 0);
        manifest = json_array_get(json_object_get(root, "manifests"), 1);
        d.digest = json_string_value(json_object_get(manifest, "digest"));
        d.size = (uint64_t)json_integer_value(json_object_get(manifest, "size"));
        assert_int_equal(store_put_name(f->store, &one, &d, NULL), 0);

        /* The platform of the entry survives tagging, so the wrong architecture is still refused.
         */
        assert_int_equal(store_tag(f->store, &one, &two, NULL), 0);
        assert_int_equal(store_load(f->store, &two, "amd64", &image, &err), -ENOEXEC);
        assert_non_null(strstr(err.msg, "it offers: arm64"));
        assert_int_equal(store_load(f->store, &two, "arm64", &image, &err), 0);
        image_free(image);
}

#define FIXTURE_TEST(_name)                                                                        \
        cmocka_unit_test_setup_teardown(_name, store_fixture_setup, store_fixture_teardown)

static const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_open_refuses_what_is_no_layout),
        FIXTURE_TEST(test_create_is_idempotent),
        FIXTURE_TEST(test_pack_and_load),
        FIXTURE_TEST(test_read_only),
        FIXTURE_TEST(test_missing_architecture_names_those_that_there_are),
        FIXTURE_TEST(test_pack_is_deterministic),
        FIXTURE_TEST(test_packed_documents),
        FIXTURE_TEST(test_inspect_what_is_missing),
        FIXTURE_TEST(test_pack_refuses),
        FIXTURE_TEST(test_pack_at_the_limits),
        FIXTURE_TEST(test_pack_without_definition),
        FIXTURE_TEST(test_list),
        FIXTURE_TEST(test_list_counts_shared_blobs_once),
        FIXTURE_TEST(test_tag),
        FIXTURE_TEST(test_remove_keeps_shared_blobs),
        FIXTURE_TEST(test_remove_by_digest_takes_all_tags_of_the_repository),
        FIXTURE_TEST(test_garbage_with_absent_platform),
        FIXTURE_TEST(test_garbage_keeps_all_beside_a_damaged_index),
        FIXTURE_TEST(test_garbage_with_a_hostile_neighbour),
        FIXTURE_TEST(test_copy),
        FIXTURE_TEST(test_left_over_temporary_files_go),
        FIXTURE_TEST(test_blob_writer_refuses_another_digest),
        FIXTURE_TEST(test_every_corruption_is_detected),
        FIXTURE_TEST(test_truncated_and_missing_blobs),
        FIXTURE_TEST(test_images_that_are_no_gadgets),
        FIXTURE_TEST(test_descriptors_that_lie),
        FIXTURE_TEST(test_bad_index_json),
        FIXTURE_TEST(test_index_of_other_tools),
        FIXTURE_TEST(test_lone_manifest_with_platform),
};
TEST_MAIN("image-store", tests)
