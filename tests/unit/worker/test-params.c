/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters: found, named, checked against their type, stored where the program will read them. */
#include "rig.h"
#include "tests/lib/needs.h"

static struct bytes object;

static int setup(void **state) {
        object = rig_object("tests/gadgets/all_types");
        return 0;
}

static int teardown(void **state) {
        free((void *)(uintptr_t)object.data);
        return 0;
}

static struct param *param(struct rig *rig, const char *key) {
        for (size_t i = 0; i < rig->gadget.params.n; i++)
                if (str_eq(rig->gadget.params.items[i].key, key))
                        return &rig->gadget.params.items[i];
        fail_msg("no parameter '%s'", key);
        return NULL;
}

/* The bytes that the program would see. */
static const uint8_t *stored(struct rig *rig, const char *key) {
        const struct param *p = param(rig, key);
        size_t n;

        return (const uint8_t *)bpf_map__initial_value(p->map, &n) + p->offset;
}

static int64_t stored_int(struct rig *rig, const char *key) {
        const struct param *p = param(rig, key);
        uint64_t u = 0;

        memcpy(&u, stored(rig, key), p->size);
        return p->kind == FIELD_INT ? (int64_t)(u << (64 - 8 * p->size)) >> (64 - 8 * p->size)
                                    : (int64_t)u;
}

static void test_discovery(void **state) {
        static const struct {
                const char *key;
                enum field_kind kind;
                uint32_t size;
                const char *default_value;
        } cases[] = {
                { "pid", FIELD_UINT, 4, "" },          { "tid", FIELD_UINT, 4, "" },
                { "uid", FIELD_UINT, 4, "" },          { "gid", FIELD_UINT, 4, "" },
                { "comm", FIELD_STR, 16, "" },         { "p_u8", FIELD_UINT, 1, "1" },
                { "p_u16", FIELD_UINT, 2, "2" },       { "p_u32", FIELD_UINT, 4, "3" },
                { "p_u64", FIELD_UINT, 8, "4" },       { "p_s8", FIELD_INT, 1, "-1" },
                { "p_s16", FIELD_INT, 2, "-2" },       { "p_s32", FIELD_INT, 4, "-3" },
                { "p_s64", FIELD_INT, 8, "-4" },       { "p_bool", FIELD_BOOL, 1, "true" },
                { "p_color", FIELD_UINT, 4, "GREEN" }, { "p_text", FIELD_STR, 16, "default" },
        };
        struct rig rig;

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        assert_int_equal(rig.gadget.params.n, ARRAY_SIZE(cases));
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(param(&rig, cases[i].key)->kind, cases[i].kind);
                assert_int_equal(param(&rig, cases[i].key)->size, cases[i].size);
                assert_string_equal(param(&rig, cases[i].key)->default_value,
                                    cases[i].default_value);
        }
        assert_string_equal(param(&rig, "pid")->variable, "targ_pid");
        assert_string_equal(param_value_at(param(&rig, "p_color"), 2), "BLUE");
        assert_null(param_value_at(param(&rig, "p_color"), 3));
        assert_null(param_value_at(param(&rig, "p_u8"), 0));
        rig_done(&rig);
}

static void test_values_in_range(void **state) {
        static const struct {
                const char *key;
                const char *text;
                int64_t value;
        } cases[] = {
                { "p_u8", "0", 0 },
                { "p_u8", "255", 255 },
                { "p_u8", "0x1f", 31 },
                { "p_u16", "65535", 65535 },
                { "p_u32", "4294967295", 4294967295 },
                { "p_u64", "18446744073709551615", -1 },
                { "p_s8", "-128", -128 },
                { "p_s8", "127", 127 },
                { "p_s16", "-32768", -32768 },
                { "p_s32", "-2147483648", INT32_MIN },
                { "p_s64", "-9223372036854775808", INT64_MIN },
                { "p_s64", "9223372036854775807", INT64_MAX },
                { "p_bool", "false", 0 },
                { "p_bool", "1", 1 },
                { "p_color", "BLUE", 7 },
                { "p_color", "6", 6 },
                { "pid", "1234", 1234 },
                { "p_u8", "", 1 }, /* as if not given */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct rig rig;

                assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
                rig_param(&rig, cases[i].key, cases[i].text);
                if (params_apply(&rig.gadget.params, rig.start.params, &rig.gadget.options,
                                 &rig.err) < 0)
                        fail_msg("%s", rig.err.msg);
                assert_true(stored_int(&rig, cases[i].key) == cases[i].value);
                /* Neighbours keep what is compiled in. */
                if (!str_eq(cases[i].key, "p_s16"))
                        assert_true(stored_int(&rig, "p_s16") == -2);
                rig_done(&rig);
        }
}

