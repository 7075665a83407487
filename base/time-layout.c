/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time-layout.h"

#include <ctype.h>
#include <time.h>

enum part {
        PART_YEAR,
        PART_YEAR_SHORT,
        PART_MONTH,
        PART_MONTH_PADDED,
        PART_MONTH_SHORT,
        PART_MONTH_NAME,
        PART_DAY,
        PART_DAY_SPACED,
        PART_DAY_PADDED,
        PART_DAY_OF_YEAR,
        PART_DAY_OF_YEAR_SPACED,
        PART_WEEKDAY_SHORT,
        PART_WEEKDAY_NAME,
        PART_HOUR,
        PART_HOUR12,
        PART_HOUR12_PADDED,
        PART_MINUTE,
        PART_MINUTE_PADDED,
        PART_SECOND,
        PART_SECOND_PADDED,
        PART_HALF_UPPER,
        PART_HALF_LOWER,
        PART_ZONE_NAME,
        PART_ZONE,
};

/* At each place the first one that fits; a longer one stands before what it begins with. */
static const struct token {
        const char *text;
        enum part part;
        bool is_word; /* no small letter may follow: "Month" is not "Mon" and "th" */
} tokens[] = {
        { "January", PART_MONTH_NAME },
        { "Jan", PART_MONTH_SHORT, true },
        { "Monday", PART_WEEKDAY_NAME },
        { "Mon", PART_WEEKDAY_SHORT, true },
        { "MST", PART_ZONE_NAME },
        { "2006", PART_YEAR },
        { "002", PART_DAY_OF_YEAR },
        { "__2", PART_DAY_OF_YEAR_SPACED },
        { "01", PART_MONTH_PADDED },
        { "02", PART_DAY_PADDED },
        { "03", PART_HOUR12_PADDED },
        { "04", PART_MINUTE_PADDED },
        { "05", PART_SECOND_PADDED },
        { "06", PART_YEAR_SHORT },
        { "15", PART_HOUR },
        { "_2", PART_DAY_SPACED },
        { "1", PART_MONTH },
        { "2", PART_DAY },
        { "3", PART_HOUR12 },
        { "4", PART_MINUTE },
        { "5", PART_SECOND },
        { "PM", PART_HALF_UPPER },
        { "pm", PART_HALF_LOWER },
        { "Z07:00:00", PART_ZONE },
        { "Z070000", PART_ZONE },
        { "Z07:00", PART_ZONE },
        { "Z0700", PART_ZONE },
        { "Z07", PART_ZONE },
        { "-07:00:00", PART_ZONE },
        { "-070000", PART_ZONE },
        { "-07:00", PART_ZONE },
        { "-0700", PART_ZONE },
        { "-07", PART_ZONE },
};

/* Not strftime()'s: those depend on the locale. */
static const char *const months[] = { "January",   "February", "March",    "April",
                                      "May",       "June",     "July",     "August",
                                      "September", "October",  "November", "December" };
static const char *const days[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                    "Thursday", "Friday", "Saturday" };

static const struct token *token_at(const char *text) {
        for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
                const char *rest = str_after(text, tokens[i].text);

                /* "_2006" is a year behind a line. */
                if (rest && tokens[i].part == PART_DAY_SPACED && str_after(rest, "006"))
                        continue;
                if (rest && !(tokens[i].is_word && islower((unsigned char)*rest)))
                        return &tokens[i];
        }
        return NULL;
}

/* "Z" where the layout has one and the zone is UTC; else as many digits as the example has. */
static void append_zone(struct buf *b, const char *example, const struct tm *tm) {
        long offset = tm->tm_gmtoff < 0 ? -tm->tm_gmtoff : tm->tm_gmtoff;
        const char *colon = strchr(example, ':') ? ":" : "";
        size_t n_digits = strlen(example) - 1 - (*colon ? strlen(example) / 4 : 0);

        if (example[0] == 'Z' && offset == 0) {
                buf_puts(b, "Z");
                return;
        }
        buf_printf(b, "%c%02ld", tm->tm_gmtoff < 0 ? '-' : '+', offset / 3600);
        if (n_digits >= 4)
                buf_printf(b, "%s%02ld", colon, offset / 60 % 60);
        if (n_digits >= 6)
                buf_printf(b, "%s%02ld", colon, offset % 60);
}

