/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/needs.h"

#include <stdio.h>

#include "base/buf.h"
#include "gadget/api.h"
#include "image/manifest.h"
#include "image/store.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define D "sha256:" HEX64
#define CONFIG                                                                                     \
        "\"config\":{\"mediaType\":\"" MEDIA_TYPE_GADGET_CONFIG "\",\"digest\":\"" D               \
        "\",\"size\":2}"
#define LAYER "{\"mediaType\":\"" MEDIA_TYPE_GADGET_EBPF "\",\"digest\":\"" D "\",\"size\":3}"
#define ENTRY(_more)                                                                               \
        "{\"mediaType\":\"" MEDIA_TYPE_MANIFEST "\",\"digest\":\"" D "\",\"size\":4" _more "}"
#define AMD64 ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}"
#define HEAD(_type) "{\"schemaVersion\":2,\"mediaType\":\"" _type "\","

static void test_good_manifest(void **state) {
        static const char text[] =
                HEAD(MEDIA_TYPE_MANIFEST) "\"artifactType\":\"t\"," CONFIG ",\"layers\":[" LAYER
                                          "],\"annotations\":{\"k\":\"v\"},\"unknown\":[{}]}";
        cleanup_document struct document doc = { 0 };

        (void)state;
        assert_int_equal(document_parse(BYTES(text, strlen(text)), MEDIA_TYPE_MANIFEST, &doc, NULL),
                         0);
        assert_int_equal(doc.kind, DOCUMENT_MANIFEST);
        assert_string_equal(doc.artifact_type, "t");
        assert_string_equal(doc.config.media_type, MEDIA_TYPE_GADGET_CONFIG);
        assert_string_equal(doc.config.digest, D);
        assert_int_equal(doc.config.size, 2);
        assert_int_equal(doc.n_entries, 1);
        assert_int_equal(doc.entries[0].size, 3);
        assert_null(doc.entries[0].architecture);
        assert_string_equal(annotation_get(doc.annotations, "k"), "v");
        assert_null(annotation_get(doc.annotations, "other"));
        assert_null(annotation_get(NULL, "k"));
}

static void test_good_index(void **state) {
        static const char *const types[] = { MEDIA_TYPE_INDEX, MEDIA_TYPE_DOCKER_INDEX };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                cleanup_document struct document doc = { 0 };
                char text[2048];

                snprintf(text, sizeof(text), HEAD("%s") "\"manifests\":[" ENTRY(AMD64) "]}",
                         types[i]);
                assert_int_equal(document_parse(BYTES(text, strlen(text)), types[i], &doc, NULL),
                                 0);
                assert_int_equal(doc.kind, DOCUMENT_INDEX);
                assert_int_equal(doc.n_entries, 1);
                assert_string_equal(doc.entries[0].architecture, "amd64");
                assert_string_equal(doc.entries[0].os, "linux");
                assert_null(doc.entries[0].variant);
        }
}

/* OCI's own may leave the media type to who announces them. */
static void test_without_media_type(void **state) {
        static const char index[] = "{\"schemaVersion\":2,\"manifests\":[" ENTRY(AMD64) "]}";
        static const char manifest[] = "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "]}";
        cleanup_document struct document a = { 0 }, b = { 0 };

        (void)state;
        assert_int_equal(document_parse(BYTES(index, strlen(index)), MEDIA_TYPE_INDEX, &a, NULL),
                         0);
        assert_int_equal(a.n_entries, 1);
        assert_string_equal(a.media_type, MEDIA_TYPE_INDEX);
        assert_int_equal(
                document_parse(BYTES(manifest, strlen(manifest)), MEDIA_TYPE_MANIFEST, &b, NULL),
                0);
        assert_string_equal(b.media_type, MEDIA_TYPE_MANIFEST);
}

