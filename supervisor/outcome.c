/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/outcome.h"

#include "gadget/api.h"

void outcome_wish(struct outcome *outcome, enum outcome_cause cause) {
        if (outcome->cause == CAUSE_NONE)
                outcome->cause = cause;
}

/* The last LIMIT_ERROR_DETAIL_MAX bytes, from the beginning of a line. */
static char *dup_tail(const char *text) {
        size_t n = strlen(text);
        const char *from, *line;

        if (n <= LIMIT_ERROR_DETAIL_MAX)
                return strdup(text);
        from = text + n - LIMIT_ERROR_DETAIL_MAX;
        line = strchr(from, '\n');
        return strdup(line ? line + 1 : from);
}

void outcome_fail(struct outcome *outcome, const struct error *error, const char *detail) {
        if (outcome->cause == CAUSE_FAILED)
                return;
        outcome->cause = CAUSE_FAILED;
        outcome->error = *error;
        if (detail && detail[0] != '\0')
                outcome->detail = dup_tail(detail); /* out of memory: told without */
}

const char *outcome_cause_name(const struct outcome *outcome) {
        switch (outcome->cause) {
        case CAUSE_NONE:
                return "";
        case CAUSE_STOPPED:
                return "stopped";
        case CAUSE_SHUTDOWN:
                return "shutdown";
        case CAUSE_TIMEOUT:
                return "timeout";
        case CAUSE_FINISHED:
                return "finished";
        case CAUSE_FAILED:
                return "failed";
        }
        return "";
}

void outcome_done(struct outcome *outcome) {
        free(outcome->detail);
        *outcome = (struct outcome){};
}
