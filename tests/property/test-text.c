/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes come in, what goes to a terminal or into JSON is harmless and says what was there.
 */
#include "base/text.h"

#include <jansson.h>

#include "tests/lib/needs.h"
#include "tests/property/random.h"

#define N_STRINGS 150000
#define LEN_MAX 40

/* Code points that matter to terminals, and neighbours of them. */
static const uint32_t special[] = {
        0x00,   0x07,   0x08,   0x09,   0x0a,     0x0d,   0x1b,   0x1f,   0x20,
        0x7e,   0x7f,   0x80,   0x85,   0x90,     0x9b,   0x9c,   0x9f,   0xa0,
        0x61b,  0x61c,  0x200b, 0x200e, 0x200f,   0x2028, 0x202a, 0x202e, 0x2066,
        0x2069, 0xd7ff, 0xe000, 0xfeff, 0x10ffff, '"',    '\\',
};

static size_t put_code_point(uint8_t *p, uint32_t c) {
        if (c < 0x80) {
                p[0] = (uint8_t)c;
                return 1;
        }
        if (c < 0x800) {
                p[0] = (uint8_t)(0xc0 | c >> 6);
                p[1] = (uint8_t)(0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                p[0] = (uint8_t)(0xe0 | c >> 12);
                p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
                p[2] = (uint8_t)(0x80 | (c & 0x3f));
                return 3;
        }
        p[0] = (uint8_t)(0xf0 | c >> 18);
        p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        p[3] = (uint8_t)(0x80 | (c & 0x3f));
        return 4;
}

/* Random bytes, plain text, special and any code points, mixed. */
static size_t make_string(struct random *random, uint8_t *out) {
        size_t wanted = random_below(random, LEN_MAX), n = 0;

        while (n < wanted) {
                switch (random_below(random, 5)) {
                case 0:
                        out[n++] = (uint8_t)random_u64(random);
                        break;
                case 1:
                        n += put_code_point(out + n,
                                            special[random_below(random, ARRAY_SIZE(special))]);
                        break;
                case 2:
                        /* Surrogates and what lies past the end are part of it. */
                        n += put_code_point(out + n, (uint32_t)random_below(random, 0x120000));
                        break;
                default:
                        out[n++] = (uint8_t)(' ' + random_below(random, 95));
                        break;
                }
        }
        return n;
}

static uint32_t code_point_at(const uint8_t *p, size_t len) {
        static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
        uint32_t c = p[0] & masks[len];

        for (size_t i = 1; i < len; i++)
                c = c << 6 | (p[i] & 0x3f);
        return c;
}

/* Valid UTF-8 without anything a terminal would act upon. */
static void check_harmless(const uint8_t *p, size_t n) {
        while (n > 0) {
                size_t len = utf8_sequence(p, n);
                uint32_t c;

                assert_in_range(len, 1, 4);
                c = code_point_at(p, len);
                assert_false(c < 0x20 || (c >= 0x7f && c < 0xa0));
                assert_false(is_bidi_control(c));
                p += len;
                n -= len;
        }
}

static void test_escaped(void **state) {
        struct random random = random_init("text, escaped");
        cleanup_buf struct buf b = BUF_INIT(1 << 16);
        uint8_t text[LEN_MAX + 8];

        for (unsigned int i = 0; i < N_STRINGS; i++) {
                size_t n = make_string(&random, text);

                buf_reset(&b);
                assert_int_equal(text_append_escaped(&b, text, n), 0);
                check_harmless(b.data, b.len);
                /* Alignment is computed from the raw text and has to fit what is shown. */
                assert_int_equal(text_columns(text, n), text_columns(b.data, b.len));
                /* What is harmless already is not touched. */
                if (utf8_is_valid(text, n) && b.len == n)
                        assert_memory_equal(b.data, text, n);
        }
}

static void test_escaping_twice_changes_nothing(void **state) {
        struct random random = random_init("text, twice");
        cleanup_buf struct buf once = BUF_INIT(1 << 16), twice = BUF_INIT(1 << 16);
        uint8_t text[LEN_MAX + 8];

        for (unsigned int i = 0; i < N_STRINGS / 10; i++) {
                size_t n = make_string(&random, text);

                buf_reset(&once);
                buf_reset(&twice);
                text_append_escaped(&once, text, n);
                text_append_escaped(&twice, once.data, once.len);
                assert_int_equal(once.len, twice.len);
                assert_memory_equal(once.data, twice.data, once.len);
        }
}

static void test_json(void **state) {
        struct random random = random_init("text, json");
        cleanup_buf struct buf b = BUF_INIT(1 << 16);
        uint8_t text[LEN_MAX + 8];

        for (unsigned int i = 0; i < N_STRINGS; i++) {
                size_t n = make_string(&random, text);
                json_error_t error;
                json_t *value;

                buf_reset(&b);
                assert_int_equal(text_append_json(&b, text, n), 0);
                check_harmless(b.data, b.len);
                value = json_loadb((const char *)b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                                   &error);
                if (!value)
                        fail_msg("string %u: %s: %.*s", i, error.text, (int)b.len,
                                 (const char *)b.data);
                assert_true(json_is_string(value));
                /* Valid text comes back as it was. */
                if (utf8_is_valid(text, n)) {
                        assert_int_equal(json_string_length(value), n);
                        assert_memory_equal(json_string_value(value), text, n);
                }
                json_decref(value);
        }
}

static void test_utf8_agrees_with_jansson(void **state) {
        struct random random = random_init("text, utf8");
        uint8_t text[LEN_MAX + 8];

        for (unsigned int i = 0; i < N_STRINGS; i++) {
                size_t n = make_string(&random, text);
                json_t *value = json_stringn((const char *)text, n);

                assert_int_equal(utf8_is_valid(text, n), value != NULL);
                json_decref(value);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_escaping_twice_changes_nothing),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_utf8_agrees_with_jansson),
};
TEST_MAIN("property-text", tests)