static void test_docker_manifest(void **state) {
        static const char text[] = HEAD(MEDIA_TYPE_DOCKER_MANIFEST) CONFIG ",\"layers\":[]}";
        cleanup_document struct document doc = { 0 };

        (void)state;
        assert_int_equal(
                document_parse(BYTES(text, strlen(text)), MEDIA_TYPE_DOCKER_MANIFEST, &doc, NULL),
                0);
        assert_int_equal(doc.kind, DOCUMENT_MANIFEST);
        assert_int_equal(doc.n_entries, 0);
}

/* Each is wrong in one way, and the message says which. */
static const struct bad {
        const char *type, *text, *why;
} bad_documents[] = {
        { MEDIA_TYPE_MANIFEST, "", "not JSON" },
        { MEDIA_TYPE_MANIFEST, "{", "not JSON" },
        { MEDIA_TYPE_MANIFEST, "nonsense", "not JSON" },
        { MEDIA_TYPE_MANIFEST, "[]", "not an object" },
        { MEDIA_TYPE_MANIFEST, "{} {}", "not JSON" },
        { MEDIA_TYPE_MANIFEST, "{}", "no 'schemaVersion'" },
        { MEDIA_TYPE_MANIFEST, "{\"schemaVersion\":\"2\"}", "'schemaVersion' is not a number" },
        { MEDIA_TYPE_MANIFEST, "{\"schemaVersion\":1}", "is 1, not 2" },
        { MEDIA_TYPE_DOCKER_MANIFEST, "{\"schemaVersion\":2}", "no 'mediaType'" },
        { MEDIA_TYPE_DOCKER_INDEX, "{\"schemaVersion\":2,\"manifests\":[]}", "no 'mediaType'" },
        /* Without it, nothing of the other kind. */
        { MEDIA_TYPE_MANIFEST, "{\"schemaVersion\":2}", "has no 'config'" },
        { MEDIA_TYPE_MANIFEST, "{\"schemaVersion\":2,\"manifests\":[]}", "has no 'config'" },
        { MEDIA_TYPE_INDEX, "{\"schemaVersion\":2," CONFIG ",\"layers\":[]}",
          "has no 'manifests'" },
        { MEDIA_TYPE_MANIFEST, "{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"manifests\":[]}",
          "has 'manifests' and" },
        { MEDIA_TYPE_INDEX, "{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"manifests\":[]}",
          "has 'manifests' and" },
        { MEDIA_TYPE_MANIFEST, "{\"schemaVersion\":2,\"mediaType\":2}",
          "'mediaType' is not a string" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[]}", "was announced" },
        { MEDIA_TYPE_INDEX, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[]}", "was announced" },
        { "application/json", "{}", "neither a manifest's nor an index's" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"manifests\":[]}",
          "neither an index" },
        { MEDIA_TYPE_INDEX, HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[],\"layers\":[]}",
          "neither an index" },
        { MEDIA_TYPE_INDEX, HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[]," CONFIG "}",
          "neither an index" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) "\"layers\":[]}", "no 'config'" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) "\"config\":3,\"layers\":[]}",
          "config: is not an object" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) CONFIG "}", "no 'layers'" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":{}}",
          "'layers' is not an array" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[1]}",
          "layers[0]: is not an object" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[" LAYER ",{}]}",
          "layers[1]: has no 'mediaType'" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[{\"mediaType\":\"x\"}]}",
          "layers[0]: has no 'digest'" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG
          ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha256:../../etc\"}]}",
          "'sha256:../../etc', not sha256" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" D
                                           "\"}]}",
          "layers[0]: has no 'size'" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" D
                                           "\",\"size\":-1}]}",
          "'size' is not" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" D
                                           "\",\"size\":1.5}]}",
          "'size' is not" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" D
                                           "\",\"size\":99999999999999999999}]}",
          "not JSON" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"annotations\":[]}",
          "'annotations' is not an object" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"annotations\":{\"k\":1}}",
          "annotation 'k' is not a string" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"artifactType\":1}",
          "'artifactType' is not a string" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"layers\":[" LAYER "]}",
          "duplicate object key" },
        { MEDIA_TYPE_MANIFEST,
          HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"mediaType\":\"x\"}",
          "duplicate object key" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"x\":\"\xff\"}",
          "not JSON" },
        { MEDIA_TYPE_MANIFEST, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[],\"x\":\"\\u0000\"}",
          "not JSON" },
        { MEDIA_TYPE_INDEX, HEAD(MEDIA_TYPE_INDEX) "\"x\":1}", "no 'manifests'" },
        { MEDIA_TYPE_INDEX, HEAD(MEDIA_TYPE_INDEX) "\"manifests\":1}",
          "'manifests' is not an array" },
        { MEDIA_TYPE_INDEX, HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[" ENTRY(",\"platform\":1") "]}",
          "'platform' is not an object" },
        { MEDIA_TYPE_INDEX,
          HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[" ENTRY(",\"platform\":{\"os\":\"linux\"}") "]}",
          "platform: has no 'architecture'" },
        { MEDIA_TYPE_INDEX,
          HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[" ENTRY(
                  ",\"platform\":{\"architecture\":\"amd64\"}") "]}",
          "platform: has no 'os'" },
        { MEDIA_TYPE_INDEX,
          HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[{\"mediaType\":\"" MEDIA_TYPE_INDEX
                                 "\",\"digest\":\"" D "\",\"size\":4}]}",
          "index of indexes" },
};

static void test_bad_documents(void **state) {
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad_documents); i++) {
                const struct bad *bad = &bad_documents[i];
                struct document doc = { .n_entries = 77 };
                struct error err = { 0 };
                int r = document_parse(BYTES(bad->text, strlen(bad->text)), bad->type, &doc, &err);

                if (r != -EBADMSG)
                        fail_msg("%s: result %d", bad->text, r);
                assert_int_equal(err.code, ERROR_INVALID);
                if (!strstr(err.msg, bad->why))
                        fail_msg("%s: '%s' does not say '%s'", bad->text, err.msg, bad->why);
                assert_int_equal(doc.n_entries, 77);
        }
}

