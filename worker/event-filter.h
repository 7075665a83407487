/* SPDX-License-Identifier: Apache-2.0 */
/* The user's filter (base/filter.h) on events as the kernel gave them, before they are encoded. */
#pragma once

#include "worker/gadget.h"

struct event_filter;

/* *ret is NULL when the run has no filter for this source. Nothing of g is needed afterwards. */
int event_filter_new(const struct gadget *g, const struct source *source, struct event_filter **ret,
                     struct error *err);
struct event_filter *event_filter_free(struct event_filter *f);

/* wall_offset is added to times of the boot clock. */
bool event_filter_passes(const struct event_filter *f, const uint8_t *event, uint32_t len,
                         uint64_t wall_offset);
