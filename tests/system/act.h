/* SPDX-License-Identifier: Apache-2.0 */
/* Things that system tests do for a gadget to see, and parts of a test that several of them share.
 */
#pragma once

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)

/* An object of tests/system/gadgets as it was built. */
const char *act_object(const char *name);

/* Opens paths "/nonexistent/TAG/0", ... each time it is called, until the run shows one as a row;
 * returns the row. */
json_t *act_open_until_row(struct run *run, const char *tag);

/* Opens "/nonexistent/TAG/FIRST" to ".../FIRST+N-1", once each. */
void act_open_numbered(const char *tag, unsigned int first, unsigned int n);

/* Forks a child that waits. act_flood() lets it call getppid() n times and waits until it has;
 * act_end() reaps it. */
struct act_child {
        pid_t pid;
        int fd;
};
void act_fork(struct act_child *child);
void act_flood(struct act_child *child, uint64_t n);
void act_end(struct act_child *child);

/* `gadgetctl show NAME -o json`; the caller decrefs. */
json_t *act_show(struct env *env, const char *name);

/* Starts a gadget detached under this name with one `--pid PID`; pid 0 = without. Its exit code
 * must be 0. */
void act_detach(struct env *env, const char *gadget, const char *name, pid_t pid);
