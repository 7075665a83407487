/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gadgetd of its own for each test: a temporary root whose usr/ leads to the staged installation,
 * the real daemon and gadgetctl, and a teardown that fails the test when anything is left behind
 * (tests/lib/leaks.h).
 *
 *     cmocka_unit_test_setup_teardown(test_something, env_setup, env_teardown)
 *
 * Everything started through an env is ended by its teardown, also after a failed assertion.
 */
#pragma once

#include "tests/lib/leaks.h"
#include "tests/lib/needs.h"
#include "tests/lib/run.h"
#include "tests/lib/wait.h"

#define ENV_RUNS_MAX 256

struct env {
        char root[64];
        struct leaks *leaks;
        struct run *daemon;
        char *log;                      /* what earlier daemons of this test have written */
        struct run *runs[ENV_RUNS_MAX]; /* started by env_run() and others */
        size_t n_runs;
};

/* cmocka fixtures; *state is the struct env. */
int env_setup(void **state);
int env_teardown(void **state);

/* Where the build tree's installation is: the directory that --root programs see as /. */
const char *env_stage(void);

/* "ROOT/etc/gadgetd/..." and so on; four results stay valid at a time. */
const char *env_path(const struct env *env, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Starts gadgetd with more arguments (NULL-terminated) and waits until it listens. */
void env_start(struct env *env, ...) __attribute__((sentinel));

/* SIGTERM; the daemon must end with 0 in time. */
void env_stop(struct env *env);

/* Starts gadgetctl with these arguments. */
struct run *env_run(struct env *env, ...) __attribute__((sentinel));
struct run *env_run_argv(struct env *env, const char *const *args);

/* As env_run_argv(), with its standard output going to this fd (borrowed). */
struct run *env_run_to(struct env *env, int stdout_fd, const char *const *args);

/* As env_run(), as this user. */
struct run *env_run_as(struct env *env, uid_t uid, ...) __attribute__((sentinel));

/* Any other program. */
struct run *env_exec(struct env *env, ...) __attribute__((sentinel));

/* Runs gadgetctl to its end and asserts the exit code. */
struct run *env_ctl(struct env *env, int exit_code, ...) __attribute__((sentinel));

/* Runs gadgetctl, expects 0 and JSON on stdout; the caller decrefs. */
json_t *env_ctl_json(struct env *env, ...) __attribute__((sentinel));

/* Waits until `gadgetctl list` shows this instance in this state ("gone" = not listed any more). */
void env_wait_state(struct env *env, const char *name, const char *state);

/* gadgetctl attach NAME -o json; gets every row from here on. */
struct run *env_attach(struct env *env, const char *name);

/* A stream connection to gadgetd.sock that has said nothing yet. */
int env_connect(struct env *env);

/* Open descriptors and children of the daemon, for before-and-after comparisons (with --no-spare: a
 * spare comes and goes when it likes). */
size_t env_daemon_fds(struct env *env);
pid_t env_child(struct env *env, pid_t parent,
                const char *comm); /* first child of that name, 0 = none */
