/* SPDX-License-Identifier: Apache-2.0 */
/* Definition meets object: annotations end up on the right fields, and names that do not exist are
 * refused. */
#include "rig.h"
#include "tests/lib/needs.h"
#include "worker/schema.h"

static struct bytes object;

static int setup(void **state) {
        object = rig_object("tests/gadgets/all_types");
        return 0;
}

static int teardown(void **state) {
        free((void *)(uintptr_t)object.data);
        return 0;
}

#define FIELDS "datasources:\n  all_types:\n    fields:\n"

static const struct event_field *field(const struct rig *rig, const char *name) {
        const struct event_type *type = rig->gadget.sources[0].type;

        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].name, name))
                        return &type->fields[i];
        fail_msg("no field '%s'", name);
        return NULL;
}

static void test_annotations_reach_their_fields(void **state) {
        static const char definition[] =
                "datasources:\n"
                "  ALL_TYPES:\n" /* names are matched without regard to case */
                "    annotations:\n"
                "      cli.clear-screen-before: \"true\"\n"
                "    fields:\n"
                "      proc.comm:\n"
                "        annotations: { columns.width: 20, columns.hidden: true }\n"
                "      error:\n"
                "        annotations: { description: twin }\n"
                "      error_raw:\n"
                "        annotations: { columns.hidden: true, description: raw }\n"
                "      timestamp:\n"
                "        annotations: { columns.hidden: false }\n"
                "      color_raw:\n"
                "        annotations: { ebpf.formatter.enum: shade }\n"
                "      shade:\n"
                "        annotations: { columns.width: 9 }\n"
                "      l4v4:\n"
                "        annotations: { template: l4endpoint }\n"
                "      proc.creds.user:\n"
                "        annotations: { columns.width: 8 }\n"
                "      k8s.podName:\n"
                "        annotations: { columns.width: 8 }\n"
                "      plain_color:\n"
                "        annotations:\n"
                "          columns.width: 4\n"
                "          template: syscall\n"; /* comes first all the same */
        const struct event_field *f;
        struct rig rig;
        int r = rig_open(&rig, object, definition, 64 << 10);

        if (r < 0)
                fail_msg("%s", rig.err.msg);
        assert_string_equal(
                annotations_get(&rig.gadget.sources[0].annotations, "cli.clear-screen-before"),
                "true");
        f = field(&rig, "proc.comm");
        assert_string_equal(annotations_get(&f->annotations, "columns.width"), "20");
        assert_true(f->flags & FIELD_HIDDEN);
        f = field(&rig, "error_raw");
        assert_string_equal(annotations_get(&f->annotations, "description"), "twin");
        assert_false(f->flags & FIELD_HIDDEN); /* hiding the number does not hide its name */
        assert_false(field(&rig, "timestamp_raw")->flags & FIELD_HIDDEN);
        f = field(&rig, "color_raw");
        assert_string_equal(f->target, "shade");
        assert_string_equal(annotations_get(&f->annotations, "columns.width"), "9");
        f = field(&rig, "plain_color");
        assert_string_equal(annotations_get(&f->annotations, "columns.width"), "4");
        assert_string_equal(annotations_get(&f->annotations, "columns.maxwidth"), "28");
        rig_done(&rig);
}

/* Gadgets are written for other programs as well; what those read is no mistake. */
static void test_annotations_for_others(void **state) {
        static const struct {
                const char *key;
                const char *whom;
        } cases[] = {
                { "metrics.type", "exporters of metrics" },
                { "metrics.unit", NULL },
                { "logs.body", "exporters of logs" },
                { "env.fields.node", "fields from the environment of the daemon" },
                { "env.fields", NULL },
                { "columns.width", NULL },
                { "formatters.timestamp.format", NULL },
                { "uidgidresolver.target", NULL },
        };
        struct rig rig;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *whom = annotation_is_for_others(cases[i].key);

                if (cases[i].whom)
                        assert_string_equal(whom, cases[i].whom);
                else
                        assert_null(whom);
        }
        assert_null(annotation_is_for_others("cli.default-output-mode"));
        assert_true(annotation_names_raw_mode("cli.supported-output-modes", "json,raw"));
        assert_false(annotation_names_raw_mode("cli.supported-output-modes", "json,csv"));
        assert_false(annotation_names_raw_mode("description", "raw"));
        assert_int_equal(rig_open(&rig, object,
                                  FIELDS "      u8_max:\n"
                                         "        annotations: { metrics.type: counter }\n",
                                  64 << 10),
                         0);
        rig_done(&rig);
}

