/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"
#include "supervisor/transfer.h"

int reaper_init(void) {
        return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
}

static struct broker *find_broker(struct supervisor *sup, pid_t pid) {
        struct instance *in;

        LIST_FOREACH (in, &sup->instances, link)
                if (in->broker->pid == pid)
                        return in->broker;
        return sup->spare.broker && sup->spare.broker->pid == pid ? sup->spare.broker : NULL;
}

void reaper_run(struct supervisor *sup) {
        for (;;) {
                struct broker *broker;
                struct transfer *transfer;
                int status;
                pid_t pid;

                pid = waitpid(-1, &status, WNOHANG | WUNTRACED);
                if (pid < 0 && errno == EINTR)
                        continue;
                if (pid <= 0)
                        return;
                if (WIFSTOPPED(status)) {
                        if (pid == sup->containers.pid)
                                containers_on_stop(&sup->containers);
                        continue;
                }
                broker = find_broker(sup, pid);
                if (broker)
                        broker_on_exit(broker, status);
                else if (pid == sup->containers.pid)
                        containers_on_exit(&sup->containers, status);
                else if (askers_on_exit(sup->containers.askers, pid))
                        continue;
                else if ((transfer = transfer_find_by_pid(sup, pid)))
                        transfer_on_exit(transfer, status);
                else
                        log_debug("orphan %d is gone", pid);
        }
}
