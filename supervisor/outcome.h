/* SPDX-License-Identifier: Apache-2.0 */
/* Why an instance is over, for whoever asks: the first failure stays, and a failure outweighs a
 * wish. */
#pragma once

#include "base/error.h"

enum outcome_cause {
        CAUSE_NONE,
        CAUSE_STOPPED,  /* by a user */
        CAUSE_SHUTDOWN, /* gadgetd ends */
        CAUSE_TIMEOUT,  /* the time that the user gave */
        CAUSE_FINISHED, /* the gadget came to its end */
        CAUSE_FAILED,
};

struct outcome {
        enum outcome_cause cause;
        struct error error; /* of CAUSE_FAILED */
        char *detail;       /* several lines, NULL = none */
};

/* Notes a wish; ignored when there is a cause already. */
void outcome_wish(struct outcome *outcome, enum outcome_cause cause);

/* Notes a failure; only the first counts. detail (cut at the front) may be NULL. */
void outcome_fail(struct outcome *outcome, const struct error *error, const char *detail);

/* "stopped", "shutdown", "timeout", "finished", "failed", "" = not over. */
const char *outcome_cause_name(const struct outcome *outcome);

void outcome_done(struct outcome *outcome);
