/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every field table there is (messages, requests, replies, the error map), by its own description:
 * what it says is required is required, what it says is the maximum is, and no truncated or damaged
 * encoding does more than fail.
 */
#include <sys/mman.h>

#include "base/text.h"
#include "ipc/message.h"
#include "ipc/mp.h"
#include "ipc/rpc.h"
#include "tests/lib/needs.h"
#include "tests/property/random.h"

#define RECORDS_MAX 128
#define OBJECT_MAX 512 /* bytes of the largest struct */

static const struct record *records[RECORDS_MAX];
static size_t n_records;

static int collect(void **state) {
        for (unsigned int i = MSG_NONE + 1; i < _MSG_MAX; i++)
                records[n_records++] = &message_types[i].record;
        for (unsigned int i = 0; i < _METHOD_MAX; i++) {
                records[n_records++] = &methods[i].request;
                records[n_records++] = &methods[i].reply;
        }
        records[n_records++] = &rpc_error_record;
        for (size_t i = 0; i < n_records; i++)
                if (records[i]->size > OBJECT_MAX)
                        return -1;
        return n_records > 30 ? 0 : -1;
}

union object {
        uint8_t bytes[OBJECT_MAX];
        uint64_t align;
};

#define MEMBER(_object, _field, _type) ((_type *)(void *)((_object)->bytes + (_field)->offset))

/* --- valid objects --- */

struct pool {
        char texts[64][16];
        size_t n;
};

static const char *make_text(struct random *random, const struct field *field, struct pool *pool) {
        static const char *const samples[] = { "", "a", "trace_open", "gr\xc3\xbc\xc3\x9f",
                                               "\xf0\x9f\x90\x9d" };
        char *text = pool->texts[pool->n++];

        snprintf(text, sizeof(pool->texts[0]), "%s",
                 samples[random_below(random, ARRAY_SIZE(samples))]);
        if (strlen(text) > field->max)
                text[0] = '\0';
        return text;
}

static void make_object(struct random *random, const struct record *record, bool is_full,
                        union object *ret, struct pool *pool) {
        static const uint8_t any[] = { 0x82, 0xa1, 'k',  0x92, 0x01, 0xa1,
                                       'v',  0xa0, 0xc4, 0x01, 0xff };

        memset(ret, 0, sizeof(*ret));
        pool->n = 0;
        for (uint32_t i = 0; i < record->n_fields; i++) {
                const struct field *field = &record->fields[i];

                if (!is_full && !(field->flags & FIELD_REQUIRED) && random_below(random, 2))
                        continue;
                switch (field->type) {
                case FIELD_TYPE_BOOL:
                        *MEMBER(ret, field, bool) = is_full || random_below(random, 2);
                        break;
                case FIELD_TYPE_U32:
                        *MEMBER(ret, field, uint32_t) =
                                (uint32_t)(random_u64(random) % (field->max + 1));
                        break;
                case FIELD_TYPE_U64:
                        *MEMBER(ret, field, uint64_t) =
                                field->max == UINT64_MAX ? random_u64(random)
                                                         : random_u64(random) % (field->max + 1);
                        break;
                case FIELD_TYPE_I64:
                        *MEMBER(ret, field, int64_t) = (int64_t)random_u64(random);
                        break;
                case FIELD_TYPE_STR:
                        *MEMBER(ret, field, const char *) = make_text(random, field, pool);
                        break;
                case FIELD_TYPE_BIN:
                        *MEMBER(ret, field, struct bytes) =
                                BYTES(any, random_below(random, sizeof(any)));
                        break;
                case FIELD_TYPE_ANY:
                        *MEMBER(ret, field, struct bytes) = BYTES(any, sizeof(any));
                        break;
                }
        }
}

