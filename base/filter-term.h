/* SPDX-License-Identifier: Apache-2.0 */
/* One comparison of a field with a literal. Inside of base/ only. */
#pragma once

#include "base/filter.h"
#include "base/pattern.h"

enum term_op {
        TERM_EQ,
        TERM_NE,
        TERM_GT,
        TERM_GE,
        TERM_LT,
        TERM_LE,
        TERM_MATCH,
        TERM_NO_MATCH,
        TERM_CONTAINS,
        _TERM_OP_MAX,
};
extern const char *const term_op_names[_TERM_OP_MAX];

struct term {
        uint32_t field;
        enum field_kind kind;
        enum term_op op;
        bool by_text;               /* the value's text is compared, as people read it */
        struct rendering rendering; /* of the text; NONE = the value itself */
        struct value literal;
        char *text; /* what literal.bytes points to */
        struct pattern *pattern;
        struct enum_value *values; /* what rendering.values points to, with copied names */
};

/* Finds the field and reads the literal. *ret_is_elsewhere: only other data sources have the field,
 * nothing else was done. `what` is the option, for messages. term_done() is due in any case. */
int term_init(struct term *t, const struct filter_source *source, const char *what,
              const char *name, enum term_op op, const char *text, bool *ret_is_elsewhere,
              struct error *err);
void term_done(struct term *t);

/* scratch is for texts that have to be made. */
bool term_holds(const struct term *t, const struct value *v, struct buf *scratch);
