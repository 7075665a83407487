/* SPDX-License-Identifier: Apache-2.0 */
#include "client/screen.h"

#include <stdio.h>
#include <sys/ioctl.h>

void screen_begin(struct screen *screen, int fd, uint32_t n_tables) {
        struct winsize size;

        *screen = SCREEN_NONE;
        if (fd >= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
                screen->lines_left = (size.ws_row - 1u) / n_tables; /* the cursor is in the last */
}

void screen_tell_hidden(struct screen *screen, struct out *out) {
        char text[64];
        int n;

        if (screen->n_hidden == 0)
                return;
        n = snprintf(text, sizeof(text), "(%u more %s)\n", screen->n_hidden,
                     screen->n_hidden == 1 ? "row" : "rows");
        out_put(out, text, (size_t)n);
        screen->n_hidden = 0;
        screen->lines_left = 0;
}
