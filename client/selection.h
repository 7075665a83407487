/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user wants of rows that have left their worker: filter, sort and limit of
 * include/gadget/run-options.h, between the arrival of rows and their printing.
 */
#pragma once

#include "base/run-options.h"
#include "client/row.h"

/* Rows of one array that are held for sorting; what is beyond is left out and counted. */
#define SELECTION_HELD_MAX (256u << 20)

struct selection;

/* Of the options filter, filter-expr, sort and max-entries are looked at. is_whole: there is an end
 * (a recording), so that rows of tracers can be sorted as well. schema is borrowed. -EINVAL says
 * what is wrong with an option. */
int selection_new(const struct schema *schema, const struct run_options *options, bool is_whole,
                  struct selection **ret, struct error *err);
struct selection *selection_free(struct selection *selection);
DEFINE_CLEANUP(struct selection, selection_free)

/* Takes rows as render_rows() does; negative = stop. */
typedef int64_t (*selection_sink)(void *userdata, uint32_t source, uint32_t flags,
                                  struct bytes rows);

/* Hands on what of these rows is wanted, now or with a later frame. -EBADMSG: not rows of this
 * schema; or what the sink has returned. */
int selection_add(struct selection *selection, uint32_t source, uint32_t flags, struct bytes rows,
                  selection_sink sink, void *userdata);

/* At the end: hands on what was held of tracers. */
int selection_end(struct selection *selection, selection_sink sink, void *userdata);

/* Rows that were left out because too many were held. */
uint64_t selection_n_limited(const struct selection *selection);
