/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gadgetd may leave behind in the kernel: BPF programs, maps and links (by the kernel's own
 * id lists), cgroup directories, mounts, and processes. A snapshot before, a comparison afterwards.
 * Other programs on the machine may load BPF meanwhile: what a foreign live process still holds is
 * theirs and not counted.
 */
#pragma once

#include "base/util.h"

struct leaks;

/* Takes the snapshot; also makes the caller the reaper of its orphaned descendants
 * (PR_SET_CHILD_SUBREAPER), so that a process that lost its parent cannot hide. NULL when out of
 * memory. */
struct leaks *leaks_new(void);
struct leaks *leaks_free(struct leaks *leaks);

/* Waits until nothing is left of what came since the snapshot. 0, or -EBUSY with a line for each
 * leftover in text. */
int leaks_check(struct leaks *leaks, uint64_t timeout_ns, char *text, size_t n);
