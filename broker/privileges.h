/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker keeps: six capabilities and the system calls of a table, for good. */
#pragma once

#include "base/error.h"

int privileges_drop(struct error *err);

/* The gadget has no stacks, so that no process will be looked at. */
int privileges_drop_ptrace(void);
