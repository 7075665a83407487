/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/methods.h"

#include <ctype.h>

#include "tests/lib/needs.h"

static void check_record(const struct record *record) {
        assert_non_null(record->name);
        for (uint32_t i = 0; i < record->n_fields; i++) {
                const struct field *field = &record->fields[i];
                size_t n = strlen(field->doc);

                assert_true(field->offset < record->size);
                assert_true(field->max > 0);
                /* A sentence: it stands in docs/PROTOCOL.md and in api.describe. */
                assert_true(n > 10 && isupper(field->doc[0]) && field->doc[n - 1] == '.');
                for (uint32_t k = 0; k < i; k++)
                        assert_string_not_equal(field->name, record->fields[k].name);
        }
}

static void test_every_method_is_described(void **state) {
        for (unsigned int i = 0; i < _METHOD_MAX; i++) {
                const struct method_info *method = &methods[i];

                assert_non_null(method->name);
                assert_true(method->doc[strlen(method->doc) - 1] == '.');
                assert_string_equal(method->request.name, method->name);
                assert_true(method->request.size <= sizeof(union request));
                check_record(&method->request);
                check_record(&method->reply);
        }
}

static void test_names_are_found(void **state) {
        for (unsigned int i = 0; i < _METHOD_MAX; i++)
                assert_int_equal(method_from_name(BYTES(methods[i].name, strlen(methods[i].name))),
                                 i);
        assert_int_equal(method_from_name(BYTES("", 0)), _METHOD_MAX);
        assert_int_equal(method_from_name(BYTES("hell", 4)), _METHOD_MAX);
        assert_int_equal(method_from_name(BYTES("hello\0", 6)), _METHOD_MAX);
        assert_int_equal(method_from_name(BYTES("Hello", 5)), _METHOD_MAX);
}

static void test_notification_names(void **state) {
        assert_string_equal(notification_names[NOTIFY_EVENTS], "events");
        assert_string_equal(notification_names[NOTIFY_LOSSES], "losses");
        assert_string_equal(notification_names[NOTIFY_DONE], "done");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_is_described),
        cmocka_unit_test(test_names_are_found),
        cmocka_unit_test(test_notification_names),
};
TEST_MAIN("ipc-methods", tests)
