/* SPDX-License-Identifier: Apache-2.0 */
/* One value of a row, wherever the row comes from, for those who compare: filters and sorting. */
#pragma once

#include "base/util.h"

enum value_type {
        VALUE_NONE, /* there is none */
        VALUE_UINT,
        VALUE_INT,
        VALUE_FLOAT,
        VALUE_BYTES,
};

struct value {
        enum value_type type;
        union {
                uint64_t u;
                int64_t i;
                double f;
                struct bytes bytes; /* text, or an address */
        };
};

static inline bool value_is_number(const struct value *v) {
        return v->type == VALUE_UINT || v->type == VALUE_INT || v->type == VALUE_FLOAT;
}

/* -1, 0 or 1; numbers of any type compare by what they are worth, exactly where both are integers.
 * NaN is below every number, numbers are below bytes, and what is not there is below everything. */
int value_compare(const struct value *a, const struct value *b);