static bool is_same_bytes(struct bytes a, struct bytes b) {
        return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool is_same(const struct record *record, union object *a, union object *b) {
        for (uint32_t i = 0; i < record->n_fields; i++) {
                const struct field *field = &record->fields[i];
                bool same = false;

                switch (field->type) {
                case FIELD_TYPE_BOOL:
                        same = *MEMBER(a, field, bool) == *MEMBER(b, field, bool);
                        break;
                case FIELD_TYPE_U32:
                        same = *MEMBER(a, field, uint32_t) == *MEMBER(b, field, uint32_t);
                        break;
                case FIELD_TYPE_U64:
                case FIELD_TYPE_I64:
                        same = *MEMBER(a, field, uint64_t) == *MEMBER(b, field, uint64_t);
                        break;
                case FIELD_TYPE_STR: {
                        const char *s = *MEMBER(a, field, const char *),
                                   *t = *MEMBER(b, field, const char *);

                        same = s == t || (s && t && str_eq(s, t));
                        break;
                }
                case FIELD_TYPE_BIN:
                case FIELD_TYPE_ANY:
                        same = is_same_bytes(*MEMBER(a, field, struct bytes),
                                             *MEMBER(b, field, struct bytes));
                        break;
                }
                if (!same) {
                        print_error("%s.%s differs\n", record->name, field->name);
                        return false;
                }
        }
        return true;
}

/* --- decoding in memory that ends where the frame ends --- */

/* A frame of n bytes right before a page that faults. */
struct fence {
        uint8_t *page;
        size_t size;
};

static struct fence fence_new(size_t size) {
        struct fence fence = { .size = ALIGN_UP(size, (size_t)4096) };

        fence.page = mmap(NULL, fence.size + 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(fence.page, MAP_FAILED);
        assert_int_equal(mprotect(fence.page + fence.size, 4096, PROT_NONE), 0);
        return fence;
}

static void fence_free(struct fence *fence) {
        munmap(fence->page, fence->size + 4096);
}

static uint8_t *fence_put(struct fence *fence, const uint8_t *data, size_t n) {
        uint8_t *p = fence->page + fence->size - n;

        memcpy(p, data, n);
        return p;
}

static int decode(struct fence *fence, const struct record *record, const uint8_t *data, size_t n,
                  enum record_mode mode, union object *ret) {
        struct error err = { 0 };
        int r = record_decode(record, fence_put(fence, data, n), n, mode, ret, &err);

        if (r < 0) {
                /* One kind of failure, always explained. */
                assert_int_equal(r, -EBADMSG);
                assert_true(err.msg[0] != '\0' && err.code != ERROR_NONE);
        }
        return r;
}

static void test_round_trip(void **state) {
        struct random random = random_init("records, round trip");
        struct fence fence = fence_new(4096);

        for (size_t i = 0; i < n_records; i++)
                for (unsigned int k = 0; k < 200; k++) {
                        cleanup_buf struct buf b = BUF_INIT(4096);
                        union object in, out;
                        struct pool pool;

                        make_object(&random, records[i], k == 0, &in, &pool);
                        assert_int_equal(record_encode(records[i], &in, &b), 0);
                        memset(&out, 0xa5, sizeof(out));
                        assert_int_equal(
                                decode(&fence, records[i], b.data, b.len, RECORD_STRICT, &out), 0);
                        assert_true(is_same(records[i], &in, &out));
                }
        fence_free(&fence);
}

/* --- maps put together by hand --- */

static void put_name(struct buf *b, const struct field *field) {
        uint8_t *p = buf_reserve(b, 64);

        b->len += (size_t)(mp_put_str(p, field->name, (uint32_t)strlen(field->name)) - p);
}

static void put_map_header(struct buf *b, uint32_t n) {
        uint8_t *p = buf_reserve(b, MP_HEADER_MAX);

        b->len += (size_t)(mp_put_map(p, n) - p);
}

/* A value of the field's type that is always allowed. */
static void put_plain(struct buf *b, const struct field *field) {
        static const struct bytes plain[] = {
                [FIELD_TYPE_BOOL] = { (const uint8_t *)"\xc3", 1 },
                [FIELD_TYPE_U32] = { (const uint8_t *)"\x01", 1 },
                [FIELD_TYPE_U64] = { (const uint8_t *)"\x01", 1 },
                [FIELD_TYPE_I64] = { (const uint8_t *)"\xff", 1 },
                [FIELD_TYPE_STR] = { (const uint8_t *)"\xa1x", 2 },
                [FIELD_TYPE_BIN] = { (const uint8_t *)"\xc4\x01x", 3 },
                [FIELD_TYPE_ANY] = { (const uint8_t *)"\x90", 1 },
        };

        buf_append(b, plain[field->type].data, plain[field->type].len);
}

/* The whole map, but field `skip` left out and field `other` with this value. */
static void put_map(struct buf *b, const struct record *record, uint32_t skip, uint32_t other,
                    struct bytes value) {
        put_map_header(b, record->n_fields - (skip < record->n_fields));
        for (uint32_t i = 0; i < record->n_fields; i++) {
                if (i == skip)
                        continue;
                put_name(b, &record->fields[i]);
                if (i == other)
                        buf_append(b, value.data, value.len);
                else
                        put_plain(b, &record->fields[i]);
        }
}

#define NO_FIELD UINT32_MAX

static void test_missing_fields(void **state) {
        struct fence fence = fence_new(4096);

        for (size_t i = 0; i < n_records; i++)
                for (uint32_t k = 0; k < records[i]->n_fields; k++) {
                        bool is_required = records[i]->fields[k].flags & FIELD_REQUIRED;
                        cleanup_buf struct buf b = BUF_INIT(4096);
                        union object object;

                        put_map(&b, records[i], k, NO_FIELD, BYTES(NULL, 0));
                        assert_int_equal(
                                decode(&fence, records[i], b.data, b.len, RECORD_STRICT, &object),
                                is_required ? -EBADMSG : 0);
                }
        fence_free(&fence);
}

static void test_wrong_types(void **state) {
        /* One value of each msgpack type, and which field types take it. */
        static const struct {
                struct bytes value;
                uint32_t taken_by;
        } values[] = {
#define TYPE(_t) (1u << FIELD_TYPE_##_t)
#define ANY_NUMBER (TYPE(U32) | TYPE(U64) | TYPE(I64))
                { { (const uint8_t *)"\xc0", 1 }, TYPE(ANY) },
                { { (const uint8_t *)"\xc2", 1 }, TYPE(BOOL) | TYPE(ANY) },
                { { (const uint8_t *)"\x01", 1 }, ANY_NUMBER | TYPE(ANY) },
                { { (const uint8_t *)"\xff", 1 }, TYPE(I64) | TYPE(ANY) },
                { { (const uint8_t *)"\xca\0\0\0\0", 5 }, TYPE(ANY) },
                { { (const uint8_t *)"\xcb\0\0\0\0\0\0\0\0", 9 }, TYPE(ANY) },
                { { (const uint8_t *)"\xa1x", 2 }, TYPE(STR) | TYPE(ANY) },
                { { (const uint8_t *)"\xc4\x01x", 3 }, TYPE(BIN) | TYPE(ANY) },
                { { (const uint8_t *)"\x90", 1 }, TYPE(ANY) },
                { { (const uint8_t *)"\x91\x01", 2 }, TYPE(ANY) },
                { { (const uint8_t *)"\x80", 1 }, TYPE(ANY) },
                { { (const uint8_t *)"\xd4\x01\x02", 3 }, TYPE(ANY) },
        };
        struct fence fence = fence_new(4096);

        for (size_t i = 0; i < n_records; i++)
                for (uint32_t k = 0; k < records[i]->n_fields; k++)
                        for (unsigned int v = 0; v < ARRAY_SIZE(values); v++) {
                                bool is_taken =
                                        values[v].taken_by & 1u << records[i]->fields[k].type;
                                cleanup_buf struct buf b = BUF_INIT(4096);
                                union object object;

                                put_map(&b, records[i], NO_FIELD, k, values[v].value);
                                assert_int_equal(decode(&fence, records[i], b.data, b.len,
                                                        RECORD_STRICT, &object),
                                                 is_taken ? 0 : -EBADMSG);
                        }
        fence_free(&fence);
}

/* A value of the field's type with this size or number; empty when there is none. */
static void put_sized(struct buf *b, const struct field *field, uint64_t n) {
        uint64_t header;
        uint8_t *p;

        switch (field->type) {
        case FIELD_TYPE_BOOL:
        case FIELD_TYPE_I64:
                return;
        case FIELD_TYPE_U32:
        case FIELD_TYPE_U64:
                p = buf_reserve(b, MP_SCALAR_MAX);
                b->len += (size_t)(mp_put_uint(p, n) - p);
                return;
        case FIELD_TYPE_STR:
        case FIELD_TYPE_BIN:
                p = buf_reserve(b, n + MP_HEADER_MAX);
                assert_non_null(p);
                b->len += (size_t)((field->type == FIELD_TYPE_STR
                                            ? mp_put_str_header(p, (uint32_t)n)
                                            : mp_put_bin_header(p, (uint32_t)n)) -
                                   p);
                break;
        case FIELD_TYPE_ANY:
                /* A bin that has n bytes with its header. */
                header = n > UINT16_MAX + 3 ? 5 : n > UINT8_MAX + 2 ? 3 : 2;
                n -= header;
                p = buf_reserve(b, n + MP_HEADER_MAX);
                assert_non_null(p);
                b->len += (size_t)(mp_put_bin_header(p, (uint32_t)n) - p);
                break;
        }
        memset(b->data + b->len, 'a', n);
        b->len += n;
}

static void test_max_and_one_more(void **state) {
        struct fence fence = fence_new((64 << 20) + 4096);

        for (size_t i = 0; i < n_records; i++)
                for (uint32_t k = 0; k < records[i]->n_fields; k++) {
                        const struct field *field = &records[i]->fields[k];

                        for (unsigned int more = 0; more < 2; more++) {
                                cleanup_buf struct buf value = BUF_INIT(64 << 20),
                                                       b = BUF_INIT(64 << 20);
                                union object object;

                                if (field->max == UINT64_MAX && more)
                                        continue;
                                put_sized(&value, field, field->max + more);
                                if (value.len == 0)
                                        continue;
                                put_map(&b, records[i], NO_FIELD, k, BYTES(value.data, value.len));
                                assert_int_equal(buf_result(&b), 0);
                                if (decode(&fence, records[i], b.data, b.len, RECORD_STRICT,
                                           &object) != (more ? -EBADMSG : 0))
                                        fail_msg("%s.%s: max%s", records[i]->name, field->name,
                                                 more ? " + 1 is taken" : " is refused");
                        }
                }
        fence_free(&fence);
}

static void test_unknown_keys(void **state) {
        static const struct field unknown = { .name = "no_such_field", .type = FIELD_TYPE_STR };
        struct fence fence = fence_new(4096);

        for (size_t i = 0; i < n_records; i++) {
                cleanup_buf struct buf b = BUF_INIT(4096);
                union object object;

                put_map_header(&b, records[i]->n_fields + 1);
                put_name(&b, &unknown);
                put_plain(&b, &unknown);
                for (uint32_t k = 0; k < records[i]->n_fields; k++) {
                        put_name(&b, &records[i]->fields[k]);
                        put_plain(&b, &records[i]->fields[k]);
                }
                assert_int_equal(decode(&fence, records[i], b.data, b.len, RECORD_STRICT, &object),
                                 -EBADMSG);
                assert_int_equal(decode(&fence, records[i], b.data, b.len, RECORD_LENIENT, &object),
                                 0);
        }
        fence_free(&fence);
}

/* --- damage --- */

static void check_inside(const void *p, size_t n, const uint8_t *frame, size_t len) {
        const uint8_t *start = p;

        assert_true(start >= frame && start + n <= frame + len);
}

/* What damage left decodable is as good as any: inside the frame, within bounds, and it encodes
 * again. */
static void check_decoded(const struct record *record, union object *object, const uint8_t *frame,
                          size_t len) {
        cleanup_buf struct buf b = BUF_INIT(4096);

        for (uint32_t i = 0; i < record->n_fields; i++) {
                const struct field *field = &record->fields[i];
                const char *text;
                struct bytes bytes;

                switch (field->type) {
                case FIELD_TYPE_BOOL:
                case FIELD_TYPE_I64:
                        break;
                case FIELD_TYPE_U32:
                        assert_true(*MEMBER(object, field, uint32_t) <= field->max);
                        break;
                case FIELD_TYPE_U64:
                        assert_true(*MEMBER(object, field, uint64_t) <= field->max);
                        break;
                case FIELD_TYPE_STR:
                        text = *MEMBER(object, field, const char *);
                        if (!text)
                                break;
                        check_inside(text, 1, frame, len);
                        check_inside(text, strlen(text) + 1, frame, len);
                        assert_true(strlen(text) <= field->max);
                        assert_true(utf8_is_valid((const uint8_t *)text, strlen(text)));
                        break;
                case FIELD_TYPE_BIN:
                case FIELD_TYPE_ANY:
                        bytes = *MEMBER(object, field, struct bytes);
                        if (!bytes.data)
                                break;
                        check_inside(bytes.data, bytes.len, frame, len);
                        assert_true(bytes.len <= field->max);
                        break;
                }
        }
        assert_int_equal(record_encode(record, object, &b), 0);
}

static void decode_damaged(struct fence *fence, const struct record *record, const uint8_t *data,
                           size_t n, enum record_mode mode) {
        union object object;

        if (decode(fence, record, data, n, mode, &object) == 0)
                check_decoded(record, &object, fence->page + fence->size - n, n);
}

static void test_truncations(void **state) {
        struct random random = random_init("records, truncations");
        struct fence fence = fence_new(4096);

        for (size_t i = 0; i < n_records; i++) {
                cleanup_buf struct buf b = BUF_INIT(4096);
                union object object;
                struct pool pool;

                make_object(&random, records[i], true, &object, &pool);
                assert_int_equal(record_encode(records[i], &object, &b), 0);
                for (size_t n = 0; n < b.len; n++)
                        assert_int_equal(
                                decode(&fence, records[i], b.data, n, RECORD_LENIENT, &object),
                                -EBADMSG);
        }
        fence_free(&fence);
}

static void test_mutations(void **state) {
        struct random random = random_init("records, mutations");
        struct fence fence = fence_new(4096);
        size_t n_decodes = 0;

        for (size_t i = 0; i < n_records; i++) {
                cleanup_buf struct buf b = BUF_INIT(4096);
                union object object;
                struct pool pool;

                make_object(&random, records[i], true, &object, &pool);
                assert_int_equal(record_encode(records[i], &object, &b), 0);
                for (size_t at = 0; at < b.len; at++) {
                        uint8_t original = b.data[at];

                        for (unsigned int delta = 1; delta < 256; delta++) {
                                b.data[at] = (uint8_t)(original + delta);
                                decode_damaged(&fence, records[i], b.data, b.len,
                                               delta % 2 ? RECORD_STRICT : RECORD_LENIENT);
                                n_decodes++;
                        }
                        b.data[at] = original;
                }
        }
        printf("%zu mutations of %zu records\n", n_decodes, n_records);
        fence_free(&fence);
}

static void test_random_bytes(void **state) {
        struct random random = random_init("records, random bytes");
        struct fence fence = fence_new(4096);

        for (unsigned int i = 0; i < 100000; i++) {
                const struct record *record = records[random_below(&random, n_records)];
                uint8_t data[64];
                size_t n = random_below(&random, sizeof(data));

                random_bytes(&random, data, n);
                if (n > 0 && random_below(&random, 2))
                        data[0] = (uint8_t)(0x80 | random_below(&random, 4));
                decode_damaged(&fence, record, data, n, RECORD_LENIENT);
        }
        fence_free(&fence);
}

/* Requests as they come from a socket: cut anywhere, damaged anywhere. */
static void test_rpc(void **state) {
        struct random random = random_init("records, rpc");
        struct fence fence = fence_new(8192);
        struct rpc_message message;

        for (unsigned int method = 0; method < _METHOD_MAX; method++) {
                cleanup_buf struct buf b = BUF_INIT(8192);
                union object object;
                struct pool pool;

                make_object(&random, &methods[method].request, true, &object, &pool);
                assert_int_equal(rpc_put_request(&b, 7, (enum method)method, &object), 0);
                for (size_t n = 0; n < b.len; n++)
                        assert_int_equal(rpc_next(fence_put(&fence, b.data, n), n, 4096, &message),
                                         0);
                for (size_t at = 0; at < b.len; at++) {
                        uint8_t original = b.data[at];

                        for (unsigned int delta = 1; delta < 256; delta++) {
                                uint8_t *p;
                                int r;

                                b.data[at] = (uint8_t)(original + delta);
                                p = fence_put(&fence, b.data, b.len);
                                r = rpc_next(p, b.len, 4096, &message);
                                assert_true(r == 1 || r == 0 || r == -EBADMSG || r == -E2BIG ||
                                            r == -EFBIG);
                                if (r != 1)
                                        continue;
                                assert_in_range(message.size, 1, b.len);
                                check_inside(message.params.data, message.params.len, p, b.len);
                                if (message.kind != RPC_REQUEST)
                                        continue;
                                (void)record_decode(
                                        &methods[method].request, (uint8_t *)message.params.data,
                                        message.params.len, RECORD_LENIENT, &object, NULL);
                        }
                        b.data[at] = original;
                }
        }
        fence_free(&fence);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_missing_fields),
        cmocka_unit_test(test_wrong_types),  cmocka_unit_test(test_max_and_one_more),
        cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_mutations),    cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_rpc),
};
TEST_MAIN_SETUP("property-records", tests, collect, NULL)
