/* SPDX-License-Identifier: Apache-2.0 */
/* What the user wants done with the rows (include/gadget/run-options.h), as text per data source.
 */
#pragma once

#include "base/error.h"
#include "gadget/run-options.h"
#include "gadget/schema.h"
#include "worker/definition.h"

struct options {
        char *values[_RUN_OPTION_MAX]; /* NULL = not given */
};

/* True for the key or alias of an option; ret may be NULL. */
bool option_from_key(const char *key, enum run_option *ret);

/* Stores one value. -ENOMEM. */
int options_set(struct options *o, enum run_option option, const char *value);
void options_done(struct options *o);

/* A data source, as far as options care. */
struct option_source {
        const char *name;
        enum stream_kind kind;
};

/* What was given must be for a data source that there is, and of a kind that it acts on: sorting
 * the rows of a tracer, say, would silently do nothing. */
int options_check(const struct options *o, const struct option_source *sources, size_t n_sources,
                  struct error *err);

/*
 * The part of an option's value that is meant for this data source, as one string to be freed, or
 * NULL when there is none. Parts may begin with "source:"; those for all sources and those for this
 * one are joined as they were separated. `sources` are the names of all of them.
 */
int options_for_source(const struct options *o, enum run_option option, const char *source,
                       const char *const *sources, size_t n_sources, char **ret);
