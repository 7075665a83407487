/* SPDX-License-Identifier: Apache-2.0 */
/* The methods image.*, over a bundled store made by the test and the local one that gadgetd makes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/store.h"
#include "ipc/mp.h"
#include "tests/unit/supervisor/bed.h"

static const char object[] = "stands for an ELF file";
static const char definition[] = "name: thing\n";

/* A bed whose bundled store holds `thing`. */
static struct bed *bed_with_bundle(void) {
        const struct pack_object objects[] = { { "amd64", BYTES(object, sizeof(object)) },
                                               { "arm64", BYTES(object, sizeof(object)) } };
        const struct pack_spec spec = { .definition = BYTES(definition, sizeof(definition) - 1),
                                        .objects = objects,
                                        .n_objects = ARRAY_SIZE(objects),
                                        .created = 1700000000 };
        cleanup(store_closep) struct store *store = NULL;
        struct bed *bed = bed_new();
        char path[256], digest[DIGEST_TEXT_MAX];
        struct error err = {};
        struct image_ref ref;

        snprintf(path, sizeof(path), "%s" GADGET_DATADIR "/store", bed->root);
        assert_int_equal(store_open(path, STORE_CREATE, &store, &err), 0);
        assert_int_equal(image_ref_parse("thing", &ref, &err), 0);
        assert_int_equal(store_pack(store, &ref, &spec, digest, &err), 0);
        return bed;
}

/* How many images of this name image.list has, and whether the last was bundled. */
static unsigned int count_listed(struct peer *peer, const char *name, bool *ret_bundled) {
        struct rep_list reply;
        struct mp_reader reader;
        unsigned int found = 0;
        uint32_t n, n_pairs;

        assert_int_equal(peer_call(peer, METHOD_IMAGE_LIST, NULL, &reply, NULL), 0);
        reader = mp_reader_of(reply.items);
        assert_int_equal(mp_read_array(&reader, &n), 0);
        for (; n > 0; n--) {
                bool is_wanted = false, is_bundled = false;

                assert_int_equal(mp_read_map(&reader, &n_pairs), 0);
                for (; n_pairs > 0; n_pairs--) {
                        struct bytes key, value;

                        assert_int_equal(mp_read_str(&reader, &key), 0);
                        if (bytes_eq(key, "name")) {
                                assert_int_equal(mp_read_str(&reader, &value), 0);
                                is_wanted = bytes_eq(value, name);
                        } else if (bytes_eq(key, "bundled")) {
                                assert_int_equal(mp_read_bool(&reader, &is_bundled), 0);
                        } else {
                                assert_int_equal(mp_skip(&reader), 0);
                        }
                }
                found += is_wanted;
                if (is_wanted && ret_bundled)
                        *ret_bundled = is_bundled;
        }
        return found;
}

static void expect_error(struct peer *peer, enum method method, const void *request,
                         const char *code) {
        struct rpc_error error = {};

        assert_int_equal(peer_call(peer, method, request, NULL, &error), -EREMOTEIO);
        assert_string_equal(error.code, code);
}

static void test_bundled(void **state) {
        struct rep_instance_run reply;
        struct peer *peer;
        struct bed *bed;
        bool is_bundled;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_with_bundle();
        peer = bed_peer(bed);
        assert_int_equal(count_listed(peer, "thing:latest", &is_bundled), 1);
        assert_true(is_bundled);
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_RUN,
                                   &(struct req_instance_run){ .image = "thing", .host = true },
                                   &reply, NULL),
                         0);
        expect_error(peer, METHOD_IMAGE_REMOVE, &(struct req_image_ref){ .image = "thing" },
                     "denied");
        expect_error(peer, METHOD_INSTANCE_RUN,
                     &(struct req_instance_run){ .image = "thing:other" }, "not-found");
        peer_free(peer);
        bed_end(bed);
}

