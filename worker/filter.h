/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's filter (options filter and filter-expr), compiled once against the fields of a data
 * source and applied to each event as the kernel gave it, before it is encoded. Time is bounded by
 * the size of the event and of the expression: patterns never backtrack.
 */
#pragma once

#include "worker/gadget.h"

struct filter;

/* *ret is NULL when the run has no filter for this source. Nothing of g is needed afterwards. */
int filter_new(const struct gadget *g, const struct source *source, struct filter **ret,
               struct error *err);
struct filter *filter_free(struct filter *f);

/* wall_offset is added to times of the boot clock. */
bool filter_passes(const struct filter *f, const uint8_t *event, uint32_t len,
                   uint64_t wall_offset);
