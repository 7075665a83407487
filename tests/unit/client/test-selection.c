/* SPDX-License-Identifier: Apache-2.0 */
/* Rows by name, the client's filter, and sorting. */
#include "client/selection.h"

#include <stdio.h>

#include "client/render.h"
#include "client/row-filter.h"
#include "gadget/event-ring.h"
#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

static const struct sample_field fields[] = {
        { "name", FIELD_STR },
        { "n", FIELD_INT },
        { "error_raw", FIELD_UINT, RENDER_ERRNO, "error" },
        { "on", FIELD_BOOL },
        { "load", FIELD_FLOAT },
        { "addr", FIELD_IP },
        { "argv", FIELD_ARRAY, .elem = FIELD_STR },
        { "big", FIELD_UINT },
};
static const struct sample_stream streams[] = {
        { "one", STREAM_TRACER, fields, ARRAY_SIZE(fields) },
        { "top", STREAM_MAP, fields, 2 },
};
static struct schema *schema;

static int setup(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        struct error err = { 0 };

        sample_schema(&b, streams, ARRAY_SIZE(streams), NULL, 0);
        return schema_new(BYTES(b.data, b.len), &schema, &err);
}

static int teardown(void **state) {
        schema = schema_free(schema);
        return 0;
}

static struct buf one_row(void) {
        static const uint8_t address[] = { 10, 0, 0, 7 };
        struct buf b = BUF_INIT(1 << 16);

        sample_array(&b, ARRAY_SIZE(fields));
        sample_str(&b, "cat,dog");
        sample_int(&b, -5);
        sample_uint(&b, 2);
        sample_bool(&b, true);
        sample_double(&b, 1.5);
        sample_bin(&b, address, sizeof(address));
        sample_array(&b, 2);
        sample_str(&b, "ls");
        sample_str(&b, "-l a");
        sample_uint(&b, UINT64_MAX);
        return b;
}

/* --- the filter --- */

/* What of the options is meant for the first stream goes to its filter. */
static int make_filter(const char *terms, const char *expression, struct row_filter **ret,
                       struct error *err) {
        struct run_options o = {
                { [RUN_OPTION_FILTER] = terms, [RUN_OPTION_FILTER_EXPR] = expression }
        };
        const char *names[] = { schema->streams[0].name, schema->streams[1].name };
        cleanup_free char *a = NULL, *b = NULL;

        assert_int_equal(run_options_for_source(&o, RUN_OPTION_FILTER, names[0], names, 2, &a), 0);
        assert_int_equal(run_options_for_source(&o, RUN_OPTION_FILTER_EXPR, names[0], names, 2, &b),
                         0);
        return row_filter_new(schema, &schema->streams[0], a, b, ret, err);
}

static bool passes(const char *terms, const char *expression) {
        cleanup_buf struct buf b = one_row();
        struct bytes rows = BYTES(b.data, b.len);
        struct row_filter *filter = NULL;
        struct error err = { 0 };
        struct row row;
        bool result;

        if (make_filter(terms, expression, &filter, &err) < 0)
                fail_msg("'%s': %s", terms ? terms : expression, error_text(&err));
        assert_non_null(filter);
        assert_int_equal(row_next(&schema->streams[0], &rows, &row), 1);
        assert_int_equal(rows.len, 0);
        result = row_filter_passes(filter, &row);
        row_filter_free(filter);
        return result;
}

static void test_terms(void **state) {
        static const char *const yes[] = {
                "n==-5",
                "n=-5",
                "n<0",
                "n>=-5,on==true",
                "name==cat\\,dog",
                "name~^cat",
                "name!~bird",
                "error==ENOENT",
                "error==2",
                "error_raw>1",
                "load>1.25",
                "load<=1.5",
                "addr==10.0.0.7",
                "argv==ls -l a",
                "argv~-l",
                "big==18446744073709551615",
                "big>-1",
                "one:n==-5",
                "top:n==7,n==-5",
                "n > -6 , n < -4",
                "error!=EPERM",
        };
        static const char *const no[] = { "n==5",
                                          "n>=0",
                                          "n<0,on==false",
                                          "name==cat",
                                          "error==EPERM",
                                          "load>1.5",
                                          "big<18446744073709551615",
                                          "name~^dog",
                                          "name!~cat",
                                          "addr==10.0.0.70",
                                          "one:n==5" };

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
                if (!passes(yes[i], NULL))
                        fail_msg("'%s' does not hold", yes[i]);
        for (size_t i = 0; i < ARRAY_SIZE(no); i++)
                if (passes(no[i], NULL))
                        fail_msg("'%s' holds", no[i]);
}

