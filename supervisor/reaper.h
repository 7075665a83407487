/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that waits for children. gadgetd is a subreaper: a worker whose broker was killed
 * becomes its child, and is waited for here like any other.
 */
#pragma once

struct supervisor;

int reaper_init(void);

/* SIGCHLD has come: hands each broker's status to its instance, forgets all others. */
void reaper_run(struct supervisor *sup);
