/* SPDX-License-Identifier: Apache-2.0 */
/* The client's half of a test of filters: what gadgetctl makes of a row that a worker has encoded.
 * In a file of its own, because headers of worker and client do not go together. */
#pragma once

#include "base/run-options.h"

/* Whether the encoded row of the first data source passes; a negative number and a message when the
 * option is refused. */
int replayed_passes(struct bytes schema, struct bytes row, enum run_option option, const char *text,
                    bool *ret, struct error *err);
