/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: what they match, what is refused, and that none of them takes long. */
#include "base/clock.h"
#include "base/pattern.h"
#include "tests/lib/needs.h"

static const struct {
        const char *pattern;
        const char *text;
        bool matches;
} cases[] = {
        { "", "", true },
        { "", "x", true },
        { "bc", "abcd", true },
        { "bd", "abcd", false },
        { "^ab", "abcd", true },
        { "^bc", "abcd", false },
        { "cd$", "abcd", true },
        { "bc$", "abcd", false },
        { "^$", "", true },
        { "^$", "x", false },
        { "a.c", "abc", true },
        { "a.c", "ac", false },
        { "^a*$", "aaaa", true },
        { "^a*$", "", true },
        { "^a+$", "", false },
        { "^a+$", "aa", true },
        { "^ab?c$", "ac", true },
        { "^ab?c$", "abc", true },
        { "^ab?c$", "abbc", false },
        { "^(ab)+$", "ababab", true },
        { "^(ab)+$", "ababa", false },
        { "^(a|b)*c$", "ababac", true },
        { "cat|dog|bird", "a dog", true },
        { "cat|dog|bird", "a bird", true },
        { "cat|dog|bird", "a cow", false },
        { "^(cat|dog)s?$", "dogs", true },
        { "^(cat|dog)s?$", "cats!", false },
        { "^(?:x|)y$", "y", true },
        { "[a-c]+z", "xxabcz", true },
        { "^[^a-c]$", "b", false },
        { "^[^a-c]$", "d", true },
        { "^[]x]$", "]", true },
        { "^[a-]$", "-", true },
        { "^\\d+$", "0123", true },
        { "^\\d+$", "01x3", false },
        { "^\\w+$", "under_score9", true },
        { "^\\S+$", "no space", false },
        { "^[\\d.]+$", "1.2.3", true },
        { "^a\\.b$", "a.b", true },
        { "^a\\.b$", "axb", false },
        { "^\\\\$", "\\", true },
        { "\xc3\xa9", "caf\xc3\xa9", true },
        { "^(()*)*x$", "x", true },
        { "(a|ab)(c|bcd)$", "abcd", true },
        { "^a**$", "aaa", true },
};

static void test_matches(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct pattern *p = NULL;
                struct error err = { 0 };

                if (pattern_new(cases[i].pattern, &p, &err) < 0)
                        fail_msg("'%s': %s", cases[i].pattern, err.msg);
                /* Twice: a match leaves nothing behind. */
                for (int k = 0; k < 2; k++)
                        if (pattern_matches(p, BYTES(cases[i].text, strlen(cases[i].text))) !=
                            cases[i].matches)
                                fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
                pattern_free(p);
        }
}

static void test_refusals(void **state) {
        static const struct {
                const char *pattern;
                const char *message;
        } wrong[] = {
                { "a(b", "byte 4: '(' has no ')'" },
                { "ab)", "byte 3: ')' has no '('" },
                { "[ab", "'[' has no ']'" },
                { "*a", "byte 1: there is nothing to repeat" },
                { "a|+", "byte 3: there is nothing to repeat" },
                { "a\\", "a backslash ends the pattern" },
                { "[z-a]", "the range ends before it begins" },
                { "a{2}", "repetitions with a number are not known" },
                { "(a)\\1", "back-references are not known" },
        };
        char deep[80] = "";

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct pattern *p = NULL;
                struct error err = { 0 };

                assert_int_equal(pattern_new(wrong[i].pattern, &p, &err), -EINVAL);
                if (!strstr(err.msg, wrong[i].message))
                        fail_msg("'%s': '%s'", wrong[i].pattern, err.msg);
        }
        for (size_t i = 0; i < 33; i++)
                deep[i] = '(';
        {
                struct pattern *p = NULL;
                struct error err = { 0 };
                char *text = calloc(1, PATTERN_LEN_MAX + 2);

                assert_int_equal(pattern_new(deep, &p, &err), -EINVAL);
                assert_non_null(strstr(err.msg, "nested too deeply"));
                memset(text, 'a', PATTERN_LEN_MAX + 1);
                assert_int_equal(pattern_new(text, &p, &err), -E2BIG);
                text[PATTERN_LEN_MAX] = '\0';
                assert_int_equal(pattern_new(text, &p, &err), 0);
                pattern_free(p);
                free(text);
        }
}

/* Where a matcher that backtracks would take longer than the universe has had. */
static void test_time_is_bounded(void **state) {
        static const char *const patterns[] = {
                "^(a*)*b$",
                "(a|a)*(a|a)*(a|a)*c",
                "^(a?a?a?a?a?a?a?a?)*$",
                "(.*)*(.*)*(.*)*x",
        };
        char *text = malloc(2 * PATTERN_TEXT_MAX);
        uint64_t begun = now_ns();

        memset(text, 'a', 2 * PATTERN_TEXT_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
                struct pattern *p = NULL;
                struct error err = { 0 };

                assert_int_equal(pattern_new(patterns[i], &p, &err), 0);
                assert_int_equal(pattern_matches(p, BYTES(text, 2 * PATTERN_TEXT_MAX)), i == 2);
                pattern_free(p);
        }
        assert_true(now_ns() - begun < 5 * NSEC_PER_SEC);
        free(text);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_time_is_bounded),
};
TEST_MAIN("worker-pattern", tests)
