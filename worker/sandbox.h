/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that a worker may make; any other ends it (SECCOMP_RET_KILL_PROCESS). The second
 * set is a part of the first. */
#pragma once

#include "base/error.h"

enum sandbox_stage {
        SANDBOX_LOADING, /* from the first instruction of main() */
        SANDBOX_RUNNING, /* from READY on: at most about 20 calls */
};

/* may_read_maps: bpf() with the commands that read a map which the worker holds an fd of. Cannot be
 * taken back. */
int sandbox_enter(enum sandbox_stage stage, bool may_read_maps, struct error *err);
