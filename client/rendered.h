/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a rendered integer, for all that shows, compares or hands out values. */
#pragma once

#include "base/buf.h"
#include "client/schema.h"

/*
 * Appends what the field's rendering makes of v, the two's complement of a negative value; not
 * escaped (names of enumerations are the gadget's). Not for RENDER_TIMESTAMP, which needs a clock
 * text (client/format.h).
 */
void rendered_append(struct buf *b, const struct schema_field *field, uint64_t v, bool is_negative);
