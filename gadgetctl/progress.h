/* SPDX-License-Identifier: Apache-2.0 */
/* How far a pull or push is: a bar a blob on a terminal, a line when a blob is done elsewhere, or
 * nothing. All of it on standard error. */
#pragma once

#include "base/util.h"

#define PROGRESS_BARS_MAX 64

struct progress {
        bool is_quiet;
        bool is_terminal;
        size_t n_lines; /* drawn last time */
        uint64_t drawn_ns;
        size_t n;
        struct progress_bar {
                char digest[24]; /* the first digits */
                uint64_t bytes;
                uint64_t total;
                uint64_t first_bytes; /* where it began: what was resumed is no rate */
                uint64_t start_ns;
                uint64_t end_ns;
        } bars[PROGRESS_BARS_MAX];
};

void progress_init(struct progress *progress, bool is_quiet);
void progress_update(struct progress *progress, struct bytes digest, uint64_t bytes,
                     uint64_t total);
void progress_finish(struct progress *progress); /* draws the last time */
void progress_done(struct progress *progress);
