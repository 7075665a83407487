/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/message.h"

#include "tests/lib/needs.h"

static void test_every_type_has_its_row(void **state) {
        for (unsigned int i = 0; i < _MSG_MAX; i++) {
                const struct message_info *info = &message_types[i];

                assert_non_null(info->record.name);
                assert_true(info->record.size <= sizeof(union message));
                assert_true(info->record.n_fields <= 64);
                assert_true(info->n_fds_min <= info->n_fds_max);
                assert_true(info->n_fds_max <= PREPARE_FDS_MAX);
                for (unsigned int k = 0; k < i; k++)
                        assert_string_not_equal(info->record.name, message_types[k].record.name);
                for (uint32_t k = 0; k < info->record.n_fields; k++) {
                        assert_true(info->record.fields[k].offset < info->record.size);
                        assert_true(strlen(info->record.fields[k].doc) > 5);
                }
        }
}

/* Rows in the order of the enum: a wrong one would decode a message into another's struct. */
static void test_rows_are_in_place(void **state) {
        assert_string_equal(message_types[MSG_START].record.name, "start");
        assert_int_equal(message_types[MSG_START].record.size, sizeof(struct msg_start));
        assert_int_equal(message_types[MSG_START].n_fds_min, START_FDS);
        assert_int_equal(message_types[MSG_START].n_fds_max, START_FDS);
        assert_string_equal(message_types[MSG_PREPARED].record.name, "prepared");
        assert_string_equal(message_types[MSG_STOPPED].record.name, "stopped");
        assert_int_equal(message_types[MSG_STOPPED].record.size, sizeof(struct msg_stopped));
        assert_string_equal(message_types[MSG_FETCH_RESULT].record.name, "fetch-result");
        assert_int_equal(message_types[MSG_FETCH_RESULT].record.size,
                         sizeof(struct msg_fetch_result));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_has_its_row),
        cmocka_unit_test(test_rows_are_in_place),
};
TEST_MAIN("ipc-message", tests)
