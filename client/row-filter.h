/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's filter over encoded rows, for rows that no worker filters any more: those of a
 * recording, and those of an instance that somebody else has started. The language is that of
 * include/gadget/run-options.h. Patterns are POSIX extended expressions without back-references, so
 * that no text can make one slow.
 */
#pragma once

#include "client/row.h"

struct row_filter;

/*
 * Compiles both forms for one stream; text NULL = none of this form. *ret is NULL when nothing of
 * it speaks of this stream. -EINVAL says what is wrong. `schema` and the stream are borrowed.
 */
int row_filter_new(const struct schema *schema, const struct schema_stream *stream,
                   const char *terms, const char *expression, struct row_filter **ret,
                   struct error *err);
struct row_filter *row_filter_free(struct row_filter *filter);
DEFINE_CLEANUP(struct row_filter, row_filter_free)

bool row_filter_passes(struct row_filter *filter, const struct row *row);
