/* SPDX-License-Identifier: Apache-2.0 */
/* build --update-metadata: what is missing is added where it belongs, all else stays as it is. */
#include "gadgetctl/metadata.h"
#include "tests/lib/needs.h"

static struct annotation described[] = { { "description", "who \"did\" it" } };
static struct schema_field open_fields[] = {
        { .name = "time_raw", .target = "time" },
        { .name = "comm", .target = "", .annotations = { described, 1 } },
        { .name = "runtime.containerName", .target = "", .flags = FIELD_ADDED },
};
static struct schema_field close_fields[] = { { .name = "fd", .target = "" } };
static struct schema_stream streams[] = {
        { .name = "open", .fields = open_fields, .n_fields = ARRAY_SIZE(open_fields) },
        { .name = "close", .fields = close_fields, .n_fields = ARRAY_SIZE(close_fields) },
};
static struct schema_param params[] = {
        { .key = "pid", .variable = "targ_pid", .description = "of this process" },
};
static const struct schema schema = { .streams = streams,
                                      .n_streams = ARRAY_SIZE(streams),
                                      .params = params,
                                      .n_params = ARRAY_SIZE(params) };

#define FIELD_LINES(_indent, _name, _description)                                                  \
        _indent _name ":\n" _indent "  annotations:\n" _indent "    description: " _description "\n"
#define TIME(_indent) FIELD_LINES(_indent, "time", "\"\"")
#define COMM(_indent) FIELD_LINES(_indent, "comm", "\"who \\\"did\\\" it\"")
#define FD(_indent) FIELD_LINES(_indent, "fd", "\"\"")
#define CLOSE "  close:\n    fields:\n" FD("      ")
#define PARAM(_indent)                                                                             \
        _indent "targ_pid:\n" _indent "  key: \"pid\"\n" _indent                                   \
                "  description: \"of this process\"\n"
#define PARAMS "params:\n  ebpf:\n" PARAM("    ")
#define HEAD "name: x\ndescription: y\n"

static const struct {
        const char *before;
        const char *after;
        unsigned int added;
} cases[] = {
        { "",
          "name: \"thing\"\ndescription: \"\"\ndatasources:\n  open:\n    fields:\n" TIME("      ")
                  COMM("      ") CLOSE PARAMS,
          6 },
        /* No newline at the end of the file. */
        { "name: x",
          "description: \"\"\nname: x\ndatasources:\n  open:\n    fields:\n" TIME("      ")
                  COMM("      ") CLOSE PARAMS,
          6 },
        /* Comments and empty lines stay where they are; what is there is not touched, whatever it
         * is written like. */
        { "# head\n" HEAD "dataSources:\n"
          "    open:  # the first\n"
          "        # of open\n"
          "        fields:\n"
          "            TIME_raw: {annotations: {description: given}}\n"
          "\n"
          "        # behind\n"
          "    close:\n"
          "        fields:\n"
          "            fd:\n"
          "params:\n"
          "  ebpf:\n"
          "    targ_pid: {key: pid}\n"
          "# end\n",
          "# head\n" HEAD "dataSources:\n"
          "    open:  # the first\n"
          "        # of open\n"
          "        fields:\n"
          "            TIME_raw: {annotations: {description: given}}\n" COMM(
                  "            ") "\n"
                                  "        # behind\n"
                                  "    close:\n"
                                  "        fields:\n"
                                  "            fd:\n"
                                  "params:\n"
                                  "  ebpf:\n"
                                  "    targ_pid: {key: pid}\n"
                                  "# end\n",
          1 },
        /* Keys without a value, and what comes last in the file at several depths at once. */
        { HEAD "params:\ndatasources:\n  open:\n    annotations:\n      a: |\n        one\n        "
               "two\n",
          HEAD "params:\n  ebpf:\n" PARAM("    ") "datasources:\n  open:\n    annotations:\n"
                                                  "      a: |\n        one\n        two\n"
                                                  "    fields:\n" TIME("      ") COMM("      ")
                                                          CLOSE,
          5 },
        { HEAD "datasources:\n  close:\n    fields:\n      fd:\n  open:\nparams:\n  ebpf:\n",
          HEAD "datasources:\n  close:\n    fields:\n      fd:\n  open:\n    fields:\n" TIME(
                  "      ") COMM("      ") "params:\n  ebpf:\n" PARAM("    "),
          3 },
        /* The design document's form names columns, not data sources. */
        { HEAD "columns:\n  comm:\n    width: 3\n", HEAD "columns:\n  comm:\n    width: 3\n" PARAMS,
          1 },
};

static int run(const char *before, struct buf *text, unsigned int *added, struct error *err) {
        *text = BUF_INIT(1 << 20);
        buf_puts(text, before);
        return metadata_complete("gadget.yaml", "thing", &schema, text, added, err);
}

static void test_cases(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_buf struct buf text, again;
                struct error err = { 0 };
                unsigned int added;

                if (run(cases[i].before, &text, &added, &err) < 0)
                        fail_msg("case %zu: %s", i, err.msg);
                buf_append(&text, "", 1);
                assert_string_equal((char *)text.data, cases[i].after);
                assert_int_equal(added, cases[i].added);
                /* Nothing is missing any more. */
                assert_int_equal(run((char *)text.data, &again, &added, &err), 0);
                buf_append(&again, "", 1);
                assert_string_equal((char *)again.data, cases[i].after);
                assert_int_equal(added, 0);
        }
}

static void test_refusals(void **state) {
        static const struct {
                const char *text;
                const char *says;
        } wrong[] = {
                { "{name: x}\n", "gadget.yaml:1:1: keys below each other" },
                { "- a\n", "gadget.yaml:1:1: keys below each other" },
                { HEAD "datasources: {open: {fields: {}}}\n", "gadget.yaml:3:30: lines cannot be" },
                { HEAD "datasources:\n  open: [a]\n", "gadget.yaml:4:9: lines cannot be added" },
                { "name: [\n", "gadget.yaml:2:1: not YAML" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                cleanup_buf struct buf text;
                struct error err = { 0 };
                unsigned int added;

                assert_int_equal(run(wrong[i].text, &text, &added, &err), -EINVAL);
                if (!strstr(err.msg, wrong[i].says))
                        fail_msg("'%s': '%s'", wrong[i].text, err.msg);
                /* The text is as it was. */
                assert_int_equal(text.len, strlen(wrong[i].text));
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_refusals),
};

TEST_MAIN("gadgetctl-metadata", tests)