/* {"a":[[[...]]]}: the depth that is allowed parses up to the missing members, one more does not.
 */
static void test_nesting_limit(void **state) {
        for (size_t extra = 0; extra < 2; extra++) {
                size_t depth = JSON_NESTING_MAX - 1 + extra;
                char text[256] = "{\"a\":";
                struct document doc;
                struct error err = { 0 };

                for (size_t i = 0; i < depth; i++)
                        strcat(text, "[");
                for (size_t i = 0; i < depth; i++)
                        strcat(text, "]");
                strcat(text, "}");
                assert_int_equal(
                        document_parse(BYTES(text, strlen(text)), MEDIA_TYPE_INDEX, &doc, &err),
                        extra ? -E2BIG : -EBADMSG);
                assert_non_null(strstr(err.msg, extra ? "nested" : "schemaVersion"));
        }
        (void)state;
}

/* Millions of brackets end before jansson sees them. */
static void test_value_limit(void **state) {
        size_t n = LIMIT_MANIFEST_SIZE_MAX;
        cleanup_free char *text = malloc(n);
        struct error err = { 0 };
        struct document doc;

        (void)state;
        assert_non_null(text);
        memset(text, ',', n);
        memcpy(text, "{\"a\":[1", 7);
        assert_int_equal(document_parse(BYTES(text, n), MEDIA_TYPE_INDEX, &doc, &err), -E2BIG);
        assert_int_equal(err.code, ERROR_LIMIT);
        assert_non_null(strstr(err.msg, "values"));
}

