/* SPDX-License-Identifier: Apache-2.0 */
/* gadget.yaml: every key is read, and what is wrong is said with line and column. */
#include "rig.h"
#include "tests/lib/needs.h"

#define text_bytes(_text) BYTES(_text, strlen(_text))

static const char whole[] =
        "name: trace open\n"
        "description: opens files\n"
        "homepageURL: https://example.org\n"
        "documentationURL: https://example.org/doc\n"
        "sourceURL: https://example.org/src\n"
        "annotations:\n"
        "  enable-containers-datasource: true\n"
        "dataSources:\n" /* spelt as some gadgets do */
        "  open:\n"
        "    annotations:\n"
        "      cli.clear-screen-before: \"true\"\n"
        "    fields:\n"
        "      proc.comm:\n"
        "        annotations:\n"
        "          description: who\n"
        "          columns.width: 20\n"
        "      fname:\n"
        "params:\n"
        "  ebpf:\n"
        "    targ_pid:\n"
        "      key: process\n"
        "      defaultValue: \"0\"\n"
        "      description: of this process\n"
        "      alias: p\n"
        "      title: Process\n"
        "      typeHint: uint32\n"
        "      valueHint: local-pid\n"
        "      isMandatory: true\n"
        "      possibleValues: [ \"1\", \"2\" ]\n"
        "      tags: [ a ]\n"
        "paramDefaults:\n"
        "  operator.oci.ebpf.map-fetch-interval: \"0\"\n"
        "programs:\n"
        "  on_open:\n"
        "    attach_to: do_sys_open\n"
        "  on_sample:\n"
        "    attach_to: [ first, second ]\n"
        "    perf: { type: software, config: count_sw_cpu_clock, sampleType: sample_raw }\n"
        "    sampler:\n"
        "      frequency: 49\n";

static void test_every_key_is_read(void **state) {
        struct definition d;
        struct error err;

        assert_int_equal(definition_init(&d, "gadget.yaml", text_bytes(whole), &err), 0);
        assert_string_equal(d.name, "trace open");
        assert_string_equal(d.description, "opens files");
        assert_null(d.documentation);
        assert_string_equal(d.annotations.items[0].key, "enable-containers-datasource");
        assert_int_equal(d.n_sources, 1);
        assert_string_equal(d.sources[0].name, "open");
        assert_string_equal(d.sources[0].annotations.items[0].value, "true");
        assert_int_equal(d.sources[0].n_fields, 2);
        assert_string_equal(d.sources[0].fields[0].name, "proc.comm");
        assert_string_equal(d.sources[0].fields[0].annotations.items[1].value, "20");
        assert_int_equal(d.sources[0].fields[1].annotations.n, 0);
        assert_int_equal(d.n_params, 1);
        assert_string_equal(d.params[0].variable, "targ_pid");
        assert_string_equal(d.params[0].key, "process");
        assert_string_equal(d.params[0].default_value, "0");
        assert_string_equal(d.params[0].alias, "p");
        assert_string_equal(d.params[0].title, "Process");
        assert_string_equal(d.params[0].type_hint, "uint32");
        assert_string_equal(d.params[0].value_hint, "local-pid");
        assert_true(d.params[0].is_mandatory);
        assert_int_equal(d.params[0].possible_values->n, 2);
        assert_string_equal(d.param_defaults.items[0].value, "0");
        assert_int_equal(d.n_programs, 2);
        assert_string_equal(d.programs[0].attach_to->text, "do_sys_open");
        assert_string_equal(d.programs[1].attach_to->items[1]->text, "second");
        assert_string_equal(d.programs[1].perf_config, "count_sw_cpu_clock");
        assert_string_equal(d.programs[1].frequency, "49");
        definition_done(&d);
}

static void test_design_document_form(void **state) {
        static const char list[] = "documentation: long text\n"
                                   "columns:\n"
                                   "- name: pid\n"
                                   "  width: 7\n"
                                   "  minWidth: 5\n"
                                   "  visible: false\n"
                                   "- { name: comm, template: comm, tags: [ x ] }\n";
        static const char map[] = "columns: { pid: { width: 7, alignment: right } }\n";
        struct definition d;
        struct error err;

        assert_int_equal(definition_init(&d, "gadget.yaml", text_bytes(list), &err), 0);
        assert_string_equal(d.documentation, "long text");
        assert_int_equal(d.n_sources, 1);
        assert_null(d.sources[0].name);
        assert_int_equal(d.sources[0].n_fields, 2);
        assert_string_equal(d.sources[0].fields[0].annotations.items[0].key, "columns.width");
        assert_string_equal(d.sources[0].fields[0].annotations.items[2].key, "columns.hidden");
        assert_string_equal(d.sources[0].fields[0].annotations.items[2].value, "true");
        assert_string_equal(d.sources[0].fields[1].annotations.items[0].key, "template");
        definition_done(&d);
        assert_int_equal(definition_init(&d, "gadget.yaml", text_bytes(map), &err), 0);
        assert_string_equal(d.sources[0].fields[0].name, "pid");
        assert_string_equal(d.sources[0].fields[0].annotations.items[1].value, "right");
        definition_done(&d);
}

static void test_nothing_is_a_definition(void **state) {
        static const char *const empty[] = { "",    "\n",   "# a comment\n",          "---\n",
                                             "~\n", "null", "datasources:\nparams:\n" };

        for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
                struct definition d;

                assert_int_equal(definition_init(&d, "gadget.yaml", text_bytes(empty[i]), NULL), 0);
                assert_int_equal(d.n_sources + d.n_params + d.n_programs, 0);
                definition_done(&d);
        }
}

