/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdio.h>

#define BYTES_OF(_b) (UINT64_C(0x0101010101010101) * (_b))
#define WORD_MAX 64

static size_t decode(const uint8_t *p, size_t n, uint32_t *ret) {
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t code_point;
        size_t len;

        if (p[0] < 0x80) {
                *ret = p[0];
                return 1;
        }
        if ((p[0] & 0xe0) == 0xc0) {
                len = 2;
                code_point = p[0] & 0x1f;
        } else if ((p[0] & 0xf0) == 0xe0) {
                len = 3;
                code_point = p[0] & 0x0f;
        } else if ((p[0] & 0xf8) == 0xf0) {
                len = 4;
                code_point = p[0] & 0x07;
        } else {
                return 0;
        }
        if (n < len)
                return 0;
        for (size_t i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                code_point = code_point << 6 | (p[i] & 0x3f);
        }
        /* Overlong forms, surrogates and what lies past Unicode's end are not UTF-8. */
        if (code_point < smallest[len] || (code_point >= 0xd800 && code_point < 0xe000) ||
            code_point > 0x10ffff)
                return 0;
        *ret = code_point;
        return len;
}

size_t utf8_sequence(const uint8_t *p, size_t n) {
        uint32_t code_point;

        return decode(p, n, &code_point);
}

/* True if a byte of the word is >= 0x80. */
static bool has_high(uint64_t word) {
        return (word & BYTES_OF(0x80)) != 0;
}

bool utf8_is_valid(const uint8_t *p, size_t n) {
        while (n > 0) {
                size_t len;
                uint64_t word;

                if (n >= sizeof(word)) {
                        memcpy(&word, p, sizeof(word));
                        if (!has_high(word)) {
                                p += sizeof(word);
                                n -= sizeof(word);
                                continue;
                        }
                }
                len = utf8_sequence(p, n);
                if (len == 0)
                        return false;
                p += len;
                n -= len;
        }
        return true;
}

bool is_bidi_control(uint32_t code_point) {
        return (code_point >= 0x202a && code_point <= 0x202e) ||
               (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0x200e ||
               code_point == 0x200f || code_point == 0x061c;
}

/* A code point that may go to a terminal as it is. */
static bool is_safe(uint32_t code_point) {
        return code_point >= 0x20 && !(code_point >= 0x7f && code_point < 0xa0) &&
               !is_bidi_control(code_point);
}

/* Length of the longest start of p that is plain printable ASCII without the two bytes given. */
static size_t plain_length(const uint8_t *p, size_t n, uint8_t not_a, uint8_t not_b) {
        size_t i = 0;

        /* Eight at a time: a byte below 0x20, equal to 0x7f or one of the two, or above 0x7f sets
         * its top bit. */
        for (; i + sizeof(uint64_t) <= n; i += sizeof(uint64_t)) {
                uint64_t w, below, del, a, b;

                memcpy(&w, p + i, sizeof(w));
                below = w - BYTES_OF(0x20);
                del = (w ^ BYTES_OF(0x7f)) - BYTES_OF(1);
                a = (w ^ (BYTES_OF(1) * not_a)) - BYTES_OF(1);
                b = (w ^ (BYTES_OF(1) * not_b)) - BYTES_OF(1);
                if (has_high(w | below | del | a | b))
                        break;
        }
        while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != not_a && p[i] != not_b)
                i++;
        return i;
}

int text_append_escaped(struct buf *b, const uint8_t *text, size_t n) {
        while (n > 0) {
                size_t len = plain_length(text, n, 0, 0);
                uint32_t code_point;

                if (len > 0) {
                        buf_append(b, text, len);
                } else if ((len = decode(text, n, &code_point)) == 0) {
                        buf_printf(b, "\\x%02x", *text);
                        len = 1;
                } else if (is_safe(code_point)) {
                        buf_append(b, text, len);
                } else if (code_point == '\n') {
                        buf_puts(b, "\\n");
                } else if (code_point == '\t') {
                        buf_puts(b, "\\t");
                } else if (code_point < 0x80) {
                        buf_printf(b, "\\x%02x", code_point);
                } else {
                        buf_printf(b, "\\u{%04x}", code_point);
                }
                text += len;
                n -= len;
        }
        return buf_result(b);
}

/* The letter of JSON's two-character escapes, or 0. */
static char json_letter(uint32_t code_point) {
        switch (code_point) {
        case '"':
        case '\\':
                return (char)code_point;
        case '\b':
                return 'b';
        case '\f':
                return 'f';
        case '\n':
                return 'n';
        case '\r':
                return 'r';
        case '\t':
                return 't';
        default:
                return 0;
        }
}

int text_append_json(struct buf *b, const uint8_t *text, size_t n) {
        buf_append(b, "\"", 1);
        while (n > 0) {
                size_t len = plain_length(text, n, '"', '\\');
                uint32_t code_point;

                if (len > 0) {
                        buf_append(b, text, len);
                } else if ((len = decode(text, n, &code_point)) == 0) {
                        buf_printf(b, "\\u%04x", *text);
                        len = 1;
                } else if (json_letter(code_point)) {
                        char escape[] = { '\\', json_letter(code_point) };

                        buf_append(b, escape, sizeof(escape));
                } else if (is_safe(code_point)) {
                        buf_append(b, text, len);
                } else {
                        /* All that is unsafe lies in the basic plane. */
                        buf_printf(b, "\\u%04x", code_point);
                }
                text += len;
                n -= len;
        }
        return buf_append(b, "\"", 1);
}

