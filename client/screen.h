/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a terminal that a table is drawn on again and again: what does not fit is counted in
 * its last line, so that the names above the columns stay where they can be read. */
#pragma once

#include "client/out.h"

struct screen {
        uint32_t lines_left; /* UINT32_MAX = all that come are printed */
        uint32_t n_hidden;   /* rows of the array that do not fit */
};

#define SCREEN_NONE ((struct screen){ .lines_left = UINT32_MAX })

/* Asks the terminal how large it is now; `n_tables` share it. */
void screen_begin(struct screen *screen, int fd, uint32_t n_tables);

/* One line of the table; false when it does not fit. A line is kept for the count. */
static inline bool screen_take_line(struct screen *screen) {
        if (screen->lines_left == UINT32_MAX)
                return true;
        if (screen->lines_left <= 1)
                return false;
        screen->lines_left--;
        return true;
}

/* At the end of an array: how many rows are not seen. */
void screen_tell_hidden(struct screen *screen, struct out *out);
