/* SPDX-License-Identifier: Apache-2.0 */
/* Rows on standard output as -o, --fields and the terminal want them, from a running gadget or from
 * a recording. */
#pragma once

#include "client/render.h"
#include "client/selection.h"
#include "gadgetctl/command.h"

struct row_output {
        struct schema *schema;
        struct renderer *renderer;
        struct selection *selection; /* NULL = every row is wanted */
        struct out out;
};

enum row_output_flags {
        ROW_OUTPUT_SELECTS =
                1 << 0,            /* filter, sort and max-entries are ours to do: no worker has */
        ROW_OUTPUT_WHOLE = 1 << 1, /* all rows are there: tracers can be sorted as well */
};

/* row_output_done() is due in any case. */
int row_output_init(struct row_output *output, const struct args *args, struct bytes schema,
                    int flags, struct error *err);
void row_output_done(struct row_output *output);

/* As render_rows(), but 0 for success. */
int row_output_add(struct row_output *output, uint32_t source, uint32_t flags, struct bytes rows);

/* What was held back; flushes. 0 or the error that standard output is in. */
int row_output_end(struct row_output *output);
