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

static bool passes(const char *terms, const char *expression) {
        cleanup_buf struct buf b = one_row();
        struct bytes rows = BYTES(b.data, b.len);
        struct row_filter *filter = NULL;
        struct error err = { 0 };
        struct row row;
        bool result;

        if (row_filter_new(schema, &schema->streams[0], terms, expression, &filter, &err) < 0)
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

        if (row_filter_new(schema, &schema->streams[0], terms, expression, &filter, &err) >= 0)
                fail_msg("'%s' is accepted", terms ? terms : expression);
        assert_null(filter);
        if (!strstr(error_text(&err), want))
                fail_msg("says '%s', want '%s'", error_text(&err), want);
}

static void test_refusals(void **state) {
        char deep[256], *many = malloc(20000);
        size_t n = 0;

        refuse("nme==1", NULL, "data source 'one' has no field 'nme'; did you mean 'name'?");
        refuse("n==x", NULL, "field 'n': 'x' is not a number");
        refuse("on==maybe", NULL, "neither true nor false");
        refuse("n", NULL, "FIELD OP VALUE is expected");
        refuse("==1", NULL, "FIELD OP VALUE is expected");
        refuse("name~(", NULL, "pattern '('");
        refuse("name~(a)\\1", NULL, "back-references");
        refuse(NULL, "n == 1 and", "a field is expected");
        refuse(NULL, "(n == 1", "')' is expected");
        refuse(NULL, "n == 1 n", "'and', 'or' or the end is expected");
        refuse(NULL, "n in 1", "'(' is expected");
        refuse(NULL, "n ?", "is expected");
        refuse(NULL, "name == 'x", "a quote has no end");
        memset(deep, '(', sizeof(deep) - 1);
        deep[sizeof(deep) - 1] = '\0';
        refuse(NULL, deep, "nested too deep");
        assert_non_null(many);
        for (size_t i = 0; i < 1000; i++)
                n += (size_t)snprintf(many + n, 20000 - n, "%sn==%zu", i ? "," : "", i);
        refuse(many, NULL, "more than 256 parts");
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

static struct selection *select_with(const struct selection_options *options) {
        struct selection *selection = NULL;
        struct error err = { 0 };

        seen[0] = '\0';
        if (selection_new(schema, options, &selection, &err) < 0)
                fail_msg("%s", error_text(&err));
        return selection;
}

static void test_sort(void **state) {
        static const int64_t first[] = { 3, -1 }, second[] = { 3, 9 };
        struct selection *selection =
                select_with(&(struct selection_options){ .sort = "one:big;top:-n,name" });

        /* An array in two frames comes out as one; what follows begins anew. */
        add(selection, EVENT_FRAME_SNAPSHOT, "za", first);
        assert_string_equal(seen, "");
        add(selection, EVENT_FRAME_END, "bc", second);
        add(selection, EVENT_FRAME_SNAPSHOT | EVENT_FRAME_END, "", first);
        assert_string_equal(seen, "1/6: c b z a\n1/6:\n");
        selection_free(selection);
        selection =
                select_with(&(struct selection_options){ .sort = "top:n", .max_entries = "top:2" });
        add(selection, EVENT_FRAME_SNAPSHOT, "za", first);
        add(selection, EVENT_FRAME_END, "bc", second);
        assert_string_equal(seen, "1/6: a z\n");
        selection_free(selection);
        selection = select_with(
                &(struct selection_options){ .max_entries = "top:3", .filter = "top:n>0" });
        add(selection, EVENT_FRAME_SNAPSHOT, "za", first);
        add(selection, 0, "bc", second);
        add(selection, EVENT_FRAME_END, "de", second);
        assert_string_equal(seen, "1/2: z\n1/0: b c\n1/4:\n");
        selection_free(selection);
}

static void test_sort_whole(void **state) {
        cleanup_buf struct buf b = one_row();
        struct selection *selection =
                select_with(&(struct selection_options){ .sort = "n", .is_whole = true });

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
        struct selection *selection = NULL;
        struct error err = { 0 };

        assert_int_equal(selection_new(schema, &(struct selection_options){ .sort = "-nam" },
                                       &selection, &err),
                         -EINVAL);
        assert_non_null(strstr(error_text(&err), "has no field 'nam'; did you mean 'name'?"));
        assert_int_equal(selection_new(schema, &(struct selection_options){ .max_entries = "x" },
                                       &selection, &err),
                         -EINVAL);
        assert_null(selection);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),      cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_sort),
        cmocka_unit_test(test_sort_whole), cmocka_unit_test(test_bad_options),
};

TEST_MAIN_SETUP("client-selection", tests, setup, teardown)
