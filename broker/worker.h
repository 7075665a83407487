/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker process: cloned into its own user, mount, pid, net, ipc, uts and cgroup namespaces,
 * with a uid of its own, an empty read-only root and no capability, before its first instruction.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

struct worker {
        pid_t pid; /* 0 = none */
        int pid_fd;
        int channel_fd; /* our end */
        int log_fd;     /* our end */
        int setup_fd;   /* {step, errno} if it failed before the exec */
};

struct worker_spec {
        int exe_fd;
        uint32_t uid;
};

int worker_start(const struct worker_spec *spec, struct worker *ret, struct error *err);
/* Closes what is open; the process must be dead. */
void worker_done(struct worker *w);

/* Why it did not get as far as its exec; false when it did. */
bool worker_setup_error(const struct worker *w, struct error *err);
