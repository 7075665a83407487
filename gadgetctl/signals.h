/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP: counted, and an fd becomes readable, so that no wait misses one.
 * SIGPIPE is ignored. */
#pragma once

#include <signal.h>
#include <stdbool.h>

int signals_init(void); /* 0 or -errno */
int signals_fd(void);   /* readable from the first signal on */

/* How often the user has asked to stop. */
extern volatile sig_atomic_t signals_count;

/* True for the failure of a wait that a signal has ended: what the user knows already. */
bool signals_interrupted(int r);

/* 128 + the signal, as a shell says it of a program that it killed. */
int signals_exit_code(void);
