/* SPDX-License-Identifier: Apache-2.0 */
/* How rows are printed when it is up to the gadget: its data sources may name a mode to begin with
 * and those that suit them (annotations cli.default-output-mode, cli.supported-output-modes). */
#pragma once

#include "client/render.h"

/* The mode that the user wants (NULL = any), which each data source must support, else -EINVAL.
 * Without a wish the first default of a data source decides, then columns, then what the first list
 * begins with. Nothing can be said against "none". Names of modes that are not ours are passed
 * over. */
int output_mode_choose(const struct schema *schema, const char *wanted, enum output_mode *ret,
                       struct error *err);
