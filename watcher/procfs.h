/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says of a process. Everything is gone when the process is: -ESRCH or -ENOENT. */
#pragma once

#include <sys/types.h>

#include "base/util.h"

/* Inode of /proc/PID/ns/WHICH. pid 0 = ourselves. */
int proc_namespace(pid_t pid, const char *which, uint64_t *ret);

/* Path of the cgroup: that of cgroup2 unless it is the root, else the first other one that is not;
 * "/" when all are. */
int proc_cgroup(pid_t pid, char *buf, size_t n);

/* Parent, and when it began (CLOCK_REALTIME). */
int proc_parent(pid_t pid, pid_t *ret_parent, uint64_t *ret_started_ns);

/* Arguments, each with its NUL; returns how many bytes there are. */
ssize_t proc_arguments(pid_t pid, char *buf, size_t n);

/* /proc/PID/ns/net, and the inode of what was opened. fd or -errno. */
int proc_open_netns(pid_t pid, uint64_t *ret_id);

/* /proc/PID/root, O_PATH. fd or -errno. */
int proc_open_root(pid_t pid);

/* Which directory that is. */
int proc_root(pid_t pid, uint64_t *ret_dev, uint64_t *ret_ino);

/* The arguments of a process that sleeps in execve(), of what it is about to execute. -EAGAIN: it
 * does not sleep yet; -ENOENT: it is elsewhere; -E2BIG. It may change them meanwhile: a hint, no
 * fact.
 */
ssize_t proc_exec_arguments(pid_t pid, char *buf, size_t n);

/* Target of /proc/PID/exe or cwd. */
int proc_link(pid_t pid, const char *which, char *buf, size_t n);
