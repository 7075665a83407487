/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's filter (options filter and filter-expr), compiled once against the fields of a data
 * source. The worker applies it to events before they are encoded, gadgetctl to rows of recordings
 * and of instances that run already; both mean the same by the same words.
 *
 *   terms        FIELD OP VALUE, ... all of which must hold. OP: == = != > >= < <= ~ !~ (matches,
 *                matches not). A comma of the value stands behind a backslash
 *   expression   the same comparisons, FIELD contains VALUE, FIELD [not] in (VALUE, ...), joined by
 *                and, or, not (&&, ||, !) and parentheses; text may stand in quotes. Several
 *                expressions with ';' between them must all hold
 *
 * A rendered value has two names: that of the number, and that of its text. Either compares with
 * numbers and with names of numbers ("sig==SIGUSR1"), durations and sizes ("4K"); the text matches
 * patterns. Time is bounded by the size of the row and of the expression: patterns never backtrack.
 */
#pragma once

#include "base/error.h"
#include "base/rendered.h"
#include "base/value.h"

/* A field as its owner knows it. Nothing of it is kept. */
struct filter_field {
        const char *name;
        const char *target; /* name of the rendered twin; NULL or "" = none */
        enum field_kind kind;
        enum field_kind elem;
        struct rendering rendering; /* without values, which come from enumerator() */
};

struct filter_source {
        const char *name;
        void *userdata;
        uint32_t n_fields;
        void (*field)(void *userdata, uint32_t i, struct filter_field *ret);
        /* The i-th value of a field's enumeration; false behind the last. */
        bool (*enumerator)(void *userdata, uint32_t field, uint32_t i, struct enum_value *ret);
        /* Another data source of the gadget has a field of this name: a term is for that one. */
        bool (*elsewhere)(void *userdata, const char *name);
};

struct filter;

/* Either may be NULL. *ret is NULL when no term is for this data source. */
int filter_new(const struct filter_source *source, const char *terms, const char *expression,
               struct filter **ret, struct error *err);
struct filter *filter_free(struct filter *f);
DEFINE_CLEANUP(struct filter, filter_free)

/* The value of a field of the row at hand. Strings of an array come as one, with a NUL or space
 * between them. */
typedef struct value (*filter_get)(const void *row, uint32_t field);

bool filter_passes(struct filter *f, filter_get get, const void *row);