static void test_expressions(void **state) {
        static const char *const yes[] = {
                "n == -5 and on == true",
                "n == 5 or on == true",
                "not n == 5",
                "not (n == 5 or on == false)",
                "n in (1, 2, -5)",
                "n not in (1, 2)",
                "name == \"cat,dog\"",
                "name == 'cat,dog'",
                "name contains 't,d'",
                "argv contains \"-l\"",
                "error in ('EPERM', 'ENOENT')",
                "n == 1 and n == 2 or n == -5",
                "n == -5 or n == 1 and n == 2",
                "!(n==5) && on==true || n==9",
                "top: n == 9; one: n == -5",
                "name ~ '^cat' and name !~ 'x$'",
        };
        static const char *const no[] = {
                "n == 5",        "not n == -5",          "n in (1,2)",
                "n not in (-5)", "name contains 'bird'", "n == -5 and on == false"
        };

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
                if (!passes(NULL, yes[i]))
                        fail_msg("'%s' does not hold", yes[i]);
        for (size_t i = 0; i < ARRAY_SIZE(no); i++)
                if (passes(NULL, no[i]))
                        fail_msg("'%s' holds", no[i]);
        assert_true(passes("n==-5", "on == true"));
        assert_false(passes("n==-5", "on == false"));
}

static void refuse(const char *terms, const char *expression, const char *want) {
        struct row_filter *filter = NULL;
        struct error err = { 0 };

        if (make_filter(terms, expression, &filter, &err) >= 0)
                fail_msg("'%s' is accepted", terms ? terms : expression);
        assert_null(filter);
        if (!strstr(error_text(&err), want))
                fail_msg("says '%s', want '%s'", error_text(&err), want);
}

static void test_refusals(void **state) {
        char deep[256], *many = malloc(20000);
        size_t n = 0;

        refuse("nme==1", NULL, "data source 'one' has no field 'nme'; did you mean 'name'?");
        refuse("n==x", NULL, "field 'n' is a number, and 'x' is neither");
        refuse("on==maybe", NULL, "field 'on' is a number, and 'maybe'");
        refuse("n", NULL, "no operator");
        refuse("==1", NULL, "no field in front of");
        refuse("name~(", NULL, "pattern '('");
        refuse("name~(a)\\1", NULL, "back-references are not known");
        refuse(NULL, "n == 1 and", "expected a word");
        refuse(NULL, "(n == 1", "expected ')'");
        refuse(NULL, "n == 1 n", "expected 'and' or 'or'");
        refuse(NULL, "n in 1", "needs a list in parentheses");
        refuse(NULL, "n ?", "expected an operator");
        refuse(NULL, "name == 'x", "a quote is not closed");
        memset(deep, '(', sizeof(deep) - 1);
        deep[sizeof(deep) - 1] = '\0';
        refuse(NULL, deep, "nested too deeply");
        assert_non_null(many);
        for (size_t i = 0; i < 1000; i++)
                n += (size_t)snprintf(many + n, 20000 - n, "%sn==%zu", i ? "," : "", i);
        refuse(many, NULL, "more than 256 terms");
        free(many);
}

/* --- sorting --- */

static char seen[4096];

static int64_t note_rows(void *userdata, uint32_t source, uint32_t flags, struct bytes rows) {
        struct format_clock clock = { 0 };
        size_t n = strlen(seen);
        int64_t count = 0;
        struct row row;

        n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%u/%u:", source, flags);
        while (row_next(&schema->streams[source], &rows, &row) > 0) {
                cleanup_buf struct buf b = BUF_INIT(4096);
                struct field_ref ref;

                assert_int_equal(field_find(&schema->streams[source], "name", &ref), 0);
                row_append_text(&row, &ref, &clock, &b);
                n += (size_t)snprintf(seen + n, sizeof(seen) - n, " %.*s", (int)b.len,
                                      (char *)b.data);
                count++;
        }
        snprintf(seen + n, sizeof(seen) - n, "\n");
        return count;
}

static void add(struct selection *selection, uint32_t flags, const char *names, const int64_t *ns) {
        cleanup_buf struct buf b = BUF_INIT(4096);

        for (size_t i = 0; names[i]; i++) {
                sample_array(&b, 2);
                sample_strn(&b, &names[i], 1);
                sample_int(&b, ns[i]);
        }
        assert_int_equal(selection_add(selection, 1, flags, BYTES(b.data, b.len), note_rows, NULL),
                         0);
}

