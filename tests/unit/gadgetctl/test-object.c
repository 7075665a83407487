/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/object.h"

#include <jansson.h>
#include <stdio.h>
#include <yaml.h>

#include "gadgetctl/losses.h"
#include "gadgetctl/table.h"
#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

static struct out out;

static const char *text(void) {
        out_put(&out, "", 1);
        out.pos--;
        return (char *)out.data;
}

static void begin(void) {
        out_done(&out);
        assert_int_equal(out_init(&out, -1, 64), 0);
}

static const char *print(const struct buf *b, enum output_format format) {
        struct printer p;

        begin();
        printer_init(&p, &out, format);
        printer_object(&p, BYTES(b->data, b->len));
        return text();
}

static struct buf make_object(void) {
        struct buf b = BUF_INIT(1 << 16);

        sample_map(&b, 8);
        sample_str(&b, "id");
        sample_str(&b, "00ff");
        sample_str(&b, "n");
        sample_uint(&b, UINT64_MAX);
        sample_str(&b, "items");
        sample_array(&b, 3);
        sample_map(&b, 2);
        sample_str(&b, "a");
        sample_str(&b, "x y");
        sample_str(&b, "b");
        sample_array(&b, 0);
        sample_array(&b, 2);
        sample_bool(&b, true);
        sample_nil(&b);
        sample_map(&b, 0);
        sample_str(&b, "deep");
        sample_map(&b, 1);
        sample_str(&b, "er");
        sample_map(&b, 1);
        sample_str(&b, "list");
        sample_array(&b, 1);
        sample_int(&b, -1);
        sample_str(&b, "log");
        sample_str(&b, "one\n\n  two: #3\nthree");
        sample_str(&b, "bad");
        sample_str(&b, "\033]0;x\007\n");
        sample_str(&b, "bin");
        sample_bin(&b, "\x01\xff", 2);
        sample_str(&b, "digest");
        sample_str(&b, "sha256:abc");
        return b;
}

static void test_json(void **state) {
        cleanup_buf struct buf b = make_object();

        assert_string_equal(
                print(&b, FORMAT_JSON),
                "{\"id\":\"00ff\",\"n\":18446744073709551615,\"items\":[{\"a\":\"x "
                "y\",\"b\":[]},[true,null],{}],"
                "\"deep\":{\"er\":{\"list\":[-1]}},\"log\":\"one\\n\\n  two: #3\\nthree\","
                "\"bad\":\"\\u001b]0;x\\u0007\\n\",\"bin\":\"01ff\",\"digest\":\"sha256:abc\"}\n");
}

static void test_jsonpretty(void **state) {
        cleanup_buf struct buf b = BUF_INIT(4096);

        sample_map(&b, 2);
        sample_str(&b, "a");
        sample_array(&b, 1);
        sample_uint(&b, 1);
        sample_str(&b, "b");
        sample_map(&b, 0);
        assert_string_equal(print(&b, FORMAT_JSONPRETTY),
                            "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}\n");
}

static void test_yaml(void **state) {
        cleanup_buf struct buf b = make_object();

        assert_string_equal(print(&b, FORMAT_YAML), "id: \"00ff\"\n"
                                                    "\"n\": 18446744073709551615\n"
                                                    "items:\n"
                                                    "  - a: \"x y\"\n"
                                                    "    b: []\n"
                                                    "  - - true\n"
                                                    "    - null\n"
                                                    "  - {}\n"
                                                    "deep:\n"
                                                    "  er:\n"
                                                    "    list:\n"
                                                    "      - -1\n"
                                                    "log: |-\n"
                                                    "  one\n"
                                                    "\n"
                                                    "    two: #3\n"
                                                    "  three\n"
                                                    "bad: \"\\u001b]0;x\\u0007\\n\"\n"
                                                    "bin: \"01ff\"\n"
                                                    "digest: sha256:abc\n");
}

static void test_scalars_at_top(void **state) {
        cleanup_buf struct buf b = BUF_INIT(64);

        sample_array(&b, 0);
        assert_string_equal(print(&b, FORMAT_YAML), "[]\n");
        assert_string_equal(print(&b, FORMAT_JSON), "[]\n");
        buf_reset(&b);
        sample_uint(&b, 5);
        assert_string_equal(print(&b, FORMAT_JSON), "5\n");
}

