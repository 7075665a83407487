/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/row-output.h"

#include <sys/ioctl.h>

#include "client/output-mode.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/signals.h"

static uint32_t terminal_width(void) {
        struct winsize size;

        if (!isatty(STDOUT_FILENO))
                return 0;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return 80;
        return size.ws_col;
}

static int init_selection(struct row_output *output, const struct args *args, int flags,
                          struct error *err) {
        static const enum run_option ours[] = { RUN_OPTION_FILTER, RUN_OPTION_FILTER_EXPR,
                                                RUN_OPTION_SORT, RUN_OPTION_MAX_ENTRIES };
        struct run_options options = { { NULL } };
        bool any = false;

        for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
                options.values[ours[i]] = args->run_options[ours[i]];
                any |= args->run_options[ours[i]] != NULL;
        }
        return any ? selection_new(output->schema, &options, flags & ROW_OUTPUT_WHOLE,
                                   &output->selection, err)
                   : 0;
}

int row_output_init(struct row_output *output, const struct args *args, struct bytes schema,
                    int flags, struct error *err) {
        struct render_options options = {
                .fields = args->fields,
                .terminal = terminal_width(),
                .clear_screen = isatty(STDOUT_FILENO) && !(flags & ROW_OUTPUT_WHOLE),
        };
        int r;

        *output = (struct row_output){ 0 };
        r = schema_new(schema, &output->schema, err);
        if (r == 0)
                r = output_mode_choose(output->schema, args->output, &options.mode, err);
        if (r < 0)
                return r;
        r = out_init(&output->out, STDOUT_FILENO, OUT_SIZE);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "out of memory");
        output->out.give_up = &signals_count;
        if (flags & ROW_OUTPUT_SELECTS) {
                r = init_selection(output, args, flags, err);
                if (r < 0)
                        return r;
        }
        r = renderer_new(output->schema, &options, &output->out, &output->renderer, err);
        if (r < 0)
                return r;
        render_header(output->renderer);
        return 0;
}

void row_output_done(struct row_output *output) {
        output->selection = selection_free(output->selection);
        output->renderer = renderer_free(output->renderer);
        output->schema = schema_free(output->schema);
        out_done(&output->out);
}

static int64_t print_rows(void *userdata, uint32_t source, uint32_t flags, struct bytes rows) {
        struct row_output *output = userdata;

        return render_rows(output->renderer, source, flags, rows);
}

int row_output_add(struct row_output *output, uint32_t source, uint32_t flags, struct bytes rows) {
        int64_t n;

        if (output->selection)
                return selection_add(output->selection, source, flags, rows, print_rows, output);
        n = render_rows(output->renderer, source, flags, rows);
        return n < 0 ? (int)n : 0;
}

int row_output_end(struct row_output *output) {
        int r = 0;

        if (output->selection) {
                r = selection_end(output->selection, print_rows, output);
                if (selection_n_limited(output->selection) > 0)
                        diag("%llu rows were left out: more than %u bytes cannot be sorted",
                             (unsigned long long)selection_n_limited(output->selection),
                             SELECTION_HELD_MAX);
        }
        return r < 0 ? r : out_flush(&output->out);
}
