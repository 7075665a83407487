/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output injection: 200 000 random strings, biased towards what terminals and parsers act on,
 * through every renderer, as values and as names. No byte below 0x20 but newline, no DEL, no C1, no
 * bidirectional control, valid UTF-8 throughout; every line of JSON parses and gives valid text
 * back unchanged; YAML parses; CSV has its columns. And 100 000 random numbers, which JSON gives
 * back exactly, or as null.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <yaml.h>

#include "base/text.h"
#include "client/render.h"
#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

#define BATCH 500u
#define BATCHES 400u

static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static uint32_t random_u32(void) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (uint32_t)(seed >> 16);
}

static const char *const nasty[] = {
        "\033[2J",
        "\033]0;x\007",
        "\xc2\x9b",
        "\xe2\x80\xae",
        "\xe2\x81\xa6",
        "\xd8\x9c",
        "\r\n",
        "\t",
        "\"",
        "\\",
        ",",
        "\x7f",
        "\xff",
        "\xc0\x80",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xe2\x82",
        "\xf0\x9f\x92\xa9",
        "a\xcc\x88",
        "\xe6\xbc\xa2",
        "---",
        "- ",
        ": ",
        "#",
        "{",
        "}",
        "[",
        "]",
        "'",
        "&",
        "*",
        "!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "null",
        "yes",
        "0x1",
        "1e5",
        " ",
};

static size_t random_text(uint8_t *out, size_t max) {
        size_t n = 0, pieces = random_u32() % 8;

        for (size_t i = 0; i < pieces; i++) {
                uint32_t kind = random_u32() % 4;
                size_t len = random_u32() % 12;

                if (n + 16 > max)
                        break;
                if (kind == 0) {
                        const char *word = nasty[random_u32() % ARRAY_SIZE(nasty)];

                        memcpy(out + n, word, strlen(word));
                        n += strlen(word);
                } else {
                        for (size_t k = 0; k < len; k++)
                                out[n++] = (uint8_t)(kind == 1 ? random_u32()
                                                               : 'a' + random_u32() % 26);
                }
        }
        return n;
}

static void assert_harmless(const uint8_t *text, size_t n) {
        for (size_t i = 0; i < n;) {
                size_t len = utf8_sequence(text + i, n - i);
                uint32_t c = text[i];

                if (len == 0)
                        fail_msg("invalid UTF-8 at %zu", i);
                if (len == 2)
                        c = (c & 0x1f) << 6 | (text[i + 1] & 0x3f);
                else if (len == 3)
                        c = (c & 0x0f) << 12 | (uint32_t)(text[i + 1] & 0x3f) << 6 |
                            (text[i + 2] & 0x3f);
                if ((c < 0x20 && c != '\n') || (len <= 2 && c >= 0x7f && c < 0xa0) ||
                    (len <= 3 && len > 1 && is_bidi_control(c)))
                        fail_msg("U+%04X at %zu in '%.60s'", c, i, text + i);
                i += len;
        }
}

struct sample_rows {
        struct buf rows;
        struct {
                uint8_t data[128];
                size_t n;
        } texts[BATCH];
};

/* Two strings, a list and an enum whose names are as random as the values. */
static const struct sample_field fields[] = {
        { "first", FIELD_STR, .annotations = { "columns.width", "12" } },
        { "list", FIELD_ARRAY, .elem = FIELD_STR },
        { "kind_raw", FIELD_UINT, RENDER_ENUM, "kind", 0, 1 },
        { "second", FIELD_STR,
          .annotations = { "columns.width", "8", "columns.ellipsis", "middle", "columns.alignment",
                           "right" } },
};
static const struct sample_stream stream = { "s", STREAM_TRACER, fields, ARRAY_SIZE(fields) };

static void make_rows(struct sample_rows *s) {
        s->rows = BUF_INIT(1 << 22);
        for (uint32_t i = 0; i < BATCH; i++) {
                s->texts[i].n = random_text(s->texts[i].data, sizeof(s->texts[i].data));
                sample_array(&s->rows, ARRAY_SIZE(fields));
                sample_strn(&s->rows, s->texts[i].data, s->texts[i].n);
                sample_array(&s->rows, 2);
                sample_strn(&s->rows, s->texts[i].data, s->texts[i].n / 2);
                sample_strn(&s->rows, s->texts[i].data, s->texts[i].n);
                sample_uint(&s->rows, i % 4);
                sample_strn(&s->rows, s->texts[i].data, s->texts[i].n);
        }
        assert_non_null(buf_reserve(&s->rows, RENDER_SLACK));
}

