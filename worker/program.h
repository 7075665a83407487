/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field program: an event type compiled once into a list of small steps that turn one event of
 * the kernel into one row (a msgpack array), straight into the event ring. It is the inner loop of
 * a worker: no calls through pointers, no allocation, no look-up of names.
 */
#pragma once

#include "worker/container.h"
#include "worker/types.h"

struct step {
        uint8_t code;    /* enum step_code in program.c */
        uint8_t elem;    /* arrays: code of one element */
        uint16_t stride; /* arrays: bytes of one element */
        uint32_t offset; /* in the event */
        uint32_t n; /* text, strings: bytes; arrays: elements; addresses: offset of the version */
        uint32_t extra; /* of struct enrich_from */
};

struct program {
        struct container_ids ids[CONTAINER_GROUPS_MAX]; /* whose fields a row ends with */
        struct step *steps;
        size_t n_steps;
        uint32_t event_size; /* of the type; longer events are none of it */
        uint32_t fixed_size; /* so much must be there; what is missing of a text at the end counts
                                as empty */
        uint32_t row_max;    /* no row is longer; room for it is needed before program_run() */
        uint8_t header[3];   /* msgpack array header of a row */
        uint8_t header_len;
};

int program_init(struct program *p, const struct event_type *type);
void program_done(struct program *p);

/* Encodes one event of len bytes (fixed_size to event_size) to `out`, which has room for row_max
 * bytes; returns the end of the row. wall_offset is added to times that are not 0. */
uint8_t *program_run(const struct program *p, const uint8_t *event, uint32_t len,
                     uint64_t wall_offset, uint8_t *out);