static void test_a_twin_must_not_be_a_field(void **state) {
        struct rig rig;

        assert_int_equal(rig_open(&rig, object,
                                  FIELDS "      color_raw:\n        annotations: { "
                                         "ebpf.formatter.enum: plain_color }\n",
                                  64 << 10),
                         0);
        assert_null(field(&rig, "color_raw")->target);
        assert_int_equal(field(&rig, "color_raw")->render, RENDER_NONE);
        rig_done(&rig);
}

static void test_unknown_names_are_refused(void **state) {
        static const struct {
                const char *definition;
                const char *message;
        } cases[] = {
                { "datasources:\n  all_typse:\n", "gadget.yaml:2:3: the object has no data source "
                                                  "'all_typse'; did you mean 'all_types'?" },
                { FIELDS "      proc.com:\n", "gadget.yaml:4:7: data source 'all_types' has no "
                                              "field 'proc.com'; did you mean 'proc.comm'?" },
                { FIELDS "      xyzzy:\n",
                  "gadget.yaml:4:7: data source 'all_types' has no field 'xyzzy'" },
                { FIELDS "      elsewhere.user:\n", "has no field 'elsewhere.user'" },
                { FIELDS "      text:\n        annotations:\n          columns.widht: 3\n",
                  "gadget.yaml:6:11: annotation 'columns.widht' is not known; did you mean "
                  "'columns.width'?" },
                { FIELDS "      text:\n        annotations: { template: timestmap }\n",
                  "template 'timestmap' does not exist; did you mean 'timestamp'?" },
                { FIELDS "      proc:\n        annotations: { colums.width: 3 }\n",
                  "annotation 'colums.width'" },
                { "datasources:\n  all_types:\n    annotations: { fetch-intervall: 3 }\n",
                  "gadget.yaml:3:20: annotation 'fetch-intervall' is not known; did you mean "
                  "'fetch-interval'?" },
                { "datasources:\n  all_types:\n    annotations: { ebpf.rest.name: payload }\n",
                  "gadget.yaml:3:20: 'ebpf.rest.name': bytes behind the struct of an event are "
                  "not read" },
                { "columns: [ { name: text, width: 3 } ]\n",
                  "'columns' needs a gadget with one data source" },
                { "programs:\n  on_getpid:\n    attach_to: x\n",
                  "gadget.yaml:2:3: the object has no program 'on_getpid'" },
                { "params:\n  ebpf:\n    p_u33: { key: x }\n",
                  "gadget.yaml:3:5: the object has no const volatile variable 'p_u33'; did you "
                  "mean 'p_u32'?" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct rig rig;
                int r = rig_open(&rig, object, cases[i].definition, 64 << 10);

                if (r != -EINVAL || !strstr(rig.err.msg, cases[i].message))
                        fail_msg("%d '%s' is not '%s'", r, rig.err.msg, cases[i].message);
                rig_done(&rig);
        }
}

static void test_values_are_checked(void **state) {
        static const struct {
                enum annotation_scope scope;
                const char *key;
                const char *value;
                const char *message; /* behind "annotation '...' takes "; NULL: it fits */
        } cases[] = {
                { ANNOTATION_OF_FIELD, "columns.alignment", "rigth",
                  "left or right, not 'rigth'; did you mean 'right'?" },
                { ANNOTATION_OF_FIELD, "columns.alignment", "right", NULL },
                { ANNOTATION_OF_FIELD, "columns.width", "abc",
                  "a number from 0 to 4096 or 'type', not 'abc'" },
                { ANNOTATION_OF_FIELD, "columns.minwidth", "4096", NULL },
                { ANNOTATION_OF_FIELD, "columns.minwidth", "4097", "a number from 0 to 4096" },
                { ANNOTATION_OF_FIELD, "columns.maxwidth", "tpye", "did you mean 'type'?" },
                { ANNOTATION_OF_FIELD, "columns.width", "type", NULL },
                { ANNOTATION_OF_FIELD, "columns.precision", "21", "a number from 0 to 20" },
                { ANNOTATION_OF_FIELD, "columns.precision", "20", NULL },
                { ANNOTATION_OF_FIELD, "columns.ellipsis", "midle",
                  "start, middle, end or none, not 'midle'; did you mean 'middle'?" },
                { ANNOTATION_OF_FIELD, "columns.ellipsis", "", NULL },
                { ANNOTATION_OF_FIELD, "json.skip", "maybe", "true or false, not 'maybe'" },
                { ANNOTATION_OF_FIELD, "json.skip", "yes", NULL },
                { ANNOTATION_OF_FIELD, "columns.hidden", "flase", "did you mean 'false'?" },
                { ANNOTATION_OF_FIELD, "columns.alias", "", "a name, not ''" },
                { ANNOTATION_OF_FIELD, "columns.order", "-1", "a number from 0 to" },
                { ANNOTATION_OF_FIELD, "metrics.type", "guage", "did you mean 'gauge'?" },
                { ANNOTATION_OF_FIELD, "description", "", NULL },
                { ANNOTATION_OF_SOURCE, "fetch-interval", "soon",
                  "a duration such as 500ms or 2s, not 'soon'" },
                { ANNOTATION_OF_SOURCE, "fetch-interval", "1500ms", NULL },
                { ANNOTATION_OF_SOURCE, "fetch-count", "many", "a number from 0 to 4294967295" },
                { ANNOTATION_OF_SOURCE, "ebpf.map.flush-on-stop", "on", "true or false" },
                { ANNOTATION_OF_SOURCE, "logs.array-handling", "element",
                  "did you mean 'elements'?" },
                { ANNOTATION_OF_SOURCE, "cli.default-output-mode", "jsn", "did you mean 'json'?" },
                { ANNOTATION_OF_SOURCE, "cli.supported-output-modes", "json,ymal",
                  "did you mean 'yaml'?" },
                { ANNOTATION_OF_SOURCE, "cli.supported-output-modes", "json,columns,raw", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                bool of_source = cases[i].scope == ANNOTATION_OF_SOURCE;
                char definition[256], message[256];
                struct rig rig;
                int r;

                snprintf(definition, sizeof(definition), "%s%s: \"%s\"\n",
                         of_source ? "datasources:\n  all_types:\n    annotations:\n      "
                                   : FIELDS "     text:\n      annotations:\n       ",
                         cases[i].key, cases[i].value);
                snprintf(message, sizeof(message), "gadget.yaml:%s: annotation '%s' takes ",
                         of_source ? "4:7" : "6:8", cases[i].key);
                r = rig_open(&rig, object, definition, 64 << 10);
                if (cases[i].message ? r != -EINVAL || !strstr(rig.err.msg, message) ||
                                               !strstr(rig.err.msg, cases[i].message)
                                     : r != 0)
                        fail_msg("%s: %s: %d '%s'", cases[i].key, cases[i].value, r, rig.err.msg);
                rig_done(&rig);
        }
}

/* The value of a str key of the map at r; r moves behind the map. */
static struct mp_value map_get(struct mp_reader *r, const char *key) {
        struct mp_value found = { .type = MP_NIL };
        uint32_t n;

        assert_int_equal(mp_read_map(r, &n), 0);
        for (uint32_t i = 0; i < n; i++) {
                struct mp_reader at;
                struct bytes b;

                assert_int_equal(mp_read_str(r, &b), 0);
                at = *r;
                assert_int_equal(mp_skip(r), 0);
                if (bytes_eq(b, key))
                        assert_int_equal(mp_read(&at, &found), 0);
        }
        return found;
}

static struct mp_reader find(struct mp_reader r, const char *key) {
        uint32_t n;

        assert_int_equal(mp_read_map(&r, &n), 0);
        for (uint32_t i = 0; i < n; i++) {
                struct bytes b;

                assert_int_equal(mp_read_str(&r, &b), 0);
                if (bytes_eq(b, key))
                        return r;
                assert_int_equal(mp_skip(&r), 0);
        }
        fail_msg("no key '%s'", key);
        return r;
}

static void expect_str(struct mp_value v, const char *text) {
        assert_int_equal(v.type, MP_STR);
        assert_true(bytes_eq(BYTES(v.data, v.n), text));
}

static void test_schema(void **state) {
        struct buf schema = BUF_INIT(LIMIT_SCHEMA_SIZE_MAX);
        struct mp_reader root, r, whole;
        struct rig rig;
        uint32_t n;

        assert_int_equal(rig_open(&rig, object, "name: all\ndocumentation: words\n", 64 << 10), 0);
        assert_int_equal(schema_encode(&rig.gadget, &schema, &rig.err), 0);
        root = whole = mp_reader_of(BYTES(schema.data, schema.len));
        assert_int_equal(mp_skip(&whole), 0);
        assert_ptr_equal(whole.pos, whole.end);
        r = root;
        assert_int_equal(map_get(&r, "version").u, 1);
        r = find(root, "gadget");
        expect_str(map_get(&r, "name"), "all");
        r = find(root, "gadget");
        expect_str(map_get(&r, "docs"), "words");

        r = find(root, "streams");
        assert_int_equal(mp_read_array(&r, &n), 0);
        assert_int_equal(n, 2);
        r = find(r, "fields");
        assert_int_equal(mp_read_array(&r, &n), 0);
        assert_int_equal(n, rig.gadget.sources[0].type->n_fields);
        for (uint32_t i = 0; i < n; i++) {
                const struct event_field *f = &rig.gadget.sources[0].type->fields[i];
                struct mp_reader at = r;

                expect_str(map_get(&at, "name"), f->name);
                at = r;
                expect_str(map_get(&at, "target"), f->target ? f->target : "");
                at = r;
                assert_int_equal(map_get(&at, "kind").u, f->kind);
                at = r;
                assert_int_equal(map_get(&at, "enum").type, f->enum_index < 0 ? MP_NIL : MP_UINT);
                assert_int_equal(mp_skip(&r), 0);
        }

        /* Enums: once each, however many fields use them; values with their signs. */
        r = find(root, "enums");
        assert_int_equal(mp_read_array(&r, &n), 0);
        assert_int_equal(n, 4); /* color, signed_color, access_set, protocols */
        assert_int_equal(mp_skip(&r), 0);
        whole = r;
        expect_str(map_get(&whole, "name"), "signed_color");
        r = find(r, "values");
        assert_int_equal(mp_read_array(&r, &n), 0);
        assert_int_equal(n, 2);
        {
                struct mp_value v;

                assert_int_equal(mp_read(&r, &v), 0);
                assert_int_equal(mp_read(&r, &v), 0);
                expect_str(v, "BELOW");
                assert_int_equal(mp_read(&r, &v), 0);
                assert_int_equal(v.type, MP_INT);
                assert_int_equal(v.i, -3);
        }
        buf_done(&schema);
        rig_done(&rig);
}

static void test_schema_has_a_bound(void **state) {
        struct buf schema = BUF_INIT(1000);
        struct rig rig;

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        assert_int_equal(schema_encode(&rig.gadget, &schema, &rig.err), -EFBIG);
        assert_int_equal(rig.err.code, ERROR_LIMIT);
        buf_done(&schema);
        rig_done(&rig);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_annotations_reach_their_fields),
        cmocka_unit_test(test_annotations_for_others),
        cmocka_unit_test(test_a_twin_must_not_be_a_field),
        cmocka_unit_test(test_unknown_names_are_refused),
        cmocka_unit_test(test_values_are_checked),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_schema_has_a_bound),
};

TEST_MAIN_SETUP("worker/describe", tests, setup, teardown)
