/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real container that runc has made, with a name and namespaces of its own, that runs functions
 * of this test: in a forked child that has joined it, as by `runc exec`. For tests of what has a
 * container's name; tests/lib/box.h needs no runc.
 */
#pragma once

#include "tests/lib/env.h"

struct pod;

/* Starts a container of this name and waits until gadgetd, which must run, lists it by its name.
 * Fails the test when it cannot. pod_teardown() ends it. */
struct pod *pod_new(struct env *env, const char *name);

/* cmocka fixture: ends all pods of this test, then env_teardown(). */
int pod_teardown(void **state);

/* Ends it now. */
void pod_stop(struct pod *pod);

pid_t pod_pid(const struct pod *pod);
uint64_t pod_namespace(const struct pod *pod, const char *which); /* inode of /proc/PID/ns/WHICH */

/* Starts func(arg) in a child inside; arg is shared only if it lies in memory of pod_shared(). */
pid_t pod_start(struct pod *pod, int (*func)(void *arg), void *arg);

/* As pod_start(), and waits: the function must return 0. ret_pid: the child's pid, may be NULL. */
void pod_call(struct pod *pod, int (*func)(void *arg), void *arg, pid_t *ret_pid);

/* Zeroed memory that children share with the test, until it ends. */
void *pod_shared(size_t n);

/* A pair of interfaces between two pods, "pair0" in each: 10.77.0.1 and fd77::1 in the first,
 * 10.77.0.2 and fd77::2 in the second. */
void pod_join(struct pod *first, struct pod *second);

/* Runs a shell command in the pod's network namespace with the programs of the host. */
void pod_ip(struct pod *pod, const char *command);

/* Test and children hand over to each other by a number in memory of pod_shared() that only grows;
 * false = it did not get there in time. */
void pod_step_set(int *at, int step);
bool pod_step_wait(const int *at, int step);

/* The local port of a socket; 0 = it has none. */
uint16_t pod_port_of(int fd);
