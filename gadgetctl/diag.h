/* SPDX-License-Identifier: Apache-2.0 */
/* What gadgetctl says on standard error. Everything is escaped: messages quote images, gadgets and
 * daemons. */
#pragma once

#include "base/error.h"
#include "client/connection.h"
#include "gadgetctl/command.h"

/* "gadgetctl: ..." */
void diag(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Lines of a longer explanation, indented. */
void diag_detail(const char *text);

/* Says what failed, with the hint and detail of a connection (NULL = none) when gadgetd answered
 * so; returns the exit code. */
int diag_failure(const struct error *err, int r, const struct connection *connection);

/* The exit code that an error code stands for. */
int exit_code_of(const struct error *err, int r);