static void test_text(void **state) {
        struct rig rig;

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        rig_param(&rig, "p_text", "fifteen chars..");
        rig_param(&rig, "comm", "x");
        assert_int_equal(
                params_apply(&rig.gadget.params, rig.start.params, &rig.gadget.options, &rig.err),
                0);
        assert_memory_equal(stored(&rig, "p_text"), "fifteen chars..", 16);
        assert_memory_equal(stored(&rig, "comm"), "x\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        rig_done(&rig);
}

static void expect_refusal(const char *definition, const char *key, const char *value,
                           const char *message) {
        struct rig rig;
        int r;

        assert_int_equal(rig_open(&rig, object, definition, 64 << 10), 0);
        if (key)
                rig_param(&rig, key, value);
        r = params_apply(&rig.gadget.params, rig.start.params, &rig.gadget.options, &rig.err);
        if (r != -EINVAL || !strstr(rig.err.msg, message))
                fail_msg("%d '%s' is not '%s'", r, rig.err.msg, message);
        assert_int_equal(rig.err.code, str_after(message, "default") ? ERROR_INVALID : ERROR_USAGE);
        rig_done(&rig);
}

static void test_refusals_name_key_value_and_range(void **state) {
        static const struct {
                const char *key;
                const char *value;
                const char *message;
        } cases[] = {
                { "p_u8", "256", "parameter 'p_u8': '256' is not a number from 0 to 255" },
                { "p_u8", "-1", "parameter 'p_u8': '-1' is not a number from 0 to 255" },
                { "p_u16", "65536", "0 to 65535" },
                { "p_u32", "4294967296", "0 to 4294967295" },
                { "p_u64", "18446744073709551616", "0 to 18446744073709551615" },
                { "p_s8", "128", "-128 to 127" },
                { "p_s8", "-129", "-128 to 127" },
                { "p_s16", "32768", "-32768 to 32767" },
                { "p_s32", "2147483648", "-2147483648 to 2147483647" },
                { "p_s64", "9223372036854775808", "-9223372036854775808 to 9223372036854775807" },
                { "p_u32", "12x", "'12x' is not a number" },
                { "p_u32", " 1", "' 1' is not a number" },
                { "p_bool", "ja", "parameter 'p_bool': 'ja' is neither true nor false" },
                { "p_color", "BLEU", "parameter 'p_color': 'BLEU' is not one of its values" },
                { "p_color", "BLU", "did you mean 'BLUE'?" },
                { "p_text", "sixteen chars...",
                  "parameter 'p_text': the value has 16 bytes, at most 15 fit" },
                { "pidd", "1", "the gadget has no parameter 'pidd'; did you mean 'pid'?" },
                { "completely_else", "1", "the gadget has no parameter 'completely_else'" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                expect_refusal(NULL, cases[i].key, cases[i].value, cases[i].message);
}

#define EBPF "params:\n  ebpf:\n    p_u32:\n      key: number\n"

static void test_definition_of_a_parameter(void **state) {
        struct rig rig;

        assert_int_equal(
                rig_open(&rig, object,
                         EBPF
                         "      alias: n\n      description: words\n      defaultValue: \"77\"\n",
                         64 << 10),
                0);
        assert_string_equal(param(&rig, "number")->description, "words");
        assert_string_equal(param(&rig, "number")->default_value, "77");
        assert_int_equal(
                params_apply(&rig.gadget.params, rig.start.params, &rig.gadget.options, &rig.err),
                0);
        assert_int_equal(stored_int(&rig, "number"), 77);
        rig_done(&rig);

        assert_int_equal(rig_open(&rig, object, EBPF "      alias: n\n", 64 << 10), 0);
        rig_param(&rig, "n", "5");
        assert_int_equal(
                params_apply(&rig.gadget.params, rig.start.params, &rig.gadget.options, &rig.err),
                0);
        assert_int_equal(stored_int(&rig, "number"), 5);
        rig_done(&rig);

        expect_refusal(EBPF "      isMandatory: true\n", NULL, NULL,
                       "parameter 'number' must be given");
        expect_refusal(EBPF "      possibleValues: [ \"1\", \"20\" ]\n", "number", "3",
                       "parameter 'number': '3' is not one of its values");
        expect_refusal(EBPF "      defaultValue: many\n", NULL, NULL,
                       "default value: parameter 'number': 'many' is not a number");
        expect_refusal(EBPF, "p_u32", "1", "the gadget has no parameter 'p_u32'");

        assert_int_equal(
                rig_open(&rig, object, "params:\n  ebpf:\n    p_u32: { key: p_u64 }\n", 64 << 10),
                -ENOEXEC);
        assert_non_null(
                strstr(rig.err.msg, "variables 'p_u32' and 'p_u64' are both parameter 'p_u64'"));
        rig_done(&rig);
}

/* A variable that the object does not mark becomes a parameter when the definition names it. */
static void test_unmarked_variable(void **state) {
        struct bytes design = rig_object("tests/unit/worker/design");
        struct rig rig;

        assert_int_equal(rig_open(&rig, design, NULL, 64 << 10), 0);
        assert_int_equal(rig.gadget.params.n, 0);
        rig_done(&rig);
        assert_int_equal(
                rig_open(&rig, design, "params:\n  ebpf:\n    only_pid: { key: pid }\n", 64 << 10),
                0);
        rig_param(&rig, "pid", "42");
        assert_int_equal(
                params_apply(&rig.gadget.params, rig.start.params, &rig.gadget.options, &rig.err),
                0);
        assert_int_equal(stored_int(&rig, "pid"), 42);
        rig_done(&rig);
        free((void *)(uintptr_t)design.data);
}

static void test_filter_flag(void **state) {
        struct rig rig;
        const struct param *any;
        size_t n;
        const uint8_t *before, *after;
        unsigned int n_changed = 0;
        uint8_t copy[4096];

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        any = param(&rig, "pid");
        before = bpf_map__initial_value(any->map, &n);
        assert_true(n <= sizeof(copy));
        memcpy(copy, before, n);
        assert_int_equal(params_set_flag(rig.gadget.object, "gadget_filter_by_mntns", true), 0);
        after = bpf_map__initial_value(any->map, &n);
        for (size_t i = 0; i < n; i++)
                n_changed += copy[i] != after[i];
        assert_int_equal(n_changed, 1);
        assert_int_equal(params_set_flag(rig.gadget.object, "no_such_variable", true), 0);
        rig_done(&rig);
}

static void test_messages_that_are_no_map(void **state) {
        static const struct {
                const char *data;
                size_t n;
        } cases[] = { { "\x91\x01", 2 },
                      { "\x81\x01\xa1x", 4 },
                      { "\x81\xa3pid", 5 },
                      { "\x81\xa3pid\x05", 6 },
                      { "\x81\xa3pi\0\xa1"
                        "1",
                        7 },
                      { "\xdf\xff\xff\xff\xff", 5 } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct rig rig;

                assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
                assert_int_equal(params_apply(&rig.gadget.params, BYTES(cases[i].data, cases[i].n),
                                              &rig.gadget.options, &rig.err),
                                 -EBADMSG);
                rig_done(&rig);
        }
}

static void expect_longest(size_t n_key, size_t n_value, const char *message) {
        char *key = malloc(n_key + 1), *value = malloc(n_value + 1);
        uint8_t *values = malloc(n_key + n_value + 16), *p;
        struct rig rig;

        memset(key, 'k', n_key);
        memset(value, 'v', n_value);
        p = mp_put_map(values, 1);
        p = mp_put_str(p, key, (uint32_t)n_key);
        p = mp_put_str(p, value, (uint32_t)n_value);
        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        assert_true(params_apply(&rig.gadget.params, BYTES(values, (size_t)(p - values)),
                                 &rig.gadget.options, &rig.err) < 0);
        if (!strstr(rig.err.msg, message))
                fail_msg("'%s' is not '%s'", rig.err.msg, message);
        rig_done(&rig);
        free(key);
        free(value);
        free(values);
}

static void test_longest_key_and_value(void **state) {
        expect_longest(LIMIT_PARAM_KEY_MAX, LIMIT_PARAM_VALUE_MAX,
                       "the gadget has no parameter 'kkkk");
        expect_longest(LIMIT_PARAM_KEY_MAX + 1, 1, "parameter 1 is not a key and a value");
        expect_longest(1, LIMIT_PARAM_VALUE_MAX + 1, "parameter 1 is not a key and a value");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_values_in_range),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_refusals_name_key_value_and_range),
        cmocka_unit_test(test_definition_of_a_parameter),
        cmocka_unit_test(test_unmarked_variable),
        cmocka_unit_test(test_filter_flag),
        cmocka_unit_test(test_messages_that_are_no_map),
        cmocka_unit_test(test_longest_key_and_value),
};

TEST_MAIN_SETUP("worker/params", tests, setup, teardown)
