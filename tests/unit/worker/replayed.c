/* SPDX-License-Identifier: Apache-2.0 */
#include "replayed.h"

#include "client/row-filter.h"

static int part_for_first(const struct schema *schema, enum run_option option, const char *text,
                          char **ret) {
        struct run_options o = { { NULL } };
        const char *names[LIMIT_STREAMS_MAX];

        o.values[option] = text;
        for (uint32_t i = 0; i < schema->n_streams; i++)
                names[i] = schema->streams[i].name;
        return run_options_for_source(&o, option, names[0], names, schema->n_streams, ret);
}

int replayed_passes(struct bytes encoded, struct bytes rows, enum run_option option,
                    const char *text, bool *ret, struct error *err) {
        cleanup(schema_freep) struct schema *schema = NULL;
        cleanup(row_filter_freep) struct row_filter *filter = NULL;
        bool is_expression = option == RUN_OPTION_FILTER_EXPR;
        cleanup_free char *part = NULL;
        struct row row;
        int r;

        r = schema_new(encoded, &schema, err);
        if (r == 0)
                r = part_for_first(schema, option, text, &part);
        if (r == 0)
                r = row_filter_new(schema, &schema->streams[0], is_expression ? NULL : part,
                                   is_expression ? part : NULL, &filter, err);
        if (r < 0)
                return r;
        r = row_next(&schema->streams[0], &rows, &row);
        if (r <= 0)
                return error_set(err, ERROR_INTERNAL, -EBADMSG, "the row cannot be read");
        *ret = !filter || row_filter_passes(filter, &row);
        return 0;
}
