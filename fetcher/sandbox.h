/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a fetcher gives up before it reads its first message: root, capabilities, the host's
 * files, most system calls. What is left: the network, three resolver files on a read-only tmpfs,
 * and the fds that gadgetd hands over.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

int sandbox_enter(uid_t uid, struct error *err);
