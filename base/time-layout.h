/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as a layout says, which is an example: how the second of January 2006, 15:04:05 in a time
 * zone seven hours behind UTC, would be written ("2006-01-02 15:04:05.000", "Jan _2 3:04PM").
 */
#pragma once

#include "base/buf.h"

/* ns since the epoch, in the time zone of this process. What means nothing in a layout stands for
 * itself. */
void time_layout_append(struct buf *b, const char *layout, uint64_t ns);
