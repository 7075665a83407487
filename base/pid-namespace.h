/* SPDX-License-Identifier: Apache-2.0 */
/* The pid namespace that we are in. No process can go to one above its own (setns(2)), so one that
 * starts in a container's stays there: docs/decisions/007. */
#pragma once

#include <stdbool.h>

/* Whether it is the host's, in which every process has a pid. Events have pids of that one. True,
 * too, where it cannot be told. */
bool pid_namespace_is_host(void);