/* A bundled image gets a local name, which can be removed again. */
static void test_tag(void **state) {
        struct rep_image first, second;
        struct peer *peer;
        struct bed *bed;
        bool is_bundled;
        char digest[DIGEST_TEXT_MAX];

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_with_bundle();
        peer = bed_peer(bed);
        assert_int_equal(peer_call(peer, METHOD_IMAGE_TAG,
                                   &(struct req_image_tag){ "thing", "example.org/team/thing:1" },
                                   &first, NULL),
                         0);
        assert_string_equal(first.image, "example.org/team/thing:1");
        snprintf(digest, sizeof(digest), "%s", first.digest);
        assert_int_equal(peer_call(peer, METHOD_IMAGE_TAG,
                                   &(struct req_image_tag){ "example.org/team/thing:1", "again" },
                                   &second, NULL),
                         0);
        assert_string_equal(second.image, "again:latest");
        assert_string_equal(second.digest, digest);
        assert_int_equal(count_listed(peer, "example.org/team/thing:1", &is_bundled), 1);
        assert_false(is_bundled);
        assert_int_equal(peer_call(peer, METHOD_IMAGE_REMOVE,
                                   &(struct req_image_ref){ .image = "again" }, NULL, NULL),
                         0);
        assert_int_equal(count_listed(peer, "again:latest", NULL), 0);
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_RUN,
                                   &(struct req_instance_run){ .image = "example.org/team/thing:1",
                                                               .host = true },
                                   NULL, NULL),
                         0);
        expect_error(peer, METHOD_IMAGE_TAG, &(struct req_image_tag){ "nothing", "x" },
                     "not-found");
        expect_error(peer, METHOD_IMAGE_TAG, &(struct req_image_tag){ "thing", "Not A Name" },
                     "invalid");
        peer_free(peer);
        bed_end(bed);
}

static void test_build(void **state) {
        uint8_t objects[256], *p = mp_put_map(objects, 1);
        struct req_image_build build = { .image = "mine:1",
                                         .definition = BYTES(definition, sizeof(definition) - 1),
                                         .created = 1 };
        struct rep_image reply;
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        peer = bed_peer(bed);
#if defined(__aarch64__)
        p = mp_put_str(p, "arm64", 5);
#else
        p = mp_put_str(p, "amd64", 5);
#endif
        p = mp_put_bin(p, object, sizeof(object));
        build.objects = BYTES(objects, (size_t)(p - objects));
        assert_int_equal(peer_call(peer, METHOD_IMAGE_BUILD, &build, &reply, NULL), 0);
        assert_string_equal(reply.image, "mine:1");
        assert_non_null(str_after(reply.digest, "sha256:"));
        assert_int_equal(count_listed(peer, "mine:1", NULL), 1);
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_RUN,
                                   &(struct req_instance_run){ .image = "mine:1", .host = true },
                                   NULL, NULL),
                         0);
        build.objects = BYTES("\x80", 1);
        expect_error(peer, METHOD_IMAGE_BUILD, &build, "invalid");
        build.objects = BYTES("\x81\xa5"
                              "amd64\x01",
                              8);
        expect_error(peer, METHOD_IMAGE_BUILD, &build, "invalid");
        build.objects = BYTES(objects, (size_t)(p - objects));
        build.annotations = BYTES("\x81\x01\x02", 3);
        expect_error(peer, METHOD_IMAGE_BUILD, &build, "invalid");
        peer_free(peer);
        bed_end(bed);
}

static bool has_key(struct bytes map, const char *key) {
        struct mp_reader reader = mp_reader_of(map);
        uint32_t n;

        assert_int_equal(mp_read_map(&reader, &n), 0);
        for (; n > 0; n--) {
                struct bytes name;

                assert_int_equal(mp_read_str(&reader, &name), 0);
                if (bytes_eq(name, key))
                        return true;
                assert_int_equal(mp_skip(&reader), 0);
        }
        return false;
}

/* What the store knows and what the gadget says; the instance for it is seen by nobody and ends by
 * itself. */
static void test_inspect(void **state) {
        static const char *const keys[] = { "name",      "digest",     "mediaType", "annotations",
                                            "manifests", "definition", "schema",    "permissions" };
        struct rep_object reply;
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_with_bundle();
        peer = bed_peer(bed);
        assert_int_equal(peer_call(peer, METHOD_IMAGE_INSPECT,
                                   &(struct req_image_inspect){ .image = "thing" }, &reply, NULL),
                         0);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (!has_key(reply.object, keys[i]))
                        fail_msg("no '%s'", keys[i]);
        assert_false(has_key(reply.object, "problem"));
        assert_true(WAIT_UNTIL(bed_stat(peer, "instances") == 0, WAIT_DEFAULT));
        peer_free(peer);
        bed_end(bed);
}