/* What YAML prints is what YAML reads, whatever the words are. */
static void test_yaml_reads_back(void **state) {
        static const char *const words[] = {
                "plain", "",      "yes",      "No",       "null",       "~",        "-",
                "- a",   "a: b",  "a:",       ":a",       "#c",         "a #c",     "'q'",
                "\"q\"", "&a",    "*a",       "!t",       "|",          ">",        "%d",
                "@x",    "`x",    "0x1f",     "1e3",      "12:30",      "a\nb",     "a\n",
                "\na",   "a\n\n", " lead\nx", "a\r\nb",   "tab\tx",     "t\nab\tx", "x\\y",
                "{a}",   "[b]",   "a,b",      "\xc3\xa4", "2024-01-01", "=",        "<<"
        };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                cleanup_buf struct buf b = BUF_INIT(4096);
                yaml_parser_t parser;
                yaml_document_t doc;
                yaml_node_t *root, *node;
                const char *yaml;

                sample_map(&b, 1);
                sample_str(&b, words[i][0] ? words[i] : "k");
                sample_str(&b, words[i]);
                yaml = print(&b, FORMAT_YAML);
                assert_true(yaml_parser_initialize(&parser));
                yaml_parser_set_input_string(&parser, (const uint8_t *)yaml, strlen(yaml));
                if (!yaml_parser_load(&parser, &doc))
                        fail_msg("'%s' does not parse: %s", yaml, parser.problem);
                root = yaml_document_get_root_node(&doc);
                assert_int_equal(root->type, YAML_MAPPING_NODE);
                node = yaml_document_get_node(&doc, root->data.mapping.pairs.start->value);
                assert_int_equal(node->type, YAML_SCALAR_NODE);
                assert_string_equal((char *)node->data.scalar.value, words[i]);
                node = yaml_document_get_node(&doc, root->data.mapping.pairs.start->key);
                assert_string_equal((char *)node->data.scalar.value, words[i][0] ? words[i] : "k");
                yaml_document_delete(&doc);
                yaml_parser_delete(&parser);
        }
}

/* Cut or changed anywhere: some text, valid JSON, and no reading past the end. */
static void test_mutations(void **state) {
        cleanup_buf struct buf b = make_object();

        for (size_t i = 0; i < b.len; i++) {
                uint8_t *copy = malloc(i + 1);
                struct buf cut = { .data = copy, .len = i };

                memcpy(copy, b.data, i);
                if (i > 0)
                        (void)print(&cut, FORMAT_YAML);
                free(copy);
                for (unsigned int k = 1; k < 256; k += 3) {
                        uint8_t was = b.data[i];
                        json_t *json;

                        b.data[i] = (uint8_t)k;
                        json = json_loads(
                                print(&b, FORMAT_JSON),
                                JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
                        if (!json)
                                fail_msg("not JSON: %s", text());
                        json_decref(json);
                        b.data[i] = was;
                }
        }
}

static void test_get(void **state) {
        cleanup_buf struct buf b = make_object();
        struct bytes map = BYTES(b.data, b.len), value;
        struct object_iter iter;
        char buf[8];

        assert_string_equal(object_text(map, "id", buf, sizeof(buf)), "00ff");
        assert_string_equal(object_text(map, "digest", buf, sizeof(buf)), "sha256:");
        assert_string_equal(object_text(map, "n", buf, sizeof(buf)), "");
        assert_string_equal(object_text(map, "missing", buf, sizeof(buf)), "");
        assert_true(object_uint(map, "n") == UINT64_MAX);
        assert_true(object_uint(map, "id") == 0);
        assert_false(object_bool(map, "id"));
        assert_int_equal(object_bin(map, "bin").len, 2);
        assert_int_equal(object_bin(map, "id").len, 0);
        assert_true(object_get(map, "items", &value));
        iter = object_iter_of(value);
        assert_true(object_next(&iter, &value));
        assert_string_equal(object_text(value, "a", buf, sizeof(buf)), "x y");
        assert_true(object_next(&iter, &value));
        assert_true(object_next(&iter, &value));
        assert_false(object_next(&iter, &value));
        assert_false(object_get(BYTES(NULL, 0), "x", &value));
        iter = object_iter_of(map);
        assert_false(object_next(&iter, &value));
}

static void test_table(void **state) {
        static const char *const headers[] = { "NAME", "N" };
        struct table table;

        begin();
        table_init(&table, headers, 2);
        table_add(&table, "a-long-name");
        table_add(&table, "1");
        table_add(&table, "\033[2J");
        table_add(&table, "");
        table_print(&table, &out);
        assert_string_equal(text(), "NAME         N\na-long-name  1\n\\x1b[2J\n");
        table_done(&table);
}

static void test_losses(void **state) {
        cleanup_buf struct buf b = BUF_INIT(4096);
        struct losses losses = { 0 };

        losses_add(&losses, 0, 5);
        losses_add(&losses, 99, 5);
        assert_true(losses_total(&losses.sources[0]) == 5);
        sample_array(&b, 2);
        sample_map(&b, 0);
        sample_map(&b, 2);
        sample_str(&b, "lost");
        sample_uint(&b, 3);
        sample_str(&b, "dropped");
        sample_map(&b, 3);
        sample_str(&b, "kernel-full");
        sample_uint(&b, 10);
        sample_str(&b, "filtered");
        sample_uint(&b, 1000);
        sample_str(&b, "a-reason-whose-name-is-longer-than-there-is-room");
        sample_uint(&b, 1);
        losses_set_all(&losses, BYTES(b.data, b.len));
        assert_true(losses_total(&losses.sources[0]) == 0);
        assert_true(losses_total(&losses.sources[1]) == 14);
        assert_int_equal(losses.sources[1].n_dropped, 3);
}

static int done(void **state) {
        out_done(&out);
        return 0;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_jsonpretty),
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_scalars_at_top),
        cmocka_unit_test(test_yaml_reads_back),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_losses),
};

TEST_MAIN_SETUP("gadgetctl-object", tests, NULL, done)
