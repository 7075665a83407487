/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At start: what gadgetd processes that were killed have left behind is ended and removed. The only
 * place that waits.
 */
#pragma once

struct supervisor;

/* Our run directory (whose lock we hold), and the private ones whose gadgetd is dead. */
void sweep(struct supervisor *sup);

/* At the end: the instances that did not end in time. */
void sweep_own(struct supervisor *sup);
