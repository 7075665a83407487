/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/progress.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/format.h"

#define REDRAW_NS (100 * NSEC_PER_MSEC)
#define BAR_WIDTH 30

void progress_init(struct progress *progress, bool is_quiet) {
        *progress = (struct progress){ .is_quiet = is_quiet,
                                       .is_terminal = isatty(STDERR_FILENO) == 1 };
}

static struct progress_bar *find_bar(struct progress *progress, struct bytes digest) {
        char name[sizeof(progress->bars[0].digest)];
        struct progress_bar *bar;

        snprintf(name, sizeof(name), "%.*s", (int)MIN(digest.len, sizeof(name) - 1),
                 (const char *)digest.data);
        for (size_t i = 0; i < progress->n; i++)
                if (str_eq(progress->bars[i].digest, name))
                        return &progress->bars[i];
        if (progress->n == PROGRESS_BARS_MAX)
                return NULL;
        bar = &progress->bars[progress->n++];
        *bar = (struct progress_bar){ .start_ns = now_ns() };
        memcpy(bar->digest, name, sizeof(name));
        return bar;
}

static void format_size(uint64_t bytes, char *out) {
        *format_bytes((uint8_t *)out, bytes) = '\0';
}

static uint64_t rate_of(const struct progress_bar *bar) {
        uint64_t end = bar->end_ns ? bar->end_ns : now_ns();
        uint64_t ms = (end - bar->start_ns) / NSEC_PER_MSEC;

        return ms > 0 && bar->bytes > bar->first_bytes ? (bar->bytes - bar->first_bytes) * 1000 / ms
                                                       : 0;
}

static void draw_bar(const struct progress_bar *bar) {
        size_t full = bar->total ? (size_t)(bar->bytes * BAR_WIDTH / bar->total) : BAR_WIDTH;
        char bytes[FORMAT_MAX], total[FORMAT_MAX], rate[FORMAT_MAX];
        char line[BAR_WIDTH + 1];

        memset(line, ' ', BAR_WIDTH);
        memset(line, '=', MIN(full, (size_t)BAR_WIDTH));
        line[BAR_WIDTH] = '\0';
        format_size(bar->bytes, bytes);
        format_size(bar->total, total);
        format_size(rate_of(bar), rate);
        fprintf(stderr, "\r%-19.19s [%s] %s/%s %s/s\033[K\n", bar->digest, line, bytes, total,
                rate);
}

static void draw(struct progress *progress) {
        if (progress->n_lines > 0)
                fprintf(stderr, "\033[%zuA", progress->n_lines);
        for (size_t i = 0; i < progress->n; i++)
                draw_bar(&progress->bars[i]);
        progress->n_lines = progress->n;
        progress->drawn_ns = now_ns();
        fflush(stderr);
}

void progress_update(struct progress *progress, struct bytes digest, uint64_t bytes,
                     uint64_t total) {
        struct progress_bar *bar;
        char size[FORMAT_MAX];
        bool is_new;

        if (progress->is_quiet)
                return;
        bar = find_bar(progress, digest);
        if (!bar || bar->end_ns)
                return;
        is_new = bar->total == 0 && bar->bytes == 0;
        if (is_new && bytes < total)
                bar->first_bytes = bytes;
        bar->bytes = MIN(bytes, total);
        bar->total = total;
        if (bytes >= total) {
                bar->end_ns = now_ns();
                if (!progress->is_terminal) {
                        format_size(total, size);
                        fprintf(stderr, "%s: done, %s\n", bar->digest, size);
                }
        }
        if (progress->is_terminal && (is_new || now_ns() > progress->drawn_ns + REDRAW_NS))
                draw(progress);
}

void progress_finish(struct progress *progress) {
        if (progress->is_terminal && !progress->is_quiet && progress->n > 0)
                draw(progress);
}

void progress_done(struct progress *progress) {
        progress->n = 0;
}
