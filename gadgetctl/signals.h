/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP: counted, and an fd becomes readable, so that no wait misses one.
 * SIGPIPE is ignored. */
#pragma once

#include <signal.h>

int signals_init(void); /* 0 or -errno */
int signals_fd(void);   /* readable from the first signal on */

/* How often the user has asked to stop. */
extern volatile sig_atomic_t signals_count;
