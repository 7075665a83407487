/* SPDX-License-Identifier: Apache-2.0 */
/* DNS names: what is one, what is none, and what would walk in circles. */
#include "base/util.h"
#include "tests/lib/needs.h"
#include "worker/dns-name.h"

#define LABELS(_text) (_text), sizeof(_text) - 1

static const struct name_case {
        const char *labels;
        size_t len;
        const char *text;
} cases[] = {
        { LABELS("\3www\7example\3com\0"), "www.example.com" },
        { LABELS("\3www\7example\3com\0trailing"), "www.example.com" },
        { LABELS("\1a\0"), "a" },
        { LABELS("\0"), "." },
        /* What must not look like a dot, or reach a terminal. */
        { LABELS("\3a.b\1\\\0"), "a\\.b.\\\\" },
        { LABELS("\4\x1b[0m\0"), "\\027[0m" },
        { LABELS("\3\xc3\xa4 \0"), "\\195\\164\\032" },
        /* Cut, with a label that is too long, with bits that mean nothing. */
        { LABELS(""), "..." },
        { LABELS("\3ww"), "..." },
        { LABELS("\3www"), "www..." },
        { LABELS("\3www\x40rest"), "www..." },
        { LABELS("\x80"), "..." },
        /* Pointers count from the message's beginning; a name at the front has nothing in front of
         * it. */
        { LABELS("\3www\xc0\x0c"), "www.www..." },
        { LABELS("\3www\xc0\x12\3com\0"), "www..." },
        { LABELS("\xc0\x0c"), "..." },
        { LABELS("\3www\xc0"), "www..." },
        { LABELS("\3www\xc0\x00"), "www..." },
};

static void test_names(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char out[DNS_TEXT_MAX + 1];
                uint32_t n = dns_name_text(BYTES(cases[i].labels, cases[i].len), out);

                assert_true(n <= DNS_TEXT_MAX);
                out[n] = '\0';
                assert_string_equal(out, cases[i].text);
        }
}

/* The longest name there is, of bytes that take the most room. */
static void test_longest(void **state) {
        uint8_t labels[512];
        char out[DNS_TEXT_MAX];
        size_t at = 0;

        memset(labels, 0xff, sizeof(labels));
        for (int i = 0; i < 3; i++, at += 64)
                labels[at] = 63;
        labels[at] = 61;
        labels[at + 62] = 0;
        /* 63 + 63 + 63 + 61 bytes as four characters each, and three dots. */
        assert_int_equal(dns_name_text(BYTES(labels, sizeof(labels)), out), 250 * 4 + 3);
        /* One more byte is more than a name has. */
        labels[at] = 62;
        labels[at + 63] = 0;
        assert_int_equal(dns_name_text(BYTES(labels, sizeof(labels)), out), 189 * 4 + 2 + 3);
}

/* Whatever the bytes are, the text fits and the end is found. */
static void test_any_bytes(void **state) {
        uint64_t seed = 0x9e3779b97f4a7c15;
        uint8_t labels[96];
        char out[DNS_TEXT_MAX];

        for (int round = 0; round < 100000; round++) {
                for (size_t i = 0; i < sizeof(labels); i++) {
                        seed = seed * 6364136223846793005 + 1442695040888963407;
                        labels[i] = (seed >> 60) < 4 ? (uint8_t)(0xc0 | (seed >> 58 & 1))
                                                     : (uint8_t)(seed >> 56 & 0x3f);
                }
                assert_true(dns_name_text(BYTES(labels, sizeof(labels)), out) <= DNS_TEXT_MAX);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_any_bytes),
};
TEST_MAIN("worker-dns-name", tests)
