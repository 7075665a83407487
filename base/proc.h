/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program with exactly the fds that a table names: fork, new session (Ctrl-C is not for
 * children), default signals, dup2 to numbered fds, close the rest, exec. Only async-signal-safe
 * calls happen between fork and exec. The child's environment is empty unless given.
 */
#pragma once

#include <sys/types.h>

#include "base/util.h"

#define PROC_FDS_MAX 16

struct proc_spec {
        const char *path;        /* or exe_fd */
        int exe_fd;              /* > 0: executed by execveat(); path is argv[0] only */
        const char *const *argv; /* NULL: { path, NULL } */
        const char *const *envp; /* NULL: empty */
        int fds[PROC_FDS_MAX];   /* fds[n] becomes fd n; <= 0: none (/dev/null for 0, 1, 2) */
        bool keep_stderr;        /* fd 2 stays what it is here */
        const int *cgroup_procs; /* cgroup.procs fds into which the child writes itself */
        size_t n_cgroup_procs;
        int death_signal; /* PR_SET_PDEATHSIG, 0 = none */
};

/* ret_pidfd is owned by the caller. Negative errno also when the exec itself failed. */
int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_pidfd);

/* Describes a wait status: "exited with status 3", "killed by SIGSYS". buf of 64 is enough. */
const char *proc_status_text(int status, char *buf, size_t n);