static void check_json(const uint8_t *text, size_t n, const struct sample_rows *s) {
        const uint8_t *end = text + n;

        for (uint32_t i = 0; i < BATCH; i++) {
                const uint8_t *newline = memchr(text, '\n', (size_t)(end - text));
                json_error_t error;
                json_t *row, *value;

                assert_non_null(newline);
                row = json_loadb((const char *)text, (size_t)(newline - text),
                                 JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
                if (!row)
                        fail_msg("%s: '%.*s'", error.text, (int)(newline - text), text);
                value = json_object_get(row, "second");
                assert_true(json_is_string(value));
                if (utf8_is_valid(s->texts[i].data, s->texts[i].n)) {
                        assert_int_equal(json_string_length(value), s->texts[i].n);
                        if (s->texts[i].n > 0)
                                assert_memory_equal(json_string_value(value), s->texts[i].data,
                                                    s->texts[i].n);
                }
                json_decref(row);
                text = newline + 1;
        }
        assert_ptr_equal(text, end);
}

static void check_yaml(const uint8_t *text, size_t n) {
        yaml_parser_t parser;
        yaml_document_t doc;
        uint32_t n_docs = 0;

        assert_true(yaml_parser_initialize(&parser));
        yaml_parser_set_input_string(&parser, text, n);
        for (;; n_docs++) {
                yaml_node_t *root;

                if (!yaml_parser_load(&parser, &doc))
                        fail_msg("yaml line %zu: %s", parser.problem_mark.line, parser.problem);
                root = yaml_document_get_root_node(&doc);
                if (!root)
                        break;
                assert_int_equal(root->type, YAML_MAPPING_NODE);
                assert_int_equal(root->data.mapping.pairs.top - root->data.mapping.pairs.start, 5);
                yaml_document_delete(&doc);
        }
        yaml_document_delete(&doc);
        yaml_parser_delete(&parser);
        assert_int_equal(n_docs, BATCH);
}

/* Every line has as many fields as the header; quotes are balanced. */
static void check_csv(const uint8_t *text, size_t n) {
        unsigned int commas = 0, lines = 0;
        bool is_quoted = false;

        for (size_t i = 0; i < n; i++) {
                if (text[i] == '"')
                        is_quoted = !is_quoted;
                else if (text[i] == ',' && !is_quoted)
                        commas++;
                else if (text[i] == '\n') {
                        assert_false(is_quoted);
                        assert_int_equal(commas, 3);
                        commas = 0;
                        lines++;
                }
        }
        assert_int_equal(lines, BATCH + 1);
}

static void check_columns(const uint8_t *text, size_t n, uint32_t terminal) {
        unsigned int lines = 0;

        for (const uint8_t *end = text + n; text < end; lines++) {
                const uint8_t *newline = memchr(text, '\n', (size_t)(end - text));

                assert_non_null(newline);
                if (terminal)
                        assert_true(text_columns(text, (size_t)(newline - text)) <= terminal);
                text = newline + 1;
        }
        assert_int_equal(lines, BATCH + 1);
}

static void check(const struct schema *schema, const struct sample_rows *s, enum output_mode mode,
                  uint32_t terminal) {
        struct render_options options = { .mode = mode, .terminal = terminal };
        struct renderer *renderer = NULL;
        struct error err = { 0 };
        struct out out;

        assert_int_equal(out_init(&out, -1, 1024), 0);
        assert_int_equal(renderer_new(schema, &options, &out, &renderer, &err), 0);
        render_header(renderer);
        assert_int_equal(render_rows(renderer, 0, 0, BYTES(s->rows.data, s->rows.len)), BATCH);
        assert_harmless(out.data, out_pending(&out));
        if (mode == OUTPUT_JSON)
                check_json(out.data, out_pending(&out), s);
        else if (mode == OUTPUT_YAML)
                check_yaml(out.data, out_pending(&out));
        else if (mode == OUTPUT_CSV)
                check_csv(out.data, out_pending(&out));
        else if (mode == OUTPUT_COLUMNS)
                check_columns(out.data, out_pending(&out), terminal);
        renderer_free(renderer);
        out_done(&out);
}

/* Enum names that are valid UTF-8 (the schema decoder sees to that) and otherwise as bad as they
 * can be. */
static struct schema *make_schema(void) {
        static const struct sample_value values[] = { { "\033[2J", 0 },
                                                      { "a\"b\\c,d", 1 },
                                                      { "\xc2\x9b\xe2\x80\xae", 2 } };
        static const struct sample_enum enums[] = { { "e", false, values, 3 } };
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        struct schema *schema = NULL;

        sample_schema(&b, &stream, 1, enums, 1);
        assert_int_equal(schema_new(BYTES(b.data, b.len), &schema, NULL), 0);
        return schema;
}

static void test_values(void **state) {
        struct sample_rows *s = malloc(sizeof(*s));
        struct schema *schema = make_schema();

        assert_non_null(s);
        print_message("seed %llx\n", (unsigned long long)seed);
        for (uint32_t i = 0; i < BATCHES; i++) {
                make_rows(s);
                check(schema, s, OUTPUT_COLUMNS, 0);
                check(schema, s, OUTPUT_COLUMNS, 24 + i % 60);
                check(schema, s, OUTPUT_JSON, 0);
                check(schema, s, OUTPUT_CSV, 0);
                if (i % 8 == 0) {
                        check(schema, s, OUTPUT_JSONPRETTY, 0);
                        check(schema, s, OUTPUT_YAML, 0);
                }
                buf_done(&s->rows);
        }
        schema_free(schema);
        free(s);
}

/* --- numbers --- */

static uint64_t random_u64(void) {
        static const uint64_t edges[] = { 0,
                                          1,
                                          9,
                                          10,
                                          UINT32_MAX,
                                          INT64_MAX,
                                          (uint64_t)INT64_MAX + 1,
                                          UINT64_MAX - 1,
                                          UINT64_MAX,
                                          UINT64_C(9007199254740993) }; /* 2^53 + 1 */

        if (random_u32() % 4 == 0)
                return edges[random_u32() % ARRAY_SIZE(edges)];
        return ((uint64_t)random_u32() << 32 | random_u32()) >> random_u32() % 64;
}

/* Any bits: NaN, infinity and subnormal numbers among them. */
static double random_double(void) {
        static const double edges[] = { NAN, INFINITY, -INFINITY, 0, -0.0, 0.1, 1e308, 5e-324 };
        uint64_t bits = (uint64_t)random_u32() << 32 | random_u32();
        double d;

        if (random_u32() % 4 == 0)
                return edges[random_u32() % ARRAY_SIZE(edges)];
        memcpy(&d, &bits, sizeof(d));
        return d;
}

/* null for what JSON cannot say, else the very same number. */
static void check_double(const json_t *value, double d) {
        if (!isfinite(d)) {
                assert_true(json_is_null(value));
                return;
        }
        assert_true(json_is_number(value));
        if (json_number_value(value) != d)
                fail_msg("%.17g became %.17g", d, json_number_value(value));
}

struct number_row {
        uint64_t u;
        int64_t i;
        double f;
};

static void check_numbers(const char *text, size_t n, const struct number_row *row) {
        char line[1024], exact[128];
        json_error_t error;
        json_t *json;

        assert_true(n < sizeof(line));
        memcpy(line, text, n);
        line[n] = '\0';
        /* The parser's own integers end at 2^63. */
        json = json_loads(line, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
        if (!json)
                fail_msg("%s: %s", error.text, line);
        snprintf(exact, sizeof(exact), "\"u\":%llu,\"i\":%lld,", (unsigned long long)row->u,
                 (long long)row->i);
        if (!strstr(line, exact))
                fail_msg("no %s in %s", exact, line);
        snprintf(exact, sizeof(exact), "\"us\":[%llu,%llu]", (unsigned long long)row->u,
                 (unsigned long long)~row->u);
        if (!strstr(line, exact))
                fail_msg("no %s in %s", exact, line);
        check_double(json_object_get(json, "f"), row->f);
        check_double(json_array_get(json_object_get(json, "fs"), 0), row->f);
        check_double(json_array_get(json_object_get(json, "fs"), 1), -row->f);
        json_decref(json);
}

static void test_numbers(void **state) {
        static const struct sample_field numbers[] = {
                { "u", FIELD_UINT },
                { "i", FIELD_INT },
                { "f", FIELD_FLOAT },
                { "us", FIELD_ARRAY, .elem = FIELD_UINT },
                { "fs", FIELD_ARRAY, .elem = FIELD_FLOAT },
                { "size_raw", FIELD_UINT, RENDER_BYTES, "size" },
                { "took_raw", FIELD_UINT, RENDER_DURATION, "took" },
        };
        const struct sample_stream numeric = { "n", STREAM_TRACER, numbers, ARRAY_SIZE(numbers) };
        cleanup_buf struct buf encoded = BUF_INIT(1 << 20);
        struct render_options options = { .mode = OUTPUT_JSON };
        struct renderer *renderer = NULL;
        struct schema *schema = NULL;
        struct out out;

        sample_schema(&encoded, &numeric, 1, NULL, 0);
        assert_int_equal(schema_new(BYTES(encoded.data, encoded.len), &schema, NULL), 0);
        assert_int_equal(out_init(&out, -1, 4096), 0);
        assert_int_equal(renderer_new(schema, &options, &out, &renderer, NULL), 0);
        for (unsigned int i = 0; i < 100000; i++) {
                cleanup_buf struct buf row = BUF_INIT(4096);
                struct number_row want = { random_u64(), (int64_t)random_u64(), random_double() };

                if (i % 2)
                        want.i = -want.i;
                sample_array(&row, ARRAY_SIZE(numbers));
                sample_uint(&row, want.u);
                sample_int(&row, want.i);
                sample_double(&row, want.f);
                sample_array(&row, 2);
                sample_uint(&row, want.u);
                sample_uint(&row, ~want.u);
                sample_array(&row, 2);
                sample_double(&row, want.f);
                sample_double(&row, -want.f);
                sample_uint(&row, want.u);
                sample_uint(&row, want.u);
                assert_non_null(buf_reserve(&row, RENDER_SLACK));
                assert_int_equal(render_rows(renderer, 0, 0, BYTES(row.data, row.len)), 1);
                check_numbers((char *)out.data, out_pending(&out), &want);
                out.pos = out.data;
        }
        renderer_free(renderer);
        schema_free(schema);
        out_done(&out);
}

/* Names of fields, data sources and enums come from the gadget as well. */
static void test_names(void **state) {
        for (uint32_t i = 0; i < 20000; i++) {
                char name[140];
                size_t n = random_text((uint8_t *)name, 128);
                cleanup_buf struct buf b = BUF_INIT(1 << 20), row = BUF_INIT(4096);
                struct schema *schema = NULL;

                name[n] = '\0';
                if (name[0] == '\0' || !utf8_is_valid((uint8_t *)name, strlen(name)))
                        continue;
                const struct sample_field named[] = { { name, FIELD_UINT },
                                                      { "other", FIELD_UINT } };
                const struct sample_stream streams[] = { { name, STREAM_TRACER, named, 2 },
                                                         { "s", STREAM_TRACER, named, 2 } };

                sample_schema(&b, streams, 1 + i % 2, NULL, 0);
                assert_int_equal(schema_new(BYTES(b.data, b.len), &schema, NULL), 0);
                sample_array(&row, 2);
                sample_uint(&row, 1);
                sample_uint(&row, 2);
                assert_non_null(buf_reserve(&row, RENDER_SLACK));
                for (enum output_mode mode = 0; mode < OUTPUT_NONE; mode++) {
                        struct render_options options = { .mode = mode };
                        struct renderer *renderer = NULL;
                        struct out out;

                        assert_int_equal(out_init(&out, -1, 1024), 0);
                        assert_int_equal(renderer_new(schema, &options, &out, &renderer, NULL), 0);
                        render_header(renderer);
                        assert_int_equal(render_rows(renderer, 0, 0, BYTES(row.data, row.len)), 1);
                        assert_harmless(out.data, out_pending(&out));
                        if (mode == OUTPUT_JSON || mode == OUTPUT_JSONPRETTY) {
                                json_t *json = json_loadb((char *)out.data, out_pending(&out),
                                                          JSON_REJECT_DUPLICATES, NULL);

                                if (!json)
                                        fail_msg("no JSON: %.*s", (int)out_pending(&out), out.data);
                                json_decref(json);
                        }
                        renderer_free(renderer);
                        out_done(&out);
                }
                schema_free(schema);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names),
};

TEST_MAIN("client-render-property", tests)
