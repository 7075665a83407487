/* SPDX-License-Identifier: Apache-2.0 */
/* What gadget-watch and its parser give up. */
#pragma once

#include "base/error.h"

/* Keeps what reading foreign namespaces, cgroups and runtimes' files takes; the rest goes, and a
 * seccomp filter follows. */
int sandbox_watch(struct error *err);

/* For the parser: everything goes. fd is all that stays open, apart from the log. */
int sandbox_parser(int fd);