static void test_errors_say_where(void **state) {
        static const struct {
                const char *text;
                const char *message;
        } cases[] = {
                { "name: x\ndatsources:\n  a:\n",
                  "gadget.yaml:2:1: 'datsources' is not known here; did you mean 'datasources'?" },
                { "datasources:\n  open:\n    feilds:\n",
                  "gadget.yaml:3:5: 'feilds' is not known here; did you mean 'fields'?" },
                { "datasources:\n  open:\n    fields:\n      a:\n        width: 3\n",
                  "gadget.yaml:5:9: 'width' is not known here" },
                { "datasources: [ open ]\n",
                  "gadget.yaml:1:14: a map of keys and values is expected here, not a list" },
                { "name: [ a ]\n", "gadget.yaml:1:7: text is expected here, not a list" },
                { "params:\n  ebpf:\n    x:\n      isMandatory: maybe\n",
                  "gadget.yaml:4:20: 'maybe' is neither true nor false" },
                { "params:\n  ebpf:\n    x:\n      possibleValues: 3\n",
                  "gadget.yaml:4:23: a list is expected" },
                { "params:\n  wasm:\n    x:\n",
                  "gadget.yaml:2:3: 'wasm': gadgets with wasm code are not supported" },
                { "structs:\n  event:\n",
                  "gadget.yaml:1:1: 'structs': this key of old gadgets is gone" },
                { "operator:\n  process:\n", "gadget.yaml:1:1: 'operator': operators" },
                { "name: a\nname: b\n",
                  "gadget.yaml:2:1: 'name' stands here a second time (first in line 1)" },
                { "a: &x 1\nb: *x\n", "gadget.yaml:2:4: aliases (*name) are not supported" },
                { "name: a\n---\nname: b\n", "gadget.yaml:3:1: a second document begins" },
                { "name: \"a\n", "gadget.yaml:2:1: not YAML: found unexpected end of stream" },
                { "\tname: a\n", "gadget.yaml:1:1: not YAML: " },
                { "name: a\n  b: c: d\n", "gadget.yaml:2:" },
                { "{ a: 1", "gadget.yaml:" },
                { "- a\n- b\n",
                  "gadget.yaml:1:1: a map of keys and values is expected here, not a list" },
                { "columns:\n- width: 3\n", "gadget.yaml:2:3: a column needs a name" },
                { "columns:\n- name: a\n  widt: 3\n", "gadget.yaml:3:3: 'widt' is not an attribute "
                                                      "of a column; did you mean 'width'?" },
                { "? [ a ]\n: b\n", "gadget.yaml:1:3: a key must be text" },
                { "name: \"a\\0b\"\n", "gadget.yaml:1:7: text contains a NUL" },
                { "name: \xff\xfe\n", "not YAML" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = { 0 };
                struct definition d;

                assert_int_equal(
                        definition_init(&d, "gadget.yaml", text_bytes(cases[i].text), &err),
                        -EINVAL);
                definition_done(&d);
                if (!strstr(err.msg, cases[i].message))
                        fail_msg("'%s' is not '%s'", err.msg, cases[i].message);
                assert_int_equal(err.code, ERROR_INVALID);
        }
}

static void test_bounds(void **state) {
        struct error err = { 0 };
        struct definition d;
        char *text = malloc(LIMIT_DEFINITION_SIZE_MAX + 1);

        /* Deeper than anything sensible, and far from what would take our stack. */
        memset(text, '[', 100000);
        assert_int_equal(definition_init(&d, "gadget.yaml", BYTES(text, 100000), &err), -EINVAL);
        if (!strstr(err.msg, "nested or long beyond reason"))
                fail_msg("%s", err.msg);
        definition_done(&d);
        /* More items than fit. */
        text[0] = '[';
        for (size_t i = 1; i < LIMIT_DEFINITION_SIZE_MAX; i += 2)
                memcpy(text + i, "a,", 2);
        assert_int_equal(
                definition_init(&d, "gadget.yaml", BYTES(text, LIMIT_DEFINITION_SIZE_MAX), &err),
                -EINVAL);
        if (!strstr(err.msg, "nested or long beyond reason"))
                fail_msg("%s", err.msg);
        definition_done(&d);
        assert_int_equal(definition_init(&d, "gadget.yaml",
                                         BYTES(text, LIMIT_DEFINITION_SIZE_MAX + 1), &err),
                         -EFBIG);
        definition_done(&d);
        free(text);
}

/* Every truncation and many single-byte changes of a whole definition are read or refused. */
static void test_damage(void **state) {
        size_t n = strlen(whole);
        unsigned int n_read = 0;
        struct error err;
        char copy[sizeof(whole)];

        for (size_t i = 0; i <= n; i++) {
                char *exact = malloc(i ? i : 1);
                struct definition d;

                memcpy(exact, whole, i);
                n_read += definition_init(&d, "gadget.yaml", BYTES(exact, i), &err) == 0;
                definition_done(&d);
                free(exact);
        }
        assert_true(n_read > 20);
        for (size_t i = 0; i < n; i++) {
                static const char replacements[] = "\0\xff:-[{&*\"\n ";

                for (size_t k = 0; k < sizeof(replacements) - 1; k++) {
                        struct definition d;

                        memcpy(copy, whole, sizeof(copy));
                        copy[i] = replacements[k];
                        (void)definition_init(&d, "gadget.yaml", BYTES(copy, n), &err);
                        definition_done(&d);
                }
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_is_read),
        cmocka_unit_test(test_design_document_form),
        cmocka_unit_test(test_nothing_is_a_definition),
        cmocka_unit_test(test_errors_say_where),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_damage),
};

TEST_MAIN("worker/definition", tests)
