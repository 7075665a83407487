/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/field.h"

#include "ipc/mp.h"
#include "tests/lib/needs.h"

struct thing {
        bool flag;
        uint32_t small;
        uint64_t large;
        int64_t sign;
        const char *text;
        struct bytes bin;
        struct bytes any;
};

static const struct field fields[] = {
        F_BOOL(struct thing, flag, 0, "Flag."),
        F_U32(struct thing, small, FIELD_REQUIRED, 100, "Small."),
        F_U64(struct thing, large, 0, UINT64_MAX, "Large."),
        F_I64(struct thing, sign, 0, "Sign."),
        F_STR(struct thing, text, 0, 8, "Text."),
        F_BIN(struct thing, bin, 0, 8, "Bin."),
        F_ANY(struct thing, any, 0, 8, "Any."),
};
static const struct record record = RECORD("thing", struct thing, fields);

static struct error err;
static uint8_t frame[256];

/* Decodes a copy, since decoding writes into its frame. */
static int decode(struct bytes encoded, enum record_mode mode, struct thing *ret) {
        assert_true(encoded.len <= sizeof(frame));
        memcpy(frame, encoded.data, encoded.len);
        err = (struct error){ 0 };
        return record_decode(&record, frame, encoded.len, mode, ret, &err);
}

#define B(_literal) BYTES(_literal, sizeof(_literal) - 1)
#define STRICT(_literal) decode(B(_literal), RECORD_STRICT, &thing)

static void test_round_trip(void **state) {
        cleanup_buf struct buf out = BUF_INIT(1000);
        struct thing in = {
                .flag = true,
                .small = 100,
                .large = UINT64_MAX,
                .sign = INT64_MIN,
                .text = "t\xc3\xa4xt",
                .bin = BYTES("\0\1\2", 3),
                .any = BYTES("\x92\x01\xa1x", 4),
        };
        struct thing thing;

        assert_int_equal(record_encode(&record, &in, &out), 0);
        assert_int_equal(decode(BYTES(out.data, out.len), RECORD_STRICT, &thing), 0);
        assert_true(thing.flag);
        assert_int_equal(thing.small, 100);
        assert_true(thing.large == UINT64_MAX);
        assert_true(thing.sign == INT64_MIN);
        assert_string_equal(thing.text, "t\xc3\xa4xt");
        assert_int_equal(thing.bin.len, 3);
        assert_memory_equal(thing.bin.data, "\0\1\2", 3);
        assert_int_equal(thing.any.len, 4);
        assert_memory_equal(thing.any.data, "\x92\x01\xa1x", 4);
        /* In place: nothing points anywhere else. */
        assert_in_range((uintptr_t)thing.text, (uintptr_t)frame, (uintptr_t)frame + out.len);
        assert_in_range((uintptr_t)thing.bin.data, (uintptr_t)frame, (uintptr_t)frame + out.len);
}

static void test_absent_is_left_out(void **state) {
        cleanup_buf struct buf out = BUF_INIT(1000);
        struct thing thing;

        assert_int_equal(record_encode(&record, &(struct thing){ 0 }, &out), 0);
        assert_int_equal(out.len, 1 + 6 + 1);
        assert_memory_equal(out.data, "\x81\xa5small\x00", out.len);
        memset(&thing, 0xff, sizeof(thing));
        assert_int_equal(decode(BYTES(out.data, out.len), RECORD_STRICT, &thing), 0);
        assert_int_equal(thing.small, 0);
        assert_false(thing.flag);
        assert_null(thing.text);
        assert_null(thing.bin.data);
        assert_int_equal(thing.any.len, 0);
}

static void test_empty_text_is_not_absent(void **state) {
        cleanup_buf struct buf out = BUF_INIT(1000);
        struct thing thing;

        assert_int_equal(record_encode(&record, &(struct thing){ .text = "" }, &out), 0);
        assert_int_equal(decode(BYTES(out.data, out.len), RECORD_STRICT, &thing), 0);
        assert_string_equal(thing.text, "");
}

