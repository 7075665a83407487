/* SPDX-License-Identifier: Apache-2.0 */
/* Which system call a worker died of: its wait status does not say, the kernel's log often does
 * (the audit record of seccomp). */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/* The log from here on. fd, or -1 when this host shows none. */
int kmsg_open(void);

/* Says in err that the worker was ended by its filter, and for which call if the log has the record
 * in time. */
void kmsg_explain(int fd, pid_t worker, struct error *err);

/* Looks into one record; for kmsg_explain() and its test. False when it is not about this process.
 */
bool kmsg_parse(const char *record, pid_t worker, uint32_t *ret_arch, uint32_t *ret_nr);
