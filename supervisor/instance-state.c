/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/instance-state.h"

#include <assert.h>

#define NONE _INSTANCE_STATE_MAX
#define IDLE INSTANCE_IDLE
#define FETCHING INSTANCE_FETCHING
#define STARTING INSTANCE_STARTING
#define RUNNING INSTANCE_RUNNING
#define STOPPING INSTANCE_STOPPING
#define KILLING INSTANCE_KILLING
#define BACKOFF INSTANCE_BACKOFF
#define DONE INSTANCE_DONE
#define FAILED INSTANCE_FAILED

/*
 * NONE = cannot happen. A state with a worker is left for good only by EXITED, STOP is accepted
 * wherever something can still be stopped, and a worker appears only through STARTING
 * (tests/property/test-instance-state.c checks all cells).
 */
/* clang-format off */
static const uint8_t next_state[_INSTANCE_STATE_MAX][_INSTANCE_EVENT_MAX] = {
        /*              START     IMAGE_READY  WORKER_READY  FAULT    STOP      EXITED   TIMEOUT  */
        [IDLE]     = {  FETCHING, NONE,        NONE,         NONE,    DONE,     NONE,    NONE     },
        [FETCHING] = {  NONE,     STARTING,    NONE,         FAILED,  DONE,     NONE,    FAILED   },
        [STARTING] = {  NONE,     NONE,        RUNNING,      KILLING, STOPPING, FAILED,  KILLING  },
        [RUNNING]  = {  NONE,     NONE,        NONE,         KILLING, STOPPING, BACKOFF, STOPPING },
        [STOPPING] = {  NONE,     NONE,        STOPPING,     KILLING, STOPPING, DONE,    KILLING  },
        [KILLING]  = {  NONE,     NONE,        KILLING,      KILLING, KILLING,  FAILED,  NONE     },
        [BACKOFF]  = {  NONE,     NONE,        NONE,         NONE,    DONE,     NONE,    STARTING },
        [DONE]     = {  NONE,     NONE,        NONE,         NONE,    NONE,     NONE,    NONE     },
        [FAILED]   = {  FETCHING, NONE,        NONE,         NONE,    DONE,     NONE,    NONE     },
};
/* clang-format on */

enum instance_state instance_state_next(enum instance_state state, enum instance_event event) {
        assert(state < _INSTANCE_STATE_MAX && event < _INSTANCE_EVENT_MAX);
        return next_state[state][event];
}

bool instance_state_has_worker(enum instance_state state) {
        return state == STARTING || state == RUNNING || state == STOPPING || state == KILLING;
}

bool instance_state_is_final(enum instance_state state) {
        return state == DONE || state == FAILED;
}

const char *instance_state_name(enum instance_state state) {
        static const char *const names[_INSTANCE_STATE_MAX] = {
                [IDLE] = "idle",       [FETCHING] = "fetching", [STARTING] = "starting",
                [RUNNING] = "running", [STOPPING] = "stopping", [KILLING] = "killing",
                [BACKOFF] = "backoff", [DONE] = "done",         [FAILED] = "failed",
        };

        assert(state < _INSTANCE_STATE_MAX);
        return names[state];
}

const char *instance_event_name(enum instance_event event) {
        static const char *const names[_INSTANCE_EVENT_MAX] = {
                [EVENT_START] = "start",
                [EVENT_IMAGE_READY] = "image-ready",
                [EVENT_WORKER_READY] = "worker-ready",
                [EVENT_FAULT] = "fault",
                [EVENT_STOP] = "stop",
                [EVENT_EXITED] = "exited",
                [EVENT_TIMEOUT] = "timeout",
        };

        assert(event < _INSTANCE_EVENT_MAX);
        return names[event];
}
