/* SPDX-License-Identifier: Apache-2.0 */
#include "client/histogram.h"

#include <stdio.h>

#include "base/text.h"

#define BAR_WIDTH 40

int histogram_read(struct mp_reader *r, struct histogram *ret) {
        uint32_t n;

        *ret = (struct histogram){ 0 };
        if (mp_read_array(r, &n) < 0 || n > HISTOGRAM_SLOTS_MAX)
                return -EBADMSG;
        for (uint32_t i = 0; i < n; i++)
                if (mp_read_uint(r, &ret->counts[i]) < 0)
                        return -EBADMSG;
        ret->n = n;
        return 0;
}

uint64_t histogram_low(uint32_t slot) {
        return slot == 0 ? 0 : UINT64_C(1) << slot;
}

uint64_t histogram_high(uint32_t slot) {
        return slot >= 63 ? UINT64_MAX : (UINT64_C(2) << slot) - 1;
}

/* Slots behind the last that is not empty are not shown. */
static uint32_t used_slots(const struct histogram *histogram) {
        uint32_t n = histogram->n;

        while (n > 0 && histogram->counts[n - 1] == 0)
                n--;
        return n;
}

static int digits_of(uint64_t v) {
        return snprintf(NULL, 0, "%llu", (unsigned long long)v);
}

static void append_bar(struct buf *b, uint64_t count, uint64_t largest) {
        static const char full[] = "****************************************";
        static const char none[] = "                                        ";
        int n = (int)((double)count / (double)largest * BAR_WIDTH);

        if (count > 0 && n == 0)
                n = 1; /* few is not none */
        buf_printf(b, "|%.*s%.*s|\n", n, full, BAR_WIDTH - n, none);
}

void histogram_append_bars(struct buf *b, const struct histogram *histogram, const char *name,
                           const char *unit) {
        uint32_t n = used_slots(histogram), first = 0;
        int wide = n ? digits_of(histogram_high(n - 1)) : 1;
        uint64_t largest = 1;

        for (uint32_t i = 0; i < n; i++)
                largest = MAX(largest, histogram->counts[i]);
        while (first < n && histogram->counts[first] == 0)
                first++;
        text_append_escaped(b, (const uint8_t *)name, strlen(name));
        if (unit[0]) {
                buf_puts(b, " (");
                text_append_escaped(b, (const uint8_t *)unit, strlen(unit));
                buf_puts(b, ")");
        }
        buf_puts(b, n ? "\n" : ": nothing counted\n");
        for (uint32_t i = first; i < n; i++) {
                buf_printf(b, "  %*llu -> %-*llu : %-*llu ", wide,
                           (unsigned long long)histogram_low(i), wide,
                           (unsigned long long)histogram_high(i), digits_of(largest),
                           (unsigned long long)histogram->counts[i]);
                append_bar(b, histogram->counts[i], largest);
        }
}

void histogram_append_json(struct buf *b, const struct histogram *histogram) {
        uint32_t n = used_slots(histogram);

        buf_puts(b, "[");
        for (uint32_t i = 0; i < n; i++)
                buf_printf(b, "%s{\"start\":%llu,\"end\":%llu,\"count\":%llu}", i ? "," : "",
                           (unsigned long long)histogram_low(i),
                           (unsigned long long)histogram_high(i),
                           (unsigned long long)histogram->counts[i]);
        buf_puts(b, "]");
}
