/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

static int digit_of(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

/* Reads at least one digit and moves *text behind the last. */
static int take_digits(const char **text, unsigned int base, uint64_t *ret) {
        const char *p = *text;
        uint64_t value = 0;
        bool overflow = false;

        for (;; p++) {
                int digit = digit_of(*p);

                if (digit < 0 || (unsigned int)digit >= base)
                        break;
                overflow |= __builtin_mul_overflow(value, (uint64_t)base, &value);
                overflow |= __builtin_add_overflow(value, (uint64_t)digit, &value);
        }
        if (p == *text)
                return -EINVAL;
        if (overflow)
                return -ERANGE;
        *text = p;
        *ret = value;
        return 0;
}

static int take_number(const char **text, uint64_t *ret) {
        if ((*text)[0] == '0' && (*text)[1] == 'x') {
                *text += 2;
                return take_digits(text, 16, ret);
        }
        return take_digits(text, 10, ret);
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret) {
        uint64_t value;
        int r;

        r = take_number(&text, &value);
        if (r < 0)
                return r;
        if (*text != '\0')
                return -EINVAL;
        if (value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret) {
        bool is_negative = *text == '-';
        uint64_t magnitude;
        int64_t value;
        int r;

        text += is_negative;
        r = parse_u64(text, 0, (uint64_t)INT64_MAX + is_negative, &magnitude);
        if (r < 0)
                return r;
        value = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
        if (value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret) {
        uint64_t value;
        int r;

        r = parse_u64(text, min, max, &value);
        if (r < 0)
                return r;
        *ret = (uint32_t)value;
        return 0;
}

bool parse_leading(const char **text, unsigned int base, uint64_t *ret) {
        return take_digits(text, base, ret) == 0;
}

int parse_bool(const char *text, bool *ret) {
        static const char *const words[] = { "false", "true", "no", "yes", "0", "1" };

        for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
                if (str_eq(text, words[i])) {
                        *ret = i % 2 == 1;
                        return 0;
                }
        return -EINVAL;
}

/* Largest first; longer names before their prefixes would matter, but "m" is checked behind "ms".
 */
static const struct {
        const char *name;
        uint64_t ns;
} units[] = {
        { "h", 3600 * NSEC_PER_SEC }, { "ms", NSEC_PER_MSEC }, { "m", 60 * NSEC_PER_SEC },
        { "s", NSEC_PER_SEC },        { "us", NSEC_PER_USEC }, { "ns", 1 },
};

static uint64_t take_unit(const char **text) {
        for (unsigned int i = 0; i < ARRAY_SIZE(units); i++) {
                const char *rest = str_after(*text, units[i].name);

                if (rest) {
                        *text = rest;
                        return units[i].ns;
                }
        }
        return 0;
}

/* The digits behind a '.', as a number and the power of ten below it. */
static int take_fraction(const char **text, uint64_t *ret, uint64_t *ret_scale) {
        const char *start;
        int r;

        *ret = 0;
        *ret_scale = 1;
        if (**text != '.')
                return 0;
        start = ++*text;
        r = take_digits(text, 10, ret);
        if (r < 0)
                return r;
        if (*text - start > 9)
                return -EINVAL;
        while (start++ < *text)
                *ret_scale *= 10;
        return 0;
}

/* value.fraction units in ns. fraction < 10^9 and unit <= one hour, so only the second product can
 * overflow. */
static int scale(uint64_t value, uint64_t fraction, uint64_t fraction_scale, uint64_t unit,
                 uint64_t *ret) {
        uint64_t whole, part;

        if (__builtin_mul_overflow(value, unit, &whole))
                return -ERANGE;
        part = (uint64_t)((unsigned __int128)fraction * unit / fraction_scale);
        return __builtin_add_overflow(whole, part, ret) ? -ERANGE : 0;
}

int parse_duration(const char *text, uint64_t *ret_ns) {
        uint64_t total = 0, last_unit = UINT64_MAX;

        do {
                uint64_t value, fraction, fraction_scale, unit, ns;
                int r;

                r = take_digits(&text, 10, &value);
                if (r < 0)
                        return r;
                r = take_fraction(&text, &fraction, &fraction_scale);
                if (r < 0)
                        return r;
                unit = take_unit(&text);
                if (unit == 0 && last_unit == UINT64_MAX && *text == '\0')
                        unit = NSEC_PER_SEC;
                /* "30s1m" and "1s1s" are slips, not durations. */
                if (unit == 0 || unit >= last_unit)
                        return -EINVAL;
                r = scale(value, fraction, fraction_scale, unit, &ns);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(total, ns, &total))
                        return -ERANGE;
                last_unit = unit;
        } while (*text != '\0');
        *ret_ns = total;
        return 0;
}

int parse_size(const char *text, uint64_t *ret) {
        static const char suffixes[] = "KMG";
        const char *suffix;
        uint64_t value;
        int r;

        r = take_number(&text, &value);
        if (r < 0)
                return r;
        if (*text != '\0') {
                suffix = strchr(suffixes, *text);
                if (!suffix || text[1] != '\0')
                        return -EINVAL;
                if (__builtin_mul_overflow(value, UINT64_C(1) << (10 * (suffix - suffixes + 1)),
                                           &value))
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}
