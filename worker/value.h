/* SPDX-License-Identifier: Apache-2.0 */
/* One field's value of an event, for those who compare: filter and sort. */
#pragma once

#include "base/value.h"
#include "worker/container.h"
#include "worker/types.h"

/* What is needed of a field to find its value; a copy, since field tables do not live as long. */
struct value_field {
        enum field_kind kind;
        enum field_kind elem;
        uint32_t offset;
        uint32_t size;
        uint32_t n;
        uint32_t version_offset;
        bool is_boot_time;
        enum enrich enrich; /* the text that is made of what is there */
        uint32_t extra_offset;
        uint32_t added; /* not of the event but of its container */
        struct container_ids ids;
};

void value_field_init(struct value_field *v, const struct event_field *f);

/* Text ends at its NUL. Arrays of numbers come out as their bytes, arrays of strings with the NULs
 * between them. What lies behind the event's end is zero. */
struct value value_of(const struct value_field *v, const uint8_t *event, uint32_t len,
                      uint64_t wall_offset);

/* The field called so, or whose rendered twin is called so; names do not care about case. NULL. */
const struct event_field *value_find_field(const struct event_type *type, const char *name,
                                           bool *ret_is_twin);

/* The name that a user may have meant, or NULL. */
const char *value_nearest_field(const struct event_type *type, const char *name);
