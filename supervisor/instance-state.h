/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an instance as a pure table: which event leads from which state to which. No side
 * effects; the single setter and the entry actions are in instance.c and instance-enter.c. "Worker"
 * here is the broker with its worker.
 */
#pragma once

#include "base/util.h"

enum instance_state {
        INSTANCE_IDLE,     /* made, nothing started */
        INSTANCE_FETCHING, /* its image is being brought into memory */
        INSTANCE_STARTING, /* a broker exists; the gadget loads and attaches */
        INSTANCE_RUNNING,  /* rows may come */
        INSTANCE_STOPPING, /* asked to end; drains */
        INSTANCE_KILLING,  /* SIGKILL has been sent */
        INSTANCE_BACKOFF,  /* ended by itself; policy decides whether it comes again */
        INSTANCE_DONE,     /* over, as somebody wanted it */
        INSTANCE_FAILED,   /* over, because something went wrong */
        _INSTANCE_STATE_MAX,
};

enum instance_event {
        EVENT_START,
        EVENT_IMAGE_READY,
        EVENT_WORKER_READY,
        EVENT_FAULT, /* the gadget cannot go on; the reason is stored already */
        EVENT_STOP,
        EVENT_EXITED,  /* the broker is reaped, its last words are read, its cgroups are gone */
        EVENT_TIMEOUT, /* the deadline of the state, or the time that the user gave */
        _INSTANCE_EVENT_MAX,
};

/* The state that follows, or _INSTANCE_STATE_MAX: this cannot happen. */
enum instance_state instance_state_next(enum instance_state state, enum instance_event event);

/* True when a broker process belongs to this state. */
bool instance_state_has_worker(enum instance_state state);

/* True for DONE and FAILED. */
bool instance_state_is_final(enum instance_state state);

/* "running", "worker-ready"; never NULL. */
const char *instance_state_name(enum instance_state state);
const char *instance_event_name(enum instance_event event);
