/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line of an OCI runtime (runc, crun, youki) says: `runc --root DIR create
 * --bundle DIR ID`. */
#pragma once

#include "base/util.h"

struct command_line {
        const char *runtime;
        const char *root;
        const char *bundle;
        const char *id;
        bool makes_container; /* run or create */
};

/* text: len bytes, each argument with its NUL, at least one. Results point into it. */
void command_line_parse(char *text, size_t len, struct command_line *ret);
