/* SPDX-License-Identifier: Apache-2.0 */
/* The user's filter (base/filter.h) on rows that come from gadgetd or from a recording. */
#pragma once

#include "client/row.h"

struct row_filter;

/* Terms and expression are those for this data source, NULL = none. *ret is NULL when nothing is
 * filtered. */
int row_filter_new(const struct schema *schema, const struct schema_stream *stream,
                   const char *terms, const char *expression, struct row_filter **ret,
                   struct error *err);
struct row_filter *row_filter_free(struct row_filter *filter);
DEFINE_CLEANUP(struct row_filter, row_filter_free)

bool row_filter_passes(struct row_filter *filter, const struct row *row);
