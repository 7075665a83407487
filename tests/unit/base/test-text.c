/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include "tests/lib/needs.h"

#define B(_literal) (const uint8_t *)(_literal), sizeof(_literal) - 1

static void test_sequence(void **state) {
        static const struct {
                const char *text;
                size_t n;
                size_t want;
        } cases[] = {
                { "a", 1, 1 },
                { "\0", 1, 1 },
                { "\x7f", 1, 1 },
                { "\xc3\xa4", 2, 2 },
                { "\xe2\x82\xac", 3, 3 },
                { "\xf0\x9f\x90\x9d", 4, 4 },
                { "\xf4\x8f\xbf\xbf", 4, 4 },
                { "\xf4\x90\x80\x80", 4, 0 }, /* past U+10FFFF */
                { "\xc0\x80", 2, 0 },         /* overlong NUL */
                { "\xc1\xbf", 2, 0 },         /* overlong */
                { "\xe0\x9f\xbf", 3, 0 },     /* overlong */
                { "\xf0\x8f\xbf\xbf", 4, 0 }, /* overlong */
                { "\xed\xa0\x80", 3, 0 },     /* surrogate */
                { "\xed\xbf\xbf", 3, 0 },     /* surrogate */
                { "\xed\x9f\xbf", 3, 3 },     /* just before them */
                { "\xc3", 1, 0 },             /* cut */
                { "\xe2\x82", 2, 0 },         /* cut */
                { "\xf0\x9f\x90", 3, 0 },     /* cut */
                { "\xc3(", 2, 0 },
                { "\x80", 1, 0 },
                { "\xbf", 1, 0 },
                { "\xf8\x88\x80\x80\x80", 5, 0 },
                { "\xff", 1, 0 },
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(utf8_sequence((const uint8_t *)cases[i].text, cases[i].n),
                                 cases[i].want);
}

static void test_is_valid(void **state) {
        assert_true(utf8_is_valid(B("")));
        assert_true(utf8_is_valid(B("plain text longer than a word")));
        assert_true(utf8_is_valid(B("m\xc3\xa4nner und \xf0\x9f\x90\x9d\xf0\x9f\x90\x9d")));
        assert_false(utf8_is_valid(B("plain text longer than a word\xff")));
        assert_false(utf8_is_valid(B("1234567\xc3")));
        assert_false(utf8_is_valid(B("\xc3 12345678")));
}

static void escaped(const uint8_t *text, size_t n, const char *want) {
        cleanup_buf struct buf b = BUF_INIT(1000);
        cleanup_free char *got = NULL;

        assert_int_equal(text_append_escaped(&b, text, n), 0);
        got = buf_steal_string(&b);
        assert_string_equal(got, want);
        assert_int_equal(text_columns(text, n), text_columns((const uint8_t *)want, strlen(want)));
}

static void test_escaped(void **state) {
        escaped(B(""), "");
        escaped(B("/usr/lib/x86_64-linux-gnu/libc.so.6"), "/usr/lib/x86_64-linux-gnu/libc.so.6");
        escaped(B("a\\n"), "a\\n");
        escaped(B("a\nb\tc\rd"), "a\\nb\\tc\\x0dd");
        escaped(B("\x1b[31mred\x07\x7f"), "\\x1b[31mred\\x07\\x7f");
        escaped(B("nul\0nul"), "nul\\x00nul");
        escaped(B("\xff\xfe"), "\\xff\\xfe");
        escaped(B("c1 \xc2\x9b"
                  "31m"),
                "c1 \\u{009b}31m");
        escaped(B("\xe2\x80\xae"
                  "evil"),
                "\\u{202e}evil");
        escaped(B("\xe2\x81\xa6"
                  "\xe2\x81\xa9"
                  "\xe2\x80\x8f"
                  "\xd8\x9c"),
                "\\u{2066}\\u{2069}\\u{200f}\\u{061c}");
        escaped(B("gr\xc3\xbc\xc3\x9f"
                  "e \xe6\xbc\xa2"),
                "gr\xc3\xbc\xc3\x9f"
                "e \xe6\xbc\xa2");
        /* Each place of the eight that are looked at together. */
        for (size_t i = 0; i < 8; i++) {
                uint8_t text[] = "abcdefgh";
                char want[16] = "";

                text[i] = 0x1b;
                memcpy(want, "abcdefgh", i);
                memcpy(want + i, "\\x1b", 4);
                memcpy(want + i + 4, "abcdefgh" + i + 1, 8 - i);
                escaped(text, 8, want);
        }
}

static void json(const uint8_t *text, size_t n, const char *want) {
        cleanup_buf struct buf b = BUF_INIT(1000);
        cleanup_free char *got = NULL;

        assert_int_equal(text_append_json(&b, text, n), 0);
        got = buf_steal_string(&b);
        assert_string_equal(got, want);
}

static void test_json(void **state) {
        json(B(""), "\"\"");
        json(B("plain text of some length"), "\"plain text of some length\"");
        json(B("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
        json(B("12345678\"12345678\\"), "\"12345678\\\"12345678\\\\\"");
        json(B("\b\f\n\r\t\x01\x1b\x7f"), "\"\\b\\f\\n\\r\\t\\u0001\\u001b\\u007f\"");
        json(B("\0"), "\"\\u0000\"");
        json(B("\xff\xc3"), "\"\\u00ff\\u00c3\"");
        json(B("\xc2\x9b\xe2\x80\xae"), "\"\\u009b\\u202e\"");
        json(B("\xf0\x9f\x90\x9d"), "\"\xf0\x9f\x90\x9d\"");
}

static void test_append_reports_a_full_buffer(void **state) {
        cleanup_buf struct buf a = BUF_INIT(4), b = BUF_INIT(4);

        assert_int_equal(text_append_escaped(&a, B("abcde")), -EFBIG);
        assert_int_equal(text_append_json(&b, B("abc")), -EFBIG);
}

static void test_columns(void **state) {
        assert_int_equal(text_columns(B("")), 0);
        assert_int_equal(text_columns(B("abcdefghij")), 10);
        assert_int_equal(text_columns(B("gr\xc3\xbc\xc3\x9f"
                                        "e")),
                         5);
        assert_int_equal(text_columns(B("\xe6\xbc\xa2\xe5\xad\x97")), 4); /* wide */
        assert_int_equal(text_columns(B("e\xcc\x81")), 1);                /* combining */
        assert_int_equal(text_columns(B("\xf0\x9f\x90\x9d")), 2);
        assert_int_equal(text_columns(B("\xef\xbc\xa1")), 2); /* fullwidth A */
        assert_int_equal(text_columns(B("\xff")), 4);
        assert_int_equal(text_columns(B("\x1b\n")), 6);
        assert_int_equal(text_columns(B("\xc2\x9b")), 8);
}

static void test_bidi(void **state) {
        static const uint32_t yes[] = { 0x202a, 0x202e, 0x2066, 0x2069, 0x200e, 0x200f, 0x061c };
        static const uint32_t no[] = {
                0x2029, 0x202f, 0x2065, 0x206a, 0x200d, 0x2010, 0x061b, 'a'
        };

        for (unsigned int i = 0; i < ARRAY_SIZE(yes); i++)
                assert_true(is_bidi_control(yes[i]));
        for (unsigned int i = 0; i < ARRAY_SIZE(no); i++)
                assert_false(is_bidi_control(no[i]));
}

static void test_nearest(void **state) {
        static const char *const words[] = { "run", "attach", "list", "show", "stop", "version" };
        char long_word[200];

        assert_string_equal(text_nearest("atach", words, ARRAY_SIZE(words)), "attach");
        assert_string_equal(text_nearest("stp", words, ARRAY_SIZE(words)), "stop");
        assert_string_equal(text_nearest("versoin", words, ARRAY_SIZE(words)), "version");
        assert_string_equal(text_nearest("run", words, ARRAY_SIZE(words)), "run");
        assert_string_equal(text_nearest("rnu", words, ARRAY_SIZE(words)), "run");
        assert_string_equal(text_nearest("lsit", words, ARRAY_SIZE(words)), "list");
        assert_null(text_nearest("unr", words, 1));
        assert_null(text_nearest("completion", words, ARRAY_SIZE(words)));
        assert_null(text_nearest("xyz", words, ARRAY_SIZE(words)));
        assert_null(text_nearest("run", words, 0));
        /* Of a dotted name the last part alone will do. */
        static const char *const dotted[] = { "proc.pid", "proc.parent.comm" };
        assert_string_equal(text_nearest("pid", dotted, ARRAY_SIZE(dotted)), "proc.pid");
        assert_string_equal(text_nearest("proc.pif", dotted, ARRAY_SIZE(dotted)), "proc.pid");
        assert_null(text_nearest("x.pid", dotted, ARRAY_SIZE(dotted)));
        memset(long_word, 'x', sizeof(long_word));
        long_word[sizeof(long_word) - 1] = '\0';
        assert_null(text_nearest(long_word, words, ARRAY_SIZE(words)));
}

static void test_hex(void **state) {
        static const uint8_t bytes[] = { 0x00, 0x9a, 0xff };
        char text[7];
        uint8_t back[3];

        hex_encode(bytes, sizeof(bytes), text);
        assert_string_equal(text, "009aff");
        assert_int_equal(hex_decode(text, 6, back), 0);
        assert_memory_equal(back, bytes, sizeof(bytes));
        assert_int_equal(hex_decode("9AfF", 4, back), 0);
        assert_int_equal(back[0], 0x9a);
        assert_int_equal(hex_decode("9", 1, back), -EINVAL);
        assert_int_equal(hex_decode("9g", 2, back), -EINVAL);
        assert_int_equal(hex_decode("", 0, back), 0);
        hex_encode(bytes, 0, text);
        assert_string_equal(text, "");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_is_valid),
        cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_append_reports_a_full_buffer),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_bidi),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_hex),
};
TEST_MAIN("base-text", tests)