static struct selection *select_whole(const struct run_options *options, bool is_whole) {
        struct selection *selection = NULL;
        struct error err = { 0 };

        seen[0] = '\0';
        if (selection_new(schema, options, is_whole, &selection, &err) < 0)
                fail_msg("%s", error_text(&err));
        return selection;
}

static struct selection *select_with(const struct run_options *options) {
        return select_whole(options, false);
}

static void test_sort(void **state) {
        static const int64_t first[] = { 3, -1 }, second[] = { 3, 9 };
        struct selection *selection = select_with(
                &(struct run_options){ .values = { [RUN_OPTION_SORT] = "top:-n,name" } });

        /* An array in two frames comes out as one; what follows begins anew. */
        add(selection, EVENT_FRAME_SNAPSHOT, "za", first);
        assert_string_equal(seen, "");
        add(selection, EVENT_FRAME_END, "bc", second);
        add(selection, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, "", first);
        assert_string_equal(seen, "1/6: c b z a\n1/6:\n");
        selection_free(selection);
        selection = select_with(&(struct run_options){
                .values = { [RUN_OPTION_SORT] = "top:n", [RUN_OPTION_MAX_ENTRIES] = "top:2" } });
        add(selection, EVENT_FRAME_SNAPSHOT, "za", first);
        add(selection, EVENT_FRAME_END, "bc", second);
        assert_string_equal(seen, "1/6: a z\n");
        selection_free(selection);
        selection = select_with(&(struct run_options){
                .values = {
                        [RUN_OPTION_MAX_ENTRIES] = "top:3", [RUN_OPTION_FILTER] = "top:n>0" } });
        add(selection, EVENT_FRAME_SNAPSHOT, "za", first);
        add(selection, 0, "bc", second);
        add(selection, EVENT_FRAME_END, "de", second);
        assert_string_equal(seen, "1/2: z\n1/0: b c\n1/4:\n");
        selection_free(selection);
}

static void test_sort_whole(void **state) {
        cleanup_buf struct buf b = one_row();
        struct selection *selection =
                select_whole(&(struct run_options){ .values = { [RUN_OPTION_SORT] = "n" } }, true);

        assert_int_equal(selection_add(selection, 0, 0, BYTES(b.data, b.len), note_rows, NULL), 0);
        assert_int_equal(selection_add(selection, 0, 0, BYTES(b.data, b.len), note_rows, NULL), 0);
        assert_string_equal(seen, "");
        assert_int_equal(selection_end(selection, note_rows, NULL), 0);
        assert_string_equal(seen, "0/0: cat,dog cat,dog\n");
        assert_int_equal(selection_add(selection, 0, 0, BYTES(b.data, b.len - 1), note_rows, NULL),
                         -EBADMSG);
        assert_int_equal(selection_add(selection, 9, 0, BYTES(b.data, b.len), note_rows, NULL),
                         -EBADMSG);
        selection_free(selection);
}

static void test_bad_options(void **state) {
        static const struct {
                enum run_option option;
                const char *text;
                bool is_whole;
                const char *says;
        } wrong[] = {
                { RUN_OPTION_SORT, "-nam", true, "has no field 'nam'; did you mean 'name'?" },
                { RUN_OPTION_SORT, "one:n", false, "sort: data source 'one' is a tracer" },
                { RUN_OPTION_SORT, "tip:n", false, "no data source 'tip'; did you mean 'top'?" },
                { RUN_OPTION_MAX_ENTRIES, "x", false, "max-entries: 'x' is not a number" },
                { RUN_OPTION_MAX_ENTRIES, "one:2", false, "'one' is a tracer" },
                { RUN_OPTION_FILTER, "tip:n==1", false, "no data source 'tip'" },
                { RUN_OPTION_FILTER_EXPR, "tip: n==1", false, "no data source 'tip'" },
        };
        struct selection *selection = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct run_options o = { { NULL } };
                struct error err = { 0 };

                o.values[wrong[i].option] = wrong[i].text;
                assert_int_equal(selection_new(schema, &o, wrong[i].is_whole, &selection, &err),
                                 -EINVAL);
                assert_int_equal(err.code, ERROR_USAGE);
                if (!strstr(error_text(&err), wrong[i].says))
                        fail_msg("'%s': '%s'", wrong[i].text, error_text(&err));
                assert_null(selection);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),      cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_sort),
        cmocka_unit_test(test_sort_whole), cmocka_unit_test(test_bad_options),
};

TEST_MAIN_SETUP("client-selection", tests, setup, teardown)
