/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"

int reaper_init(void) {
        return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
}

static struct instance *find_by_broker(struct supervisor *sup, pid_t pid) {
        struct instance *in;

        LIST_FOREACH (in, &sup->instances, link)
                if (in->broker.pid == pid)
                        return in;
        return NULL;
}

void reaper_run(struct supervisor *sup) {
        for (;;) {
                struct instance *in;
                int status;
                pid_t pid;

                pid = waitpid(-1, &status, WNOHANG);
                if (pid < 0 && errno == EINTR)
                        continue;
                if (pid <= 0)
                        return;
                in = find_by_broker(sup, pid);
                if (in)
                        broker_on_exit(in, status);
                else
                        log_debug("orphan %d is gone", pid);
        }
}
