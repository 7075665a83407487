/* SPDX-License-Identifier: Apache-2.0 */
#include "base/run-options.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/text.h"
#include "gadget/api.h"

/* What stands between parts that may be for different data sources; "" = there is one part. */
static const char *const separators[_RUN_OPTION_MAX] = {
        [RUN_OPTION_FILTER] = ",",      [RUN_OPTION_FILTER_EXPR] = ";",
        [RUN_OPTION_SORT] = ";",        [RUN_OPTION_MAX_ENTRIES] = ",",
        [RUN_OPTION_INTERVAL] = ",",    [RUN_OPTION_COUNT] = ",",
        [RUN_OPTION_KEEP] = ",",        [RUN_OPTION_IFACE] = "",
        [RUN_OPTION_PERF_BUFFERS] = "",
};

/* The length of the first part: a separator behind a backslash, or within the quotes of an
 * expression, is none. */
static size_t part_length(enum run_option option, const char *text) {
        char quote = '\0';
        size_t n = 0;

        for (; text[n]; n++) {
                if (text[n] == '\\' && text[n + 1])
                        n++;
                else if (quote)
                        quote = text[n] == quote ? '\0' : quote;
                else if (option == RUN_OPTION_FILTER_EXPR && strchr("'\"", text[n]))
                        quote = text[n];
                else if (separators[option][0] == text[n])
                        break;
        }
        return n;
}

#define ROW(_name, _key, _alias, _doc) [RUN_OPTION_##_name] = { _key, _alias },
static const struct {
        const char *key;
        const char *alias;
} keys[_RUN_OPTION_MAX] = { GADGET_RUN_OPTIONS(ROW) };
#undef ROW

bool run_option_from_key(const char *key, enum run_option *ret) {
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (!str_eq(keys[i].key, key) && !(keys[i].alias && str_eq(keys[i].alias, key)))
                        continue;
                if (ret)
                        *ret = (enum run_option)i;
                return true;
        }
        return false;
}

int run_options_set(struct run_options *o, enum run_option option, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free((char *)(uintptr_t)o->values[option]);
        o->values[option] = copy;
        return 0;
}

void run_options_done(struct run_options *o) {
        for (size_t i = 0; i < ARRAY_SIZE(o->values); i++)
                free((char *)(uintptr_t)o->values[i]);
        *o = (struct run_options){ 0 };
}

char *run_option_for(enum run_option option, const char *before, const char *source,
                     const char *value) {
        struct buf out = BUF_INIT(LIMIT_CLIENT_FRAME_MAX);
        char *text;

        if (before)
                buf_puts(&out, before);
        while (*value) {
                size_t n = part_length(option, value);

                if (out.len > 0)
                        buf_puts(&out, separators[option]);
                buf_printf(&out, "%s:", source);
                buf_append(&out, value, n);
                value += n + (value[n] != '\0');
        }
        text = buf_steal_string(&out);
        if (!text)
                buf_done(&out);
        return text;
}

/* --- what goes with what --- */

#define KIND(_kind) (1u << STREAM_##_kind)
#define ARRAYS (KIND(MAP) | KIND(SNAPSHOT) | KIND(HISTOGRAM))

/* Kinds of data sources that an option acts on, and what it does not do to the others; 0 = it is
 * about none. */
static const struct {
        unsigned int kinds;
        const char *refusal;
} scopes[_RUN_OPTION_MAX] = {
        [RUN_OPTION_FILTER] = { KIND(TRACER) | ARRAYS, NULL },
        [RUN_OPTION_FILTER_EXPR] = { KIND(TRACER) | ARRAYS, NULL },
        [RUN_OPTION_SORT] = { ARRAYS, "its rows cannot be sorted" },
        [RUN_OPTION_MAX_ENTRIES] = { ARRAYS, "it has no arrays of rows to cut" },
        [RUN_OPTION_INTERVAL] = { ARRAYS, "it is not read at intervals" },
        [RUN_OPTION_COUNT] = { ARRAYS, "its reads are not counted" },
        [RUN_OPTION_KEEP] = { KIND(MAP) | KIND(HISTOGRAM), "it has no entries that could stay" },
        [RUN_OPTION_PERF_BUFFERS] = { KIND(TRACER), "it has no buffer of events" },
};

