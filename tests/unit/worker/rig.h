/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's code without a broker: host.h is answered by rig.c in this very process, which is
 * root where a test loads anything. What the worker writes to the event ring is read back here.
 */
#pragma once

#include "ipc/mp.h"
#include "ipc/ring.h"
#include "worker/gadget.h"
#include "worker/run.h"

struct rig {
        struct host_start start;
        struct gadget gadget;
        struct run run;
        struct ring_reader reader;
        struct ring_cursor cursor;
        struct error err;
        char *detail;
        uint8_t params[4096];
        uint8_t *frame; /* room for one frame */
        struct ring_frame current;
        struct mp_reader rows; /* of the current frame that are not read yet */
        uint32_t n_rows;
};

/* Reads a test gadget's object: "tests/gadgets/all_types" in the build directory. Fails the test.
 */
struct bytes rig_object(const char *name);

/* Opens the object with this definition (NULL = none); `ring_size` bytes of event ring. Result of
 * gadget_open(). */
int rig_open(struct rig *rig, struct bytes object, const char *definition, size_t ring_size);

/* Adds a parameter before rig_start(). */
void rig_param(struct rig *rig, const char *key, const char *value);

/* Loads, maps the buffers, attaches; the first failure's result. */
int rig_start(struct rig *rig);

/* The next row of any stream, draining the gadget once if there is none: 1 and its fields, or 0. */
int rig_next_row(struct rig *rig, unsigned int *ret_stream, struct mp_reader *ret_fields);

/* What the run loop finds at the broker's: a stop, or nothing. */
void rig_host_says(enum host_event event);

void rig_done(struct rig *rig);
