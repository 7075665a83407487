/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts of times: each part, and what looks like one and is none. */
#include "base/time-layout.h"

#include <time.h>

#include "tests/lib/needs.h"

#define TIME (UINT64_C(1136239445) * NSEC_PER_SEC + 120304000) /* the example's own, in UTC-7 */

static void use_zone(const char *zone) {
        setenv("TZ", zone, 1);
        tzset();
}

static void expect(const char *layout, uint64_t ns, const char *text) {
        struct buf b = BUF_INIT(4096);
        cleanup_free char *made = NULL;

        time_layout_append(&b, layout, ns);
        made = buf_steal_string(&b);
        if (!str_eq(made, text))
                fail_msg("'%s' makes '%s', not '%s'", layout, made, text);
}

static void test_parts(void **state) {
        static const char *const same[] = {
                /* The example is its own layout. */
                "2006-01-02T15:04:05-07:00",
                "Monday, January 2 2006, 3:04PM",
                "02 Jan 06 15:04 -0700",
                "01/02/2006 03:04:05 -07",
                "1/2 3:4:5",
                "002",
        };

        use_zone("XYZ7");
        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
                expect(same[i], TIME, same[i]);
        expect("Mon Jan _2 15:04:05 2006", TIME, "Mon Jan  2 15:04:05 2006");
        expect("MST", TIME, "XYZ");
        expect("Z07:00 Z0700 Z07", TIME, "-07:00 -0700 -07");
        expect("__2", TIME, "  2");
        expect("3:04pm", TIME, "3:04pm");
        expect("-07:00:00 -070000", TIME, "-07:00:00 -070000");
}

static void test_other_times(void **state) {
        /* 1 March 2024, 00:30:09, a leap year's 61st day. */
        uint64_t ns = UINT64_C(1709253009) * NSEC_PER_SEC;

        use_zone("UTC");
        expect("2006-01-02 15:04:05", ns, "2024-03-01 00:30:09");
        expect("Mon _2 Jan 3PM", ns, "Fri  1 Mar 12AM");
        expect("Monday January 2 03 pm", ns, "Friday March 1 12 am");
        expect("002 __2 4 5 06", ns, "061  61 30 9 24");
        expect("Z07:00", ns, "Z");
        expect("-07:00", ns, "+00:00");
        use_zone("ABC-5:45");
        expect("15:04 Z07:00 -0700", ns, "06:15 +05:45 +0545");
        expect("2006", 0, "1970");
}

static void test_fractions(void **state) {
        use_zone("UTC");
        expect("05.000", TIME, "05.120");
        expect("05,000000", TIME, "05,120304");
        expect("05.000000000", TIME, "05.120304000");
        expect("05.999999999", TIME, "05.120304");
        expect("05.99", TIME, "05.12");
        expect("05.999", TIME - 120304000, "05");
        expect("05.0000000000000", TIME, "05.120304000");
        expect("05.", TIME, "05.");
        expect(".0x", TIME, ".1x");
}

static void test_no_parts(void **state) {
        use_zone("XYZ7");
        expect("", TIME, "");
        expect("at o'clock", TIME, "at o'clock");
        expect("Month Janet", TIME, "Month Janet");
        expect("\xff\x1b", TIME, "\xff\x1b");
        expect("_2006", TIME, "_2006");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_other_times),
        cmocka_unit_test(test_fractions),
        cmocka_unit_test(test_no_parts),
};
TEST_MAIN("base-time-layout", tests)