static const char *const kind_texts[_STREAM_KIND_MAX] = {
        [STREAM_TRACER] = "a tracer, whose rows come one by one",
        [STREAM_MAP] = "a map",
        [STREAM_SNAPSHOT] = "an iterator",
        [STREAM_HISTOGRAM] = "a histogram",
};

static int refuse(enum run_option option, const struct run_source *source, struct error *err) {
        return error_set(err, ERROR_USAGE, -EINVAL, "%s: data source '%s' is %s: %s",
                         keys[option].key, source->name, kind_texts[source->kind],
                         scopes[option].refusal);
}

/* The length of a name with a colon behind it at the front of text, 0 = there is none. No field
 * has a colon in its name. */
static size_t prefix_length(const char *text) {
        size_t n = 0;

        while (isalnum((unsigned char)text[n]) || (text[n] && strchr("_-.", text[n])))
                n++;
        return text[n] == ':' ? n : 0;
}

static int unknown_source(enum run_option option, const char *text, size_t n,
                          const struct run_source *sources, size_t n_sources, struct error *err) {
        const char *names[LIMIT_STREAMS_MAX], *near;
        cleanup_free char *name = strndup(text, n);

        for (size_t i = 0; i < n_sources; i++)
                names[i] = sources[i].name;
        near = text_nearest(name ? name : "", names, n_sources);
        error_set(err, ERROR_USAGE, -EINVAL, "%s: there is no data source '%.64s'",
                  keys[option].key, name ? name : "");
        if (near)
                error_append(err, "did you mean '%s'?", near);
        return -EINVAL;
}

/* One part: with a prefix for that data source, else for all that it can act on. */
static int check_part(enum run_option option, unsigned int kinds, const char *text,
                      const struct run_source *sources, size_t n_sources, struct error *err) {
        size_t n = prefix_length(text);

        for (size_t i = 0; i < n_sources; i++) {
                bool is_named = n > 0 && strlen(sources[i].name) == n &&
                                memcmp(sources[i].name, text, n) == 0;

                if ((n == 0 || is_named) && kinds & 1u << sources[i].kind)
                        return 0;
                if (is_named)
                        return refuse(option, &sources[i], err);
        }
        if (n > 0)
                return unknown_source(option, text, n, sources, n_sources, err);
        return n_sources > 0 ? refuse(option, &sources[0], err) : 0;
}

int run_options_check(const struct run_options *o, const struct run_source *sources,
                      size_t n_sources, bool is_whole, struct error *err) {
        for (enum run_option option = 0; option < _RUN_OPTION_MAX; option++) {
                unsigned int kinds = scopes[option].kinds;
                const char *text = kinds ? o->values[option] : NULL;

                if (is_whole && kinds == ARRAYS)
                        kinds |= KIND(TRACER);
                while (text && *text) {
                        size_t n;
                        int r = 0;

                        text += strspn(text, " ");
                        n = part_length(option, text);
                        if (n > 0)
                                r = check_part(option, kinds, text, sources, n_sources, err);
                        if (r < 0)
                                return r;
                        text += n + (text[n] != '\0');
                }
        }
        return 0;
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

int run_options_for_source(const struct run_options *o, enum run_option option, const char *source,
                           const char *const *sources, size_t n_sources, char **ret) {
        const char *text = o->values[option];
        struct buf out = BUF_INIT(text ? strlen(text) + 1 : 0);

        *ret = NULL;
        while (text && *text) {
                struct bytes part;
                const char *named;

                text += strspn(text, " ");
                part = BYTES(text, part_length(option, text));
                named = source_of(part, sources, n_sources);
                text += part.len + (text[part.len] != '\0');
                if (named && !str_eq(named, source))
                        continue;
                if (named)
                        part = BYTES(part.data + strlen(named) + 1, part.len - strlen(named) - 1);
                if (out.len > 0)
                        buf_puts(&out, separators[option]);
                buf_append(&out, part.data, part.len);
        }
        if (out.len == 0 && !out.failed)
                return 0;
        *ret = buf_steal_string(&out);
        return *ret ? 0 : -ENOMEM;
}
