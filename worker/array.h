/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that belong together: a map or an iterator read once. Clients see where an array begins and
 * ends (EVENT_FRAME_SNAPSHOT, EVENT_FRAME_END), also when it is empty. Sorting and the limit on
 * rows happen here; what the limit leaves out is counted. An array may be larger than the event
 * ring, and comes at once: the reader is given time to keep up.
 */
#pragma once

#include "worker/rows.h"
#include "worker/value.h"

#define SORT_KEYS_MAX 8

struct sort_key {
        struct value_field field;
        bool is_descending;
};

struct array {
        struct rows rows;
        struct sort_key keys[SORT_KEYS_MAX];
        size_t n_keys;
        uint64_t max_rows; /* UINT64_MAX = all */
        /* while it is open: */
        struct batch batch;
        uint64_t n_rows;
        uint64_t pause_at; /* position in the event ring */
        uint32_t *lens;    /* events held for sorting, each with room for the whole type */
        uint8_t *held;
        size_t n_held;
        size_t room_held;
};

int array_init(struct array *a, const struct gadget *g, uint16_t stream,
               const struct ring_writer *out, struct error *err);
void array_done(struct array *a);

void array_begin(struct array *a, const struct drain *d);
void array_add(struct array *a, struct drain *d, const uint8_t *event, uint32_t len);
void array_end(struct array *a, struct drain *d);
