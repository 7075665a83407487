/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a rendered integer, for all that shows, compares or hands out values. */
#pragma once

#include "base/buf.h"
#include "gadget/schema.h"

struct enum_value {
        const char *name;
        int64_t value;
};

/* How integers of a field are rendered. */
struct rendering {
        enum field_render render;
        /* RENDER_ENUM: */
        bool is_set;           /* values are bits that may stand together */
        const char *separator; /* between the names of a set; NULL = "|" */
        const struct enum_value *values;
        size_t n_values;
        /* RENDER_TIMESTAMP: */
        const char *layout; /* base/time-layout.h; NULL = the usual one */
};

/* What a value is called that its enumeration has no name for. */
#define RENDERED_UNKNOWN "UNKNOWN"

/*
 * Appends what the rendering makes of v, the two's complement of a negative value; not escaped
 * (names of enumerations and layouts are the gadget's). Not for RENDER_TIMESTAMP without a layout,
 * which needs a clock text (base/format.h).
 */
void rendered_append(struct buf *b, const struct rendering *rendering, uint64_t v,
                     bool is_negative);
