/* SPDX-License-Identifier: Apache-2.0 */
/* The table as text: --help, usage errors, and the reStructuredText that the man pages include. */
#pragma once

#include "client/schema.h"
#include "gadgetctl/command.h"

/* is_error: on standard error, and EXIT_USAGE. */
int help_all(bool is_error);
int help_group(const char *word, bool is_error);
int help_command(const struct command *command);

/* What follows for `run IMAGE --help`. */
void help_params(const char *image, const struct schema *schema);

/* "all" or the name of a command ("image-list"). */
int help_dump_man(const char *what);