struct range {
        uint32_t first;
        uint32_t last;
};

/* Blocks rather than single characters: a wrong guess costs one column of alignment. */
static const struct range wide[] = {
        { 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x23e9, 0x23ec },   { 0x2e80, 0x303e },
        { 0x3041, 0x33ff },   { 0x3400, 0x4dbf },   { 0x4e00, 0x9fff },   { 0xa000, 0xa4cf },
        { 0xa960, 0xa97f },   { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },
        { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x16fe0, 0x18aff }, { 0x1b000, 0x1b2ff },
        { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x1fa70, 0x1faff },
        { 0x20000, 0x3fffd },
};
static const struct range zero_width[] = {
        { 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd },   { 0x0610, 0x061a },
        { 0x064b, 0x065f }, { 0x06d6, 0x06dc }, { 0x0900, 0x0902 },   { 0x093c, 0x093c },
        { 0x0941, 0x0948 }, { 0x0e31, 0x0e31 }, { 0x0e34, 0x0e3a },   { 0x0e47, 0x0e4e },
        { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200d },   { 0x2060, 0x2064 },
        { 0x20d0, 0x20ff }, { 0x302a, 0x302d }, { 0x3099, 0x309a },   { 0xfe00, 0xfe0f },
        { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef },
};

static bool is_in(const struct range *ranges, size_t n, uint32_t code_point) {
        size_t low = 0, high = n;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (code_point > ranges[mid].last)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < n && code_point >= ranges[low].first;
}

static size_t columns_of(uint32_t code_point) {
        if (code_point == '\n' || code_point == '\t')
                return strlen("\\n");
        if (!is_safe(code_point))
                return code_point < 0x80 ? strlen("\\xNN") : strlen("\\u{NNNN}");
        if (code_point < 0x300)
                return 1;
        if (is_in(zero_width, ARRAY_SIZE(zero_width), code_point))
                return 0;
        return is_in(wide, ARRAY_SIZE(wide), code_point) ? 2 : 1;
}

size_t text_columns(const uint8_t *text, size_t n) {
        size_t columns = 0;

        while (n > 0) {
                size_t len = plain_length(text, n, 0, 0);
                uint32_t code_point;

                if (len > 0) {
                        columns += len;
                } else if ((len = decode(text, n, &code_point)) == 0) {
                        columns += strlen("\\xNN");
                        len = 1;
                } else {
                        columns += columns_of(code_point);
                }
                text += len;
                n -= len;
        }
        return columns;
}

/* Edit distance, two neighbours that changed places counting once; SIZE_MAX when a word is too long
 * to be a slip. */
static size_t distance(const char *a, const char *b) {
        size_t n_a = strlen(a), n_b = strlen(b);
        size_t rows[3][WORD_MAX + 1];

        if (n_a > WORD_MAX || n_b > WORD_MAX)
                return SIZE_MAX;
        for (size_t j = 0; j <= n_b; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= n_a; i++) {
                size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

                row[0] = i;
                for (size_t j = 1; j <= n_b; j++) {
                        row[j] = MIN(above[j - 1] + (a[i - 1] != b[j - 1]),
                                     MIN(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = MIN(row[j], before[j - 2] + 1);
                }
        }
        return rows[n_a % 3][n_b];
}

/* by_last: what stands behind the last dot of each is compared. */
static const char *nearest(const char *word, const char *const *words, size_t n_words,
                           bool by_last) {
        size_t best_distance = MAX(strlen(word) / 3, (size_t)1) + 1;
        const char *best = NULL;

        for (size_t i = 0; i < n_words; i++) {
                const char *dot = by_last ? strrchr(words[i], '.') : NULL;
                size_t d = distance(word, dot ? dot + 1 : words[i]);

                if (d < best_distance) {
                        best_distance = d;
                        best = words[i];
                }
        }
        return best;
}

const char *text_nearest(const char *word, const char *const *words, size_t n_words) {
        const char *best = nearest(word, words, n_words, false);

        return best || strchr(word, '.') ? best : nearest(word, words, n_words, true);
}

void hex_encode(const void *data, size_t n, char *out) {
        static const char digits[] = "0123456789abcdef";
        const uint8_t *p = data;

        for (size_t i = 0; i < n; i++) {
                out[2 * i] = digits[p[i] >> 4];
                out[2 * i + 1] = digits[p[i] & 15];
        }
        out[2 * n] = '\0';
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

int hex_decode(const char *text, size_t n_text, uint8_t *out) {
        if (n_text % 2 != 0)
                return -EINVAL;
        for (size_t i = 0; i < n_text; i += 2) {
                int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

                if (high < 0 || low < 0)
                        return -EINVAL;
                out[i / 2] = (uint8_t)(high << 4 | low);
        }
        return 0;
}
