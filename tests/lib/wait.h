/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a fact with a deadline. A test never sleeps and hopes: it names what it waits for. */
#pragma once

#include <sys/types.h>

#include "base/clock.h"
#include "base/util.h"

/* Long enough for a loaded machine with a sanitizer; a test that meets its deadline never waits
 * this long. */
#define WAIT_DEFAULT (20 * NSEC_PER_SEC)

/* State of one wait; WAIT_UNTIL hides it. */
struct wait {
        uint64_t deadline_ns;
        uint64_t pause_ns;
};

#define WAIT_INIT(_timeout_ns) ((struct wait){ now_ns() + (_timeout_ns), NSEC_PER_MSEC / 4 })

/* Pauses before the next look; false when the deadline has passed. */
bool wait_again(struct wait *wait);

/* Evaluates _condition again and again until it holds (true) or the time is over (false). */
#define WAIT_UNTIL(_condition, _timeout_ns)                                                        \
        ({                                                                                         \
                struct wait _wait = WAIT_INIT(_timeout_ns);                                        \
                bool _holds = (_condition);                                                        \
                while (!_holds && wait_again(&_wait))                                              \
                        _holds = (_condition);                                                     \
                _holds;                                                                            \
        })

/* Reaps our child. 0 and its wait status, or -ETIMEDOUT. */
int wait_child(pid_t pid, uint64_t timeout_ns, int *ret_status);

/* poll(POLLIN). 0, or -ETIMEDOUT. A hang-up counts as readable. */
int wait_readable(int fd, uint64_t timeout_ns);
