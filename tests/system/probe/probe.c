/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs in the worker's place, started by the real broker, and makes the one attempt that START
 * names as its image. It speaks the broker's protocol by hand, because many attempts are about
 * speaking it wrongly. What it survives it reports as a fault: "NAME: ERRNO", or "NAME: not
 * stopped".
 */
#include <stdio.h>

#include "base/error.h"
#include "tests/system/probe/probe.h"
#include "worker/sandbox.h"

static const struct {
        const char *name;
        enum attempt_stage stage;
        int (*func)(void);
} attempts[] = {
#define ATTEMPT_ROW(_name, _stage, _expect) { #_name, _stage, try_##_name },
        ATTEMPTS(ATTEMPT_ROW)
#undef ATTEMPT_ROW
};

static void report(const char *name, const char *result) {
        struct broker_fault fault = { .code = ERROR_DENIED };
        char text[128];

        fault.message_len = (uint32_t)snprintf(text, sizeof(text), "%s: %s", name, result);
        wire_tell(BROKER_FAULT, &fault, sizeof(fault), text, fault.message_len);
}

static int enter(enum attempt_stage stage) {
        struct error err;
        int r = 0;

        if (stage == FILTER || stage == STEADY)
                r = sandbox_enter(SANDBOX_LOADING, true, &err);
        if (r == 0 && stage == STEADY)
                r = sandbox_enter(SANDBOX_RUNNING, true, &err);
        return r;
}

int main(void) {
        const char *name = wire_start();

        for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
                int r;

                if (!str_eq(name, attempts[i].name))
                        continue;
                r = enter(attempts[i].stage);
                if (r < 0) {
                        report(name, "no filter");
                        return 1;
                }
                r = attempts[i].func();
                report(name, r < 0 ? strerrorname_np(-r) ?: "unknown errno" : "not stopped");
                return 1;
        }
        report(name, "unknown attempt");
        return 1;
}
