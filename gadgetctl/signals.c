/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/signals.h"

#include <sys/eventfd.h>

#include "base/util.h"

volatile sig_atomic_t signals_count;
static volatile sig_atomic_t last;
static int event_fd = -1;

static void on_signal(int signal) {
        uint64_t one = 1;
        int saved = errno;
        ssize_t n;

        last = signal;
        signals_count++;
        n = write(event_fd, &one, sizeof(one));
        (void)n;
        errno = saved;
}

int signals_init(void) {
        static const int which[] = { SIGINT, SIGTERM, SIGHUP };
        /* No SA_RESTART: a write that blocks on a full pipe has to come back. */
        struct sigaction action = { .sa_handler = on_signal };

        event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (event_fd < 0)
                return -errno;
        for (size_t i = 0; i < ARRAY_SIZE(which); i++)
                sigaction(which[i], &action, NULL);
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
        return 0;
}

int signals_fd(void) {
        return event_fd;
}

bool signals_interrupted(int r) {
        return r == -EINTR && signals_count > 0;
}

int signals_exit_code(void) {
        return 128 + last;
}
