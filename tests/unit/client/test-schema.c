/* SPDX-License-Identifier: Apache-2.0 */
#include "client/schema.h"

#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

static struct schema *decode(const struct buf *b) {
        struct error err = { 0 };
        struct schema *schema = NULL;

        if (schema_new(BYTES(b->data, b->len), &schema, &err) < 0)
                fail_msg("%s", error_text(&err));
        return schema;
}

static void expect_refused(const struct buf *b, int want, const char *what) {
        struct error err = { 0 };
        struct schema *schema = NULL;

        assert_int_equal(schema_new(BYTES(b->data, b->len), &schema, &err), want);
        assert_null(schema);
        assert_non_null(strstr(err.msg, what));
}

static void test_open(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        struct schema *schema;
        const struct schema_field *f;

        sample_schema(&b, &sample_open, 1, NULL, 0);
        schema = decode(&b);
        assert_string_equal(schema->name, "sample");
        assert_string_equal(schema->description, "A gadget for tests");
        assert_string_equal(schema->docs, "");
        assert_int_equal(schema->n_streams, 1);
        assert_string_equal(schema->streams[0].name, "open");
        assert_int_equal(schema->streams[0].kind, STREAM_TRACER);
        assert_int_equal(schema->streams[0].n_fields, 14);
        f = &schema->streams[0].fields[0];
        assert_string_equal(f->name, "timestamp_raw");
        assert_string_equal(f->target, "timestamp");
        assert_int_equal(f->kind, FIELD_UINT);
        assert_int_equal(f->render, RENDER_TIMESTAMP);
        assert_string_equal(f->ctype, "gadget_timestamp");
        f = &schema->streams[0].fields[1];
        assert_string_equal(annotation_get(&f->annotations, "columns.alias"), "comm");
        assert_null(annotation_get(&f->annotations, "columns.width"));
        schema_free(schema);
}

static void test_enums_and_targets(void **state) {
        static const struct sample_value values[] = { { "A", 1 }, { "B", -2 }, { "C", INT64_MAX } };
        static const struct sample_enum enums[] = { { "first", false, values, 1 },
                                                    { "second", true, values, 3 } };
        static const struct sample_field fields[] = {
                { "kind_raw", FIELD_UINT, RENDER_ENUM, NULL, 0, 2 },
                { "plain", FIELD_UINT, RENDER_ERRNO, NULL },
                { "_raw", FIELD_UINT, RENDER_ERRNO, NULL },
                { "x_raw", FIELD_UINT, RENDER_NONE, NULL },
                { "y", FIELD_UINT, RENDER_ENUM, "y_text" }, /* no enum: cannot be rendered */
        };
        static const struct sample_stream stream = { "s", STREAM_MAP, fields, ARRAY_SIZE(fields) };
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        const struct schema_field *f;
        struct schema *schema;

        sample_schema(&b, &stream, 1, enums, 2);
        schema = decode(&b);
        f = schema->streams[0].fields;
        assert_ptr_equal(f[0].enumeration, &schema->enums[1]);
        assert_true(f[0].enumeration->is_set);
        assert_int_equal(f[0].enumeration->values[1].value, -2);
        assert_true(f[0].enumeration->values[2].value == INT64_MAX);
        assert_string_equal(f[0].target, "kind");
        assert_string_equal(f[1].target, "");
        assert_string_equal(f[2].target, "");
        assert_string_equal(f[3].target, "");
        assert_int_equal(f[4].render, RENDER_NONE);
        schema_free(schema);
}

static void test_bad_enum_index(void **state) {
        static const struct sample_field fields[] = { { "kind_raw", FIELD_UINT, RENDER_ENUM, "kind",
                                                        0, 1 } };
        static const struct sample_stream stream = { "s", STREAM_TRACER, fields, 1 };
        cleanup_buf struct buf b = BUF_INIT(1 << 20);

        sample_schema(&b, &stream, 1, NULL, 0);
        expect_refused(&b, -EBADMSG, "enum index");
}

static void test_bad_strings(void **state) {
        static const char *const names[] = { "a\xff", "\xed\xa0\x80" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const struct sample_field fields[] = { { names[i], FIELD_UINT } };
                const struct sample_stream stream = { "s", STREAM_TRACER, fields, 1 };
                cleanup_buf struct buf b = BUF_INIT(1 << 20);

                sample_schema(&b, &stream, 1, NULL, 0);
                expect_refused(&b, -EBADMSG, "field name is not valid UTF-8");
        }
}

static void test_nul_in_string(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);

        sample_map(&b, 1);
        sample_str(&b, "gadget");
        sample_map(&b, 1);
        sample_str(&b, "name");
        sample_strn(&b, "a\0b", 3);
        expect_refused(&b, -EBADMSG, "gadget name");
}

