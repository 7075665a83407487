/* SPDX-License-Identifier: Apache-2.0 */
/* One field's value of an event, for those who compare: filter and sort. */
#pragma once

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

enum value_type { VALUE_UINT, VALUE_INT, VALUE_FLOAT, VALUE_BYTES };

struct value {
        enum value_type type;
        union {
                uint64_t u;
                int64_t i;
                double f;
                struct bytes bytes; /* text up to its NUL, an address, or what an array holds */
        };
};

void value_field_init(struct value_field *v, const struct event_field *f);

/* Arrays of numbers come out as their bytes. What lies behind the event's end is zero. */
struct value value_of(const struct value_field *v, const uint8_t *event, uint32_t len,
                      uint64_t wall_offset);

/* -1, 0 or 1; numbers of any type compare by what they are worth. NaN is below everything. */
int value_compare(const struct value *a, const struct value *b);

/* The field called so, or whose rendered twin is called so; names do not care about case. NULL. */
const struct event_field *value_find_field(const struct event_type *type, const char *name,
                                           bool *ret_is_twin);

/* The name that a user may have meant, or NULL. */
const char *value_nearest_field(const struct event_type *type, const char *name);