/* A store that cannot be read is one clear error, and gadgetd goes on. */
static void test_damaged_store(void **state) {
        struct peer *peer;
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_new();
        bed_put_file(bed, "var/lib/gadgetd/store/index.json", "{ not json", 10);
        bed_put_file(bed, "var/lib/gadgetd/store/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}",
                     30);
        peer = bed_peer(bed);
        expect_error(peer, METHOD_IMAGE_LIST, NULL, "invalid");
        expect_error(peer, METHOD_INSTANCE_RUN, &(struct req_instance_run){ .image = "thing" },
                     "invalid");
        BED_START(peer, .name = "the-one");
        peer_free(peer);
        bed_end(bed);
}

/* A request of which the answer is not waited for. */
static void begin(struct peer *peer, enum method method) {
        static const union request nothing;
        cleanup_buf struct buf frame = BUF_INIT(4096);

        assert_int_equal(rpc_put_request(&frame, ++peer->next_id, method, &nothing), 0);
        assert_int_equal(peer_send(peer, frame.data, frame.len), 0);
}

static bool has_been_answered(const struct peer *peer) {
        char byte;

        return peer->len > 0 || recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* A blob of 256 MiB, as large as they may be; it is full of holes and has not its name's digest. */
static void put_large_blob(const struct bed *bed) {
        char path[512];

        snprintf(path, sizeof(path), "%s" GADGET_STATEDIR "/store/blobs/sha256/%064d", bed->root,
                 7);
        assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
        assert_int_equal(truncate(path, LIMIT_BLOB_SIZE_MAX), 0);
}

/* The check has begun when what was asked behind it is answered, before it. */
static void begin_check(struct peer *peer) {
        char code[32];

        begin(peer, METHOD_IMAGE_FSCK);
        begin(peer, METHOD_INSTANCE_LIST);
        assert_int_equal(bed_answer(peer, code), peer->next_id);
}

/* While one client has the store checked, another is answered first, and told to wait its turn
 * when it asks for the same. */
static void test_fsck_blocks_nobody(void **state) {
        struct peer *checker, *other;
        struct rep_object report;
        struct rep_list list;
        struct rep_image tagged;
        char code[32];
        struct bed *bed;

        (void)state;
        test_needs(NEED_ROOT);
        bed = bed_with_bundle();
        checker = bed_peer(bed);
        other = bed_peer(bed);
        assert_int_equal(peer_call(other, METHOD_IMAGE_TAG,
                                   &(struct req_image_tag){ "thing", "local" }, &tagged, NULL),
                         0);
        put_large_blob(bed);
        begin_check(checker);
        expect_error(other, METHOD_IMAGE_FSCK, NULL, "unavailable");
        assert_int_equal(peer_call(other, METHOD_INSTANCE_LIST,
                                   &(struct req_instance_list){ .all = false }, &list, NULL),
                         0);
        assert_int_equal(count_listed(other, "local:latest", NULL), 1);
        assert_false(has_been_answered(checker));
        assert_int_equal(bed_answer(checker, code), checker->next_id - 1);
        assert_string_equal(code, "");
        /* It is over: the next may. Nothing is left of the damaged blob. */
        assert_int_equal(peer_call(other, METHOD_IMAGE_FSCK, NULL, &report, NULL), 0);
        assert_int_equal(count_listed(other, "local:latest", NULL), 1);

        /* One that goes away takes its check with it. */
        put_large_blob(bed);
        begin_check(checker);
        expect_error(other, METHOD_IMAGE_FSCK, NULL, "unavailable");
        peer_free(checker);
        assert_true(WAIT_UNTIL(peer_call(other, METHOD_IMAGE_FSCK, NULL, &report, NULL) == 0,
                               WAIT_DEFAULT));

        /* And the end of gadgetd is not delayed by one. */
        put_large_blob(bed);
        begin_check(other);
        bed_end(bed);
        peer_free(other);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                BED_TEST(test_bundled), BED_TEST(test_tag),     BED_TEST(test_fsck_blocks_nobody),
                BED_TEST(test_build),   BED_TEST(test_inspect), BED_TEST(test_damaged_store),
        };

        return test_main("supervisor-images", tests, ARRAY_SIZE(tests), NULL, NULL);
}
