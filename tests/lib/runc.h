/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers by runc whose only program is tests/lib/netact.c: each with a network namespace of its
 * own, in which the loopback interface is up, or with that of another one, as in a pod.
 */
#pragma once

#include "tests/lib/env.h"

/* Makes and starts one, which sleeps, and waits until gadgetd, which must run, lists it. `pod`: the
 * container whose network it shares, NULL = none, "" = the host's; annotations: the members of a
 * JSON object, "" = none. */
void runc_start(struct env *env, const char *id, const char *pod, const char *annotations);

/* Makes one that is over at once: its first process is netact with these arguments. Whether that
 * fails is its own affair. */
void runc_run(struct env *env, const char *id, ...) __attribute__((sentinel));

/* Runs netact inside; for a server waits until it is ready. */
struct run *runc_server(struct env *env, const char *id, const char *verb, const char *arg1,
                        const char *arg2);
/* Runs netact inside to its end, which must be well. */
struct run *runc_act(struct env *env, const char *id, ...) __attribute__((sentinel));

pid_t runc_pid(struct env *env, const char *id);
uint64_t runc_netns(struct env *env, const char *id);

/* Kills what is in it and removes it. */
void runc_delete(struct env *env, const char *id);

/* cmocka fixture: deletes all that are left, then env_teardown(). */
int runc_teardown(void **state);