static void test_size_limit(void **state) {
        size_t n = LIMIT_MANIFEST_SIZE_MAX;
        cleanup_free char *text = malloc(n + 1);
        static const char body[] = HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[]}";
        cleanup_document struct document doc = { 0 };
        struct error err = { 0 };

        (void)state;
        assert_non_null(text);
        memset(text, ' ', n + 1);
        memcpy(text, body, strlen(body));
        assert_int_equal(document_parse(BYTES(text, n), MEDIA_TYPE_INDEX, &doc, &err), 0);
        document_done(&doc);
        assert_int_equal(document_parse(BYTES(text, n + 1), MEDIA_TYPE_INDEX, &doc, &err), -EFBIG);
        assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_entry_limit(void **state) {
        for (size_t extra = 0; extra < 2; extra++) {
                cleanup_buf struct buf text = BUF_INIT(1 << 20);
                cleanup_document struct document doc = { 0 };
                struct error err = { 0 };

                buf_puts(&text, HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[" LAYER);
                for (size_t i = 1; i < MANIFEST_ENTRIES_MAX + extra; i++)
                        buf_puts(&text, "," LAYER);
                buf_puts(&text, "]}");
                assert_int_equal(
                        document_parse(BYTES(text.data, text.len), MEDIA_TYPE_MANIFEST, &doc, &err),
                        extra ? -E2BIG : 0);
        }
        (void)state;
}

/* Each truncation and each single-byte mutation parses or fails cleanly; what parses still holds
 * the invariants. */
static void test_mutations(void **state) {
        static const char *const seeds[] = {
                HEAD(MEDIA_TYPE_MANIFEST) CONFIG ",\"layers\":[" LAYER
                                                 "],\"annotations\":{\"k\":\"v\"}}",
                HEAD(MEDIA_TYPE_INDEX) "\"manifests\":[" ENTRY(AMD64) "]}",
        };
        static const char *const types[] = { MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX };
        static const char bytes[] = "\"{}[],:\\09a\x80 ";
        unsigned int n_accepted = 0;

        (void)state;
        for (size_t s = 0; s < ARRAY_SIZE(seeds); s++) {
                size_t n = strlen(seeds[s]);

                for (size_t i = 0; i < n; i++) {
                        struct document doc;

                        assert_true(document_parse(BYTES(seeds[s], i), types[s], &doc, NULL) < 0);
                }
                for (size_t i = 0; i < n; i++)
                        for (size_t c = 0; c < sizeof(bytes); c++) {
                                cleanup_free char *text = strdup(seeds[s]);
                                cleanup_document struct document doc = { 0 };

                                text[i] = bytes[c];
                                if (document_parse(BYTES(text, n), types[s], &doc, NULL) < 0)
                                        continue;
                                n_accepted++;
                                assert_true(doc.kind == DOCUMENT_INDEX ||
                                            digest_is_valid(doc.config.digest));
                                for (size_t e = 0; e < doc.n_entries; e++)
                                        assert_true(digest_is_valid(doc.entries[e].digest));
                        }
        }
        assert_true(n_accepted > 100);
}

static void test_print_is_compact_and_ordered(void **state) {
        static const char text[] = "{\"b\":1,\"a\":{\"z\":[],\"y\":\"\u00e9\"}}";
        cleanup_json json_t *root = NULL;
        cleanup_free char *printed = NULL;
        size_t n;

        (void)state;
        assert_int_equal(json_parse(BYTES(text, strlen(text)), 100, &root, NULL), 0);
        assert_int_equal(json_print(root, &printed, &n), 0);
        assert_string_equal(printed, text);
        assert_int_equal(n, strlen(text));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_manifest),
        cmocka_unit_test(test_good_index),
        cmocka_unit_test(test_without_media_type),
        cmocka_unit_test(test_docker_manifest),
        cmocka_unit_test(test_bad_documents),
        cmocka_unit_test(test_nesting_limit),
        cmocka_unit_test(test_value_limit),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_entry_limit),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_print_is_compact_and_ordered),
};
TEST_MAIN("image-manifest", tests)
