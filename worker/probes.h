/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uprobes and USDT probes: in the host's programs when the gadget sees the host, and in those of
 * every container that it may see. A file that several have is one file, and has each probe once.
 * They go in when a container appears, and out when the last one that has the file ends; the broker
 * sees to the latter by itself. What a container's file says is read here, with limits; what cannot
 * be read is told, and left out.
 */
#pragma once

#include "worker/attach.h"

/* The program's hooks are files. It is attached by probes_begin(). */
int probes_add(struct gadget *g, const struct attach_plan *plan, struct error *err);

/* Into all that there is now. Fails for a program that was found nowhere, when the host is among
 * what the gadget sees: containers may still come. */
int probes_begin(const struct gadget *g, struct error *err);

/* A container has appeared, has another root directory (of another number), or has ended (0): noted
 * for probes_update(). */
void probes_on_container(uint64_t mntns, uint32_t root);
bool probes_have_work(void);
void probes_update(void);

void probes_done(void);
