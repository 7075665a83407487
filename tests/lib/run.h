/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program under test: started with its output going to files, waited for with deadlines. What
 * goes wrong fails the running cmocka test and shows the output so far; whoever owns the run
 * (struct env) frees it, since a failing test jumps out.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "base/util.h"

struct run;

struct run_spec {
        const char *const *argv; /* argv[0] is looked up in PATH unless it has a slash */
        const char *dir;         /* where the output files are made */
        const char *cwd;         /* NULL = ours */
        uid_t uid;               /* also the gid; 0 = ours */
        int stdout_fd; /* > 0: standard output goes there (borrowed) and run_out() stays empty */
};

struct run *run_new(const struct run_spec *spec);
struct run *run_free(struct run *run); /* kills it when it still runs */

pid_t run_pid(const struct run *run);
bool run_is_alive(struct run *run);
void run_signal(struct run *run, int signal);

/* Waits for the end: exit code, or 128 + signal. */
int run_exit(struct run *run);
int run_exit_within(struct run *run, uint64_t timeout_ns);

/* What it has written so far; valid until the next call for this run. */
const char *run_out(struct run *run);
const char *run_err(struct run *run);
size_t run_out_size(struct run *run);

/* Wait until the text occurs. They also fail when the program ends without it. */
void run_wait_out(struct run *run, const char *text);
void run_wait_err(struct run *run, const char *text);

/* Waits for a line of JSON output whose field (dotted: "proc.comm") has this text as value; the run
 * owns the object. Fields that are numbers compare by their decimal text. */
json_t *run_wait_row(struct run *run, const char *field, const char *value);

/* All rows written so far, or NULL when some whole line is no JSON object; the caller decrefs. */
json_t *run_rows(struct run *run);

/* The field of a row: by its dotted name, or by nested objects; NULL when absent. */
json_t *row_get(const json_t *row, const char *field);
const char *row_str(const json_t *row,
                    const char *field); /* fails the test when absent or no string */
json_int_t row_int(const json_t *row, const char *field); /* likewise */

/* Fails the test and shows the output of the run. */
void run_fail(struct run *run, const char *fmt, ...) PRINTF_LIKE(2, 3) __attribute__((noreturn));
