/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a pull or push as a pure table, as instance-state.h does it for instances. */
#pragma once

#include "base/util.h"

enum transfer_state {
        TRANSFER_IDLE,
        TRANSFER_RUNNING,   /* a fetcher works for it */
        TRANSFER_SWITCHING, /* this registry failed: its fetcher ends, then the next one is asked */
        TRANSFER_ENDING,    /* answered; the fetcher ends */
        TRANSFER_OVER,
        _TRANSFER_STATE_MAX,
};

enum transfer_event {
        TRANSFER_START,
        TRANSFER_SWITCH,   /* there is another registry to try */
        TRANSFER_FAULT,    /* the reason is stored already */
        TRANSFER_COMPLETE, /* everything is where it belongs */
        TRANSFER_EXITED,   /* no fetcher (any more) */
        _TRANSFER_EVENT_MAX,
};

/* _TRANSFER_STATE_MAX: this cannot happen. */
enum transfer_state transfer_state_next(enum transfer_state state, enum transfer_event event);
const char *transfer_state_name(enum transfer_state state);
