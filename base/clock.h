/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks as nanoseconds. */
#pragma once

#include <time.h>

#include "base/util.h"

static inline uint64_t clock_ns(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static inline uint64_t now_ns(void) {
        return clock_ns(CLOCK_MONOTONIC);
}