static void append_part(struct buf *b, const struct token *token, const struct tm *tm) {
        int hour12 = tm->tm_hour % 12 ? tm->tm_hour % 12 : 12;

        switch (token->part) {
        case PART_YEAR:
                buf_printf(b, "%04d", tm->tm_year + 1900);
                break;
        case PART_YEAR_SHORT:
                buf_printf(b, "%02d", tm->tm_year % 100);
                break;
        case PART_MONTH:
                buf_printf(b, "%d", tm->tm_mon + 1);
                break;
        case PART_MONTH_PADDED:
                buf_printf(b, "%02d", tm->tm_mon + 1);
                break;
        case PART_MONTH_SHORT:
                buf_append(b, months[tm->tm_mon], 3);
                break;
        case PART_MONTH_NAME:
                buf_puts(b, months[tm->tm_mon]);
                break;
        case PART_DAY:
                buf_printf(b, "%d", tm->tm_mday);
                break;
        case PART_DAY_SPACED:
                buf_printf(b, "%2d", tm->tm_mday);
                break;
        case PART_DAY_PADDED:
                buf_printf(b, "%02d", tm->tm_mday);
                break;
        case PART_DAY_OF_YEAR:
                buf_printf(b, "%03d", tm->tm_yday + 1);
                break;
        case PART_DAY_OF_YEAR_SPACED:
                buf_printf(b, "%3d", tm->tm_yday + 1);
                break;
        case PART_WEEKDAY_SHORT:
                buf_append(b, days[tm->tm_wday], 3);
                break;
        case PART_WEEKDAY_NAME:
                buf_puts(b, days[tm->tm_wday]);
                break;
        case PART_HOUR:
                buf_printf(b, "%02d", tm->tm_hour);
                break;
        case PART_HOUR12:
                buf_printf(b, "%d", hour12);
                break;
        case PART_HOUR12_PADDED:
                buf_printf(b, "%02d", hour12);
                break;
        case PART_MINUTE:
                buf_printf(b, "%d", tm->tm_min);
                break;
        case PART_MINUTE_PADDED:
                buf_printf(b, "%02d", tm->tm_min);
                break;
        case PART_SECOND:
                buf_printf(b, "%d", tm->tm_sec);
                break;
        case PART_SECOND_PADDED:
                buf_printf(b, "%02d", tm->tm_sec);
                break;
        case PART_HALF_UPPER:
                buf_puts(b, tm->tm_hour < 12 ? "AM" : "PM");
                break;
        case PART_HALF_LOWER:
                buf_puts(b, tm->tm_hour < 12 ? "am" : "pm");
                break;
        case PART_ZONE_NAME:
                buf_puts(b, tm->tm_zone ?: "UTC");
                break;
        case PART_ZONE:
                append_zone(b, token->text, tm);
                break;
        }
}

/* ".000" has as many digits as noughts, ".999" drops noughts at the end. 0 when there is no
 * fraction here, else its length in the layout. */
static size_t append_fraction(struct buf *b, const char *layout, uint64_t ns) {
        char digits[10];
        size_t n = strspn(layout + 1, layout[1] == '9' ? "9" : "0");

        if ((layout[0] != '.' && layout[0] != ',') || n == 0 ||
            isdigit((unsigned char)layout[1 + n]))
                return 0;
        for (int i = 8; i >= 0; i--, ns /= 10)
                digits[i] = (char)('0' + ns % 10);
        digits[9] = '\0';
        digits[MIN(n, (size_t)9)] = '\0';
        if (layout[1] == '9')
                for (size_t end = strlen(digits); end > 0 && digits[end - 1] == '0';)
                        digits[--end] = '\0';
        if (digits[0])
                buf_append(b, layout, 1);
        buf_puts(b, digits);
        return 1 + n;
}

void time_layout_append(struct buf *b, const char *layout, uint64_t ns) {
        time_t seconds = (time_t)(ns / NSEC_PER_SEC);
        struct tm tm = { 0 };

        if (!localtime_r(&seconds, &tm))
                return;
        while (*layout) {
                const struct token *token = token_at(layout);
                size_t n =
                        token ? strlen(token->text) : append_fraction(b, layout, ns % NSEC_PER_SEC);

                if (token)
                        append_part(b, token, &tm);
                else if (n == 0)
                        buf_append(b, layout, n = 1);
                layout += n;
        }
}