static void test_nothing_at_all(void **state) {
        static const struct field optional[] = { F_BOOL(struct thing, flag, 0, "Optional.") };
        static const struct record record_of_optional = RECORD("optional", struct thing, optional);
        cleanup_buf struct buf out = BUF_INIT(1000);

        assert_int_equal(record_encode(&record, NULL, &out), -EINVAL);
        assert_int_equal(out.len, 0);
        assert_int_equal(record_encode(&record_of_optional, NULL, &out), 0);
        assert_int_equal(out.len, 1);
        assert_int_equal(out.data[0], 0x80);
}

static void test_encode_refuses_what_decode_would(void **state) {
        static const struct {
                struct thing thing;
                int r;
                const char *said;
        } cases[] = {
                { { .small = 101 }, -E2BIG, "'small' is larger than 100" },
                { { .text = "ninebytes" }, -E2BIG, "'text' is longer than 8 bytes" },
                { { .text = "\xff" }, -EILSEQ, "'text' is not UTF-8" },
                { { .bin = { (const uint8_t *)"123456789", 9 } },
                  -E2BIG,
                  "'bin' is longer than 8 bytes" },
                { { .any = { (const uint8_t *)"\x92\x01", 2 } }, -EILSEQ, "'any' is not msgpack" },
                { { .any = { (const uint8_t *)"\xa8"
                                              "12345678",
                             9 } },
                  -E2BIG,
                  "'any' is longer than 8 bytes" },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_buf struct buf out = BUF_INIT(1000);

                buf_puts(&out, "kept");
                assert_int_equal(record_encode(&record, &cases[i].thing, &out), cases[i].r);
                assert_int_equal(out.len, 4);
                assert_int_equal(buf_result(&out), 0);
                assert_int_equal(record_encode_error(&record, &cases[i].thing, cases[i].r, &err),
                                 cases[i].r);
                assert_string_equal(err.msg, cases[i].said);
        }
}

static void test_encode_into_a_full_buffer(void **state) {
        cleanup_buf struct buf out = BUF_INIT(5);

        assert_int_equal(record_encode(&record, &(struct thing){ 0 }, &out), -EFBIG);
        assert_int_equal(out.len, 0);
}

