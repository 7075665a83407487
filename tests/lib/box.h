/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A "container" without an image: a child in mount, pid, net, ipc and uts namespaces of its own
 * (and in a cgroup2 of its own where there is one), that runs functions of this test when told to.
 */
#pragma once

#include <sys/types.h>

#include "base/util.h"

struct box;

/* Forks by clone3; the child is pid 1 in its pid namespace and has /proc of it. */
int box_new(struct box **ret);
struct box *box_free(struct box *box); /* kills everything inside */
DEFINE_CLEANUP(struct box, box_free)

pid_t box_pid(const struct box *box);                             /* as seen here */
uint64_t box_namespace(const struct box *box, const char *which); /* inode of /proc/PID/ns/WHICH */

/* Runs func(arg) inside, as a forked child of the box's pid 1, and returns its result. Memory is as
 * it was when the box was made; arg is copied (n bytes, at most 4096). ret_pid: the child's pid as
 * seen here, may be NULL. */
int box_call(struct box *box, int (*func)(const void *arg), const void *arg, size_t n,
             pid_t *ret_pid);
