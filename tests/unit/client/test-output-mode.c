/* SPDX-License-Identifier: Apache-2.0 */
/* Whose word counts: the user's, then the data source's, then columns. */
#include "client/output-mode.h"
#include "sample.h"
#include "tests/lib/needs.h"

static const struct sample_field fields[] = { { "x", FIELD_UINT } };

#define DEFAULT "cli.default-output-mode"
#define SUPPORTED "cli.supported-output-modes"

static const struct {
        const char *annotations[2][5]; /* of two data sources */
        const char *wanted;
        enum output_mode mode;
        const char *says; /* NULL: the mode is taken */
} cases[] = {
        { {}, NULL, OUTPUT_COLUMNS },
        { {}, "csv", OUTPUT_CSV },
        { {}, "cvs", 0, "-o 'cvs' is no output mode" },
        { { { DEFAULT, "json" } }, NULL, OUTPUT_JSON },
        { { { DEFAULT, "json" } }, "yaml", OUTPUT_YAML },
        { { {}, { DEFAULT, "yaml" } }, NULL, OUTPUT_YAML },
        { { { DEFAULT, "json" }, { DEFAULT, "yaml" } }, NULL, OUTPUT_JSON },
        { { { SUPPORTED, "yaml,json" } }, NULL, OUTPUT_YAML },
        { { { SUPPORTED, "yaml,columns" } }, NULL, OUTPUT_COLUMNS },
        { { { SUPPORTED, "yaml,json" } }, "json", OUTPUT_JSON },
        { { { SUPPORTED, "yaml,json" } }, "none", OUTPUT_NONE },
        { { { SUPPORTED, "yaml,json" } },
          "csv",
          0,
          "-o csv: data source 'a' supports json, yaml, none only" },
        { { {}, { SUPPORTED, "columns" } }, "json", 0, "-o json: data source 'b' supports" },
        { { { SUPPORTED, "columns", DEFAULT, "json" } }, NULL, 0, "-o json: data source 'a'" },
        /* What only other clients have. */
        { { { DEFAULT, "raw" } }, NULL, OUTPUT_COLUMNS },
        { { { SUPPORTED, "raw" } }, "json", OUTPUT_JSON },
        { { { SUPPORTED, "raw,json" } }, NULL, OUTPUT_JSON },
        { { { SUPPORTED, "jso,,json" } }, "jsonpretty", 0, "supports json, none only" },
};

static void test_whose_word_counts(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct sample_stream streams[] = { { "a", STREAM_TRACER, fields, 1 },
                                                   { "b", STREAM_MAP, fields, 1 } };
                cleanup_buf struct buf encoded = BUF_INIT(1 << 20);
                cleanup(schema_freep) struct schema *schema = NULL;
                enum output_mode mode = _OUTPUT_MODE_MAX;
                struct error err = { 0 };
                int r;

                for (size_t s = 0; s < 2; s++)
                        memcpy(streams[s].annotations, cases[i].annotations[s],
                               sizeof(cases[i].annotations[s]));
                sample_schema(&encoded, streams, 2, NULL, 0);
                assert_int_equal(schema_new(BYTES(encoded.data, encoded.len), &schema, NULL), 0);
                r = output_mode_choose(schema, cases[i].wanted, &mode, &err);
                if (cases[i].says ? r != -EINVAL || !strstr(err.msg, cases[i].says) ||
                                            mode != _OUTPUT_MODE_MAX
                                  : r != 0 || mode != cases[i].mode)
                        fail_msg("row %zu: %d, mode %d, '%s'", i, r, mode, err.msg);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_word_counts),
};

TEST_MAIN("client/output-mode", tests)
