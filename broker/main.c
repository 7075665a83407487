/* SPDX-License-Identifier: Apache-2.0 */
/* gadget-broker: started by gadgetd, one for each gadget. It has no options: all that it is to do
 * comes by PREPARE and START. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "broker/broker.h"

static int run(void) {
        cleanup(broker_freep) struct broker *b = NULL;
        int r;

        r = broker_new(CHILD_FD_CHANNEL, &b);
        if (r < 0)
                return log_error_errno(r, "cannot start");
        return loop_run(b->loop);
}

int main(int argc, char **argv) {
        struct stat st;
        int r;

        if (argc > 1 && strcmp(argv[1], "--version") == 0) {
                printf("gadget-broker %s\n", GADGET_VERSION);
                return 0;
        }
        if (fstat(CHILD_FD_CHANNEL, &st) < 0 || !S_ISSOCK(st.st_mode)) {
                fprintf(stderr, "gadget-broker: gadgetd starts this program; there is nothing to "
                                "run by hand\n");
                return 2;
        }
        log_init("gadget-broker", CHILD_FD_LOG);
        /* Both are inherited, and nobody here needs them: fds do not leak into the worker, groups
         * give it no access. */
        fcntl(CHILD_FD_CHANNEL, F_SETFD, FD_CLOEXEC);
        fcntl(CHILD_FD_LOG, F_SETFD, FD_CLOEXEC);
        if (setgroups(0, NULL) < 0)
                log_warning_errno(-errno, "cannot drop supplementary groups, keeping them");
        umask(0077);
        r = run();
        return r < 0 ? EXIT_FAILURE : r;
}
