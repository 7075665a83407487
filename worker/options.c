/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/options.h"

#include "base/buf.h"
#include "gadget/api.h"

/* What stands between parts that may be for different data sources; "" = there is one part. */
static const char *const separators[_RUN_OPTION_MAX] = {
        [RUN_OPTION_FILTER] = ",",      [RUN_OPTION_FILTER_EXPR] = "", [RUN_OPTION_SORT] = ";",
        [RUN_OPTION_MAX_ENTRIES] = ",", [RUN_OPTION_INTERVAL] = ",",   [RUN_OPTION_COUNT] = ",",
        [RUN_OPTION_KEEP] = ",",
};

#define ROW(_name, _key, _alias, _doc) [RUN_OPTION_##_name] = { _key, _alias },
static const struct {
        const char *key;
        const char *alias;
} keys[_RUN_OPTION_MAX] = { GADGET_RUN_OPTIONS(ROW) };
#undef ROW

bool option_from_key(const char *key, enum run_option *ret) {
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (!str_eq(keys[i].key, key) && !(keys[i].alias && str_eq(keys[i].alias, key)))
                        continue;
                if (ret)
                        *ret = (enum run_option)i;
                return true;
        }
        return false;
}

int options_set(struct options *o, enum run_option option, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(o->values[option]);
        o->values[option] = copy;
        return 0;
}

void options_done(struct options *o) {
        for (size_t i = 0; i < ARRAY_SIZE(o->values); i++)
                free(o->values[i]);
        *o = (struct options){ 0 };
}

/* The name in front of the part's first colon, when it is that of a data source. */
static const char *source_of(struct bytes part, const char *const *sources, size_t n_sources) {
        for (size_t i = 0; i < n_sources; i++) {
                size_t n = strlen(sources[i]);

                if (part.len > n && part.data[n] == ':' && memcmp(part.data, sources[i], n) == 0)
                        return sources[i];
        }
        return NULL;
}

int options_for_source(const struct options *o, enum run_option option, const char *source,
                       const char *const *sources, size_t n_sources, char **ret) {
        const char *text = o->values[option];
        struct buf out = BUF_INIT(LIMIT_PARAM_VALUE_MAX + 1);

        *ret = NULL;
        while (text && *text) {
                struct bytes part = BYTES(text, strcspn(text, separators[option]));
                const char *named = source_of(part, sources, n_sources);

                text += part.len + (text[part.len] != '\0');
                if (named && !str_eq(named, source))
                        continue;
                if (named)
                        part = BYTES(part.data + strlen(named) + 1, part.len - strlen(named) - 1);
                if (out.len > 0)
                        buf_append(&out, separators[option], 1);
                buf_append(&out, part.data, part.len);
        }
        if (out.len == 0 && !out.failed)
                return 0;
        *ret = buf_steal_string(&out);
        return *ret ? 0 : -ENOMEM;
}
