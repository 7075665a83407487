/* SPDX-License-Identifier: Apache-2.0 */
/* Printing the rows of an instance until it ends, the user stops it, the time is over, or nobody
 * reads any more. */
#pragma once

#include "gadgetctl/session.h"

struct follow_options {
        const char *instance;
        uint64_t tail;       /* rows of the past */
        uint64_t timeout_ns; /* after which we leave; 0 = never */
        bool is_owner;       /* the instance is ours: leaving stops it */
};

/* Returns the exit code. */
int follow(struct session *session, const struct args *args, const struct follow_options *options);
