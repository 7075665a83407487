/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/filter.h"

struct filter {
        uint32_t n;
};

int filter_new(const struct gadget *g, const struct source *source, struct filter **ret,
               struct error *err) {
        *ret = NULL;
        if (g->options.values[RUN_OPTION_FILTER] || g->options.values[RUN_OPTION_FILTER_EXPR])
                return error_set(err, ERROR_UNAVAILABLE, -EOPNOTSUPP,
                                 "this version does not filter yet");
        return 0;
}

struct filter *filter_free(struct filter *f) {
        free(f);
        return NULL;
}

bool filter_passes(const struct filter *f, const uint8_t *event, uint32_t len,
                   uint64_t wall_offset) {
        return true;
}