static void test_version(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);

        sample_map(&b, 1);
        sample_str(&b, "version");
        sample_uint(&b, 2);
        expect_refused(&b, -EBADMSG, "version 2");
}

static void test_limits(void **state) {
        static struct sample_field fields[LIMIT_FIELDS_MAX + 1];
        static struct sample_stream streams[LIMIT_STREAMS_MAX + 1];
        cleanup_buf struct buf b = BUF_INIT(2 << 20);
        struct schema *schema;

        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                fields[i].name = "f";
        for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
                streams[i] = (struct sample_stream){ "s", STREAM_TRACER, fields, 0 };
        streams[0].n_fields = LIMIT_FIELDS_MAX;
        sample_schema(&b, streams, LIMIT_STREAMS_MAX, NULL, 0);
        schema = decode(&b);
        assert_int_equal(schema->n_streams, LIMIT_STREAMS_MAX);
        schema_free(schema);

        buf_reset(&b);
        sample_schema(&b, streams, LIMIT_STREAMS_MAX + 1, NULL, 0);
        expect_refused(&b, -E2BIG, "data sources");
        buf_reset(&b);
        streams[0].n_fields = LIMIT_FIELDS_MAX + 1;
        sample_schema(&b, streams, 1, NULL, 0);
        expect_refused(&b, -E2BIG, "fields");
}

static void test_too_large(void **state) {
        cleanup_buf struct buf b = BUF_INIT(4 << 20);
        static char text[LIMIT_SCHEMA_SIZE_MAX + 1];

        memset(text, 'a', sizeof(text));
        sample_map(&b, 1);
        sample_str(&b, "docs");
        sample_strn(&b, text, sizeof(text));
        expect_refused(&b, -E2BIG, "bytes");
}

/* A count that promises more than there are bytes allocates nothing. */
static void test_lying_count(void **state) {
        static const uint8_t lies[] = { 0x81, 0xa7, 's',  't',  'r',  'e',  'a',
                                        'm',  's',  0xdd, 0xff, 0xff, 0xff, 0xff };
        struct schema *schema = NULL;

        assert_int_equal(schema_new(BYTES(lies, sizeof(lies)), &schema, NULL), -EBADMSG);
        assert_null(schema);
}

/* Cut anywhere it is refused; with any byte changed it decodes or is refused, and never more than
 * that. */
static void test_mutations(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        size_t n_good = 0;

        sample_schema(&b, &sample_open, 1, NULL, 0);
        for (size_t n = 0; n < b.len; n++) {
                uint8_t *copy = malloc(n + 1);
                struct schema *schema = NULL;

                memcpy(copy, b.data, n);
                assert_true(schema_new(BYTES(copy, n), &schema, NULL) < 0);
                free(copy);
        }
        for (size_t i = 0; i < b.len; i++)
                for (unsigned int k = 0; k < 256; k += 5) {
                        uint8_t was = b.data[i];
                        struct schema *schema = NULL;

                        b.data[i] = (uint8_t)k;
                        if (schema_new(BYTES(b.data, b.len), &schema, NULL) == 0)
                                n_good++;
                        schema_free(schema);
                        b.data[i] = was;
                }
        assert_true(n_good > 0);
}

static void test_params(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        struct schema *schema;

        sample_map(&b, 1);
        sample_str(&b, "params");
        sample_array(&b, 1);
        sample_map(&b, 7);
        sample_str(&b, "key");
        sample_str(&b, "pid");
        sample_str(&b, "kind");
        sample_uint(&b, FIELD_UINT);
        sample_str(&b, "size");
        sample_uint(&b, 4);
        sample_str(&b, "default");
        sample_str(&b, "7");
        sample_str(&b, "mandatory");
        sample_bool(&b, true);
        sample_str(&b, "values");
        sample_array(&b, 2);
        sample_str(&b, "x");
        sample_str(&b, "y");
        sample_str(&b, "unknown-key");
        sample_array(&b, 1);
        sample_nil(&b);
        schema = decode(&b);
        assert_int_equal(schema->n_params, 1);
        assert_string_equal(schema->params[0].key, "pid");
        assert_int_equal(schema->params[0].size, 4);
        assert_string_equal(schema->params[0].default_value, "7");
        assert_string_equal(schema->params[0].alias, "");
        assert_true(schema->params[0].mandatory);
        assert_int_equal(schema->params[0].n_values, 2);
        assert_string_equal(schema->params[0].values[1], "y");
        schema_free(schema);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),           cmocka_unit_test(test_enums_and_targets),
        cmocka_unit_test(test_bad_enum_index), cmocka_unit_test(test_bad_strings),
        cmocka_unit_test(test_nul_in_string),  cmocka_unit_test(test_version),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_lying_count),    cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_params),
};

TEST_MAIN("client-schema", tests)
