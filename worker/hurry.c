/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/hurry.h"

#include "base/clock.h"
#include "base/log.h"

static uint64_t deadline_ns = UINT64_MAX;
static bool is_told;

void hurry(uint64_t time_ns) {
        deadline_ns = now_ns() + time_ns;
        is_told = false;
}

bool hurry_is_over(void) {
        if (deadline_ns == UINT64_MAX || now_ns() < deadline_ns)
                return false;
        if (!is_told)
                log_warning("there is no time left to name all functions on stacks, leaving the "
                            "rest without");
        is_told = true;
        return true;
}
