/* SPDX-License-Identifier: Apache-2.0 */
/* What the user wants done with the rows (include/gadget/run-options.h), as text per data source.
 */
#pragma once

#include "base/error.h"
#include "gadget/run-options.h"
#include "gadget/schema.h"

struct run_options {
        /* NULL = not given; copies when run_options_set() has put them there, which
         * run_options_done() frees */
        const char *values[_RUN_OPTION_MAX];
};

/* True for the key or alias of an option; ret may be NULL. */
bool run_option_from_key(const char *key, enum run_option *ret);

/* Stores one value. -ENOMEM. */
int run_options_set(struct run_options *o, enum run_option option, const char *value);
void run_options_done(struct run_options *o);

/* What `--OPTION.SOURCE VALUE` says, as `--OPTION SOURCE:VALUE` says it: each part of the value
 * with the name in front, behind what was given before (NULL = nothing). NULL when there is no
 * memory. */
char *run_option_for(enum run_option option, const char *before, const char *source,
                     const char *value);

/* A data source, as far as options care. */
struct run_source {
        const char *name;
        enum stream_kind kind;
};

/* What was given must be for a data source that there is, and of a kind that it acts on: sorting
 * the rows of a tracer, say, would silently do nothing. is_whole: all rows are there at once, those
 * of tracers too. */
int run_options_check(const struct run_options *o, const struct run_source *sources,
                      size_t n_sources, bool is_whole, struct error *err);

/*
 * The part of an option's value that is meant for this data source, as one string to be freed, or
 * NULL when there is none. Parts may begin with "source:"; those for all sources and those for this
 * one are joined as they were separated. `sources` are the names of all of them.
 */
int run_options_for_source(const struct run_options *o, enum run_option option, const char *source,
                           const char *const *sources, size_t n_sources, char **ret);
