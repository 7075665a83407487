/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the daemon on standard output, as -o says. */
#pragma once

#include "gadgetctl/object.h"
#include "gadgetctl/session.h"
#include "gadgetctl/table.h"

/* Calls a listing method and prints its items. session_flags as for session_open(). */
typedef void (*add_row_func)(struct table *table, struct bytes item);
int print_listing(const struct args *args, enum method method, int session_flags,
                  const char *const *headers, size_t n_headers, add_row_func add_row);

/* One encoded object; YAML unless -o says otherwise. */
int print_object(const struct args *args, struct bytes object);

/* Flushes and frees; the exit code (a reader that has gone is no failure). */
int print_end(struct out *out);