static void test_required(void **state) {
        static const struct field text_fields[] = {
                F_STR(struct thing, text, FIELD_REQUIRED, 8, "Text."),
        };
        static const struct record text_record = RECORD("text", struct thing, text_fields);
        cleanup_buf struct buf out = BUF_INIT(100);
        struct thing thing;

        assert_int_equal(STRICT("\x80"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'small' is missing");
        assert_int_equal(record_encode(&text_record, &(struct thing){ 0 }, &out), -EINVAL);
}

static void test_errors_name_the_field(void **state) {
        struct thing thing;

        assert_int_equal(STRICT("\x81\xa5small\x65"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'small' is 101, at most 100 is allowed");
        assert_int_equal(STRICT("\x81\xa5small\xff"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'small' is negative");
        assert_int_equal(STRICT("\x81\xa5small\xc0"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'small' is not a u32");
        assert_int_equal(STRICT("\x81\xa4text\xa9ninebytes"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'text' has 9 bytes, at most 8 are allowed");
        assert_int_equal(err.code, ERROR_LIMIT);
        assert_int_equal(STRICT("\x81\xa4text\xa1\xff"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'text' is not UTF-8 text without NUL");
        assert_int_equal(STRICT("\x81\xa4text\xa2\x61\x00"), -EBADMSG);
        assert_int_equal(STRICT("\x81\xa3"
                                "any\xa8"
                                "12345678"),
                         -EBADMSG);
        assert_string_equal(error_text(&err), "field 'any' has 9 bytes, at most 8 are allowed");
        assert_int_equal(STRICT("\x82\xa5small\x01\xa5small\x01"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'small' comes twice");
        assert_int_equal(STRICT("\x81\x01\x01"), -EBADMSG);
        assert_string_equal(error_text(&err), "a key is not a str");
        assert_int_equal(STRICT("\x91\x01"), -EBADMSG);
        assert_string_equal(error_text(&err), "not a msgpack map");
        assert_int_equal(STRICT("\x81\xa5small"), -EBADMSG);
        assert_string_equal(error_text(&err), "not one whole msgpack object");
        assert_int_equal(STRICT("\x80\x80"), -EBADMSG);
        assert_int_equal(STRICT(""), -EBADMSG);
        assert_int_equal(STRICT("\xdf\x08\x00\x00\x00"), -EBADMSG);
        assert_string_equal(error_text(&err),
                            "not one whole msgpack object of allowed depth and number of elements");
        assert_int_equal(STRICT("\x81\xa4sign\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), -EBADMSG);
        assert_string_equal(error_text(&err), "field 'sign' is out of range");
}

static void test_unknown_keys(void **state) {
        struct thing thing;

        assert_int_equal(STRICT("\x82\xa5small\x01\xa4"
                                "e\x1b[m\x91\x01"),
                         -EBADMSG);
        assert_string_equal(error_text(&err), "unknown field 'e\\x1b[m'");
        assert_int_equal(decode(B("\x82\xa4"
                                  "e\x1b[m\x91\x01\xa5small\x05"),
                                RECORD_LENIENT, &thing),
                         0);
        assert_int_equal(thing.small, 5);
}

static void test_texts_do_not_run_into_each_other(void **state) {
        struct thing thing;

        assert_int_equal(STRICT("\x83\xa4text\xa3"
                                "abc\xa5small\x07\xa3"
                                "bin\xc4\x02xy"),
                         0);
        assert_string_equal(thing.text, "abc");
        assert_int_equal(thing.small, 7);
        assert_memory_equal(thing.bin.data, "xy", 2);
        /* All widths of header in front of a text. */
        assert_int_equal(STRICT("\x82\xa5small\x07\xa4text\xd9\x03"
                                "abc"),
                         0);
        assert_string_equal(thing.text, "abc");
        assert_int_equal(STRICT("\x82\xa5small\x07\xa4text\xdb\x00\x00\x00\x03"
                                "abc"),
                         0);
        assert_string_equal(thing.text, "abc");
}

static void test_no_fields(void **state) {
        static const struct record empty = RECORD_EMPTY("empty");
        cleanup_buf struct buf out = BUF_INIT(10);
        uint8_t map[] = { 0x80 }, other[] = { 0x81, 0xa1, 'x', 0xc0 };

        assert_int_equal(record_encode(&empty, NULL, &out), 0);
        assert_int_equal(out.len, 1);
        assert_int_equal(record_decode(&empty, map, 1, RECORD_STRICT, NULL, NULL), 0);
        assert_int_equal(record_decode(&empty, other, sizeof(other), RECORD_STRICT, NULL, NULL),
                         -EBADMSG);
        assert_int_equal(record_decode(&empty, other, sizeof(other), RECORD_LENIENT, NULL, NULL),
                         0);
}

static void test_type_names(void **state) {
        assert_string_equal(field_type_name(FIELD_TYPE_BOOL), "bool");
        assert_string_equal(field_type_name(FIELD_TYPE_ANY), "any");
        assert_string_equal(field_type_name((enum field_type)77), "unknown");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_absent_is_left_out),
        cmocka_unit_test(test_empty_text_is_not_absent),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_encode_refuses_what_decode_would),
        cmocka_unit_test(test_encode_into_a_full_buffer),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_errors_name_the_field),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_texts_do_not_run_into_each_other),
        cmocka_unit_test(test_no_fields),
        cmocka_unit_test(test_type_names),
};
TEST_MAIN("ipc-field", tests)
