/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How data sources are found in object code: today's gadgets declare variables whose names say it
 * all (gadget_tracer_NAME___MAP___TYPE), those of the design document give maps telling prefixes
 * (print_NAME). One row each.
 */
#include <stdio.h>

#include "base/text.h"
#include "worker/gadget.h"

#define SEPARATOR "___"
#define LOST_SUFFIX "_lost_samples"

/* Where the convention applies; `rest` is the name behind the prefix. */
struct convention {
        const char *prefix;
        int (*on_variable)(struct gadget *g, const char *rest, struct error *err);
        int (*on_map)(struct gadget *g, struct bpf_map *map, const char *rest, struct error *err);
        const char *missing; /* a kind of data source that is not read yet */
};

static int add_source(struct gadget *g, const char *name, enum stream_kind kind,
                      struct bpf_map *map, struct source **ret, struct error *err) {
        struct source *sources, *source;

        for (size_t i = 0; i < g->n_sources; i++) {
                if (str_eq(g->sources[i].name, name))
                        return error_set(err, ERROR_INVALID, -EEXIST,
                                         "two data sources are called '%s'", name);
                if (g->sources[i].map == map)
                        return error_set(err, ERROR_INVALID, -EEXIST,
                                         "data sources '%s' and '%s' both use map '%s'",
                                         g->sources[i].name, name, bpf_map__name(map));
        }
        if (g->n_sources == LIMIT_STREAMS_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG,
                                 "the gadget has more than %d data sources", LIMIT_STREAMS_MAX);
        sources = reallocarray(g->sources, g->n_sources + 1, sizeof(*sources));
        if (!sources)
                return -ENOMEM;
        g->sources = sources;
        source = &sources[g->n_sources++];
        *source = (struct source){ .name = strdup(name), .kind = kind, .map = map };
        if (!source->name)
                return -ENOMEM;
        *ret = source;
        return 0;
}

/* Splits "a___b___c" in place into exactly n parts, none of them empty. */
static bool split(char *text, char **parts, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char *end = i + 1 < n ? strstr(text, SEPARATOR) : NULL;

                if (i + 1 < n && !end)
                        return false;
                parts[i] = text;
                if (end) {
                        *end = '\0';
                        text = end + strlen(SEPARATOR);
                }
                if (parts[i][0] == '\0')
                        return false;
        }
        return true;
}

static int find_map(struct gadget *g, const char *owner, const char *name, struct bpf_map **ret,
                    struct error *err) {
        const char *names[64];
        struct bpf_map *map;
        size_t n = 0;
        const char *near;
        int r;

        bpf_object__for_each_map(map, g->object) {
                if (str_eq(bpf_map__name(map), name)) {
                        *ret = map;
                        return 0;
                }
                if (!bpf_map__is_internal(map) && n < ARRAY_SIZE(names))
                        names[n++] = bpf_map__name(map);
        }
        near = text_nearest(name, names, n);
        r = error_set(err, ERROR_INVALID, -ENOENT,
                      "data source '%s' names map '%.64s', which does not exist", owner, name);
        if (near)
                error_append(err, "did you mean '%s'?", near);
        return r;
}

/* The struct called so, or a typedef of one. */
static int find_type(struct gadget *g, const char *owner, const char *name, uint32_t *ret,
                     struct error *err) {
        const struct btf *btf = bpf_object__btf(g->object);
        const char *names[64];
        const char *near;
        size_t n = 0;
        int32_t id, r;

        id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
        if (id < 0)
                id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
        if (id > 0) {
                *ret = (uint32_t)id;
                return 0;
        }
        for (uint32_t i = 1; i < btf__type_cnt(btf) && n < ARRAY_SIZE(names); i++) {
                const struct btf_type *t = btf__type_by_id(btf, i);

                if (btf_is_struct(t) && t->name_off)
                        names[n++] = btf__name_by_offset(btf, t->name_off);
        }
        near = text_nearest(name, names, n);
        r = error_set(err, ERROR_INVALID, -ENOENT,
                      "data source '%s' names struct '%.64s', which does not exist", owner, name);
        if (near)
                error_append(err, "did you mean '%s'?", near);
        return r;
}

/* What every tracer needs, whichever way it was declared. */
static int add_tracer(struct gadget *g, const char *name, struct bpf_map *map, uint32_t type_id,
                      const struct type_options *options, struct error *err) {
        enum bpf_map_type map_type = bpf_map__type(map);
        struct source *source = NULL;
        char lost[256];
        int r;

        if (map_type != BPF_MAP_TYPE_RINGBUF && map_type != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
                return error_set(
                        err, ERROR_INVALID, -ENOEXEC,
                        "tracer '%s': map '%s' is neither a ring buffer nor a perf event array",
                        name, bpf_map__name(map));
        r = add_source(g, name, STREAM_TRACER, map, &source, err);
        if (r < 0)
                return r;
        snprintf(lost, sizeof(lost), "%s%s", bpf_map__name(map), LOST_SUFFIX);
        source->lost = bpf_object__find_map_by_name(g->object, lost);
        if (source->lost && (bpf_map__type(source->lost) != BPF_MAP_TYPE_PERCPU_ARRAY ||
                             bpf_map__value_size(source->lost) != sizeof(uint64_t)))
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "tracer '%s': map '%s' is not a per-CPU array of 8-byte counters",
                                 name, lost);
        r = event_type_new(bpf_object__btf(g->object), type_id, options, &g->enums, &source->type,
                           err);
        if (r < 0)
                return error_prefix(err, r, "tracer '%s'", name);
        /* The value that a declaration may have given was for us; the kernel wants none in a ring
         * buffer. */
        (void)bpf_map__set_key_size(map, map_type == BPF_MAP_TYPE_RINGBUF ? 0 : sizeof(uint32_t));
        (void)bpf_map__set_value_size(map, map_type == BPF_MAP_TYPE_RINGBUF ? 0 : sizeof(uint32_t));
        return 0;
}

static int on_tracer(struct gadget *g, const char *rest, struct error *err) {
        cleanup_free char *text = strdup(rest);
        struct bpf_map *map = NULL;
        uint32_t type_id = 0;
        char *parts[3];
        int r;

        if (!text)
                return -ENOMEM;
        if (!split(text, parts, ARRAY_SIZE(parts)))
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "'gadget_tracer_%.128s' does not read name___map___type", rest);
        r = find_map(g, parts[0], parts[1], &map, err);
        if (r == 0)
                r = find_type(g, parts[0], parts[2], &type_id, err);
        return r < 0 ? r : add_tracer(g, parts[0], map, type_id, &(struct type_options){ 0 }, err);
}

static int on_print_map(struct gadget *g, struct bpf_map *map, const char *rest,
                        struct error *err) {
        uint32_t type_id = bpf_map__btf_value_type_id(map);

        if (bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF &&
            bpf_map__type(map) != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
                return 0;
        for (size_t i = 0; i < g->n_sources; i++)
                if (g->sources[i].map == map)
                        return 0; /* declared by a variable as well */
        if (type_id == 0)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "map '%s' does not say what it carries; add __type(value, struct "
                                 "...) to it",
                                 bpf_map__name(map));
        return add_tracer(g, rest, map, type_id, &(struct type_options){ .bytes_are_text = true },
                          err);
}

static const struct convention conventions[] = {
        { "gadget_tracer_", .on_variable = on_tracer },
        { "gadget_mapiter_", .missing = "map iterators" },
        { "gadget_iter_", .missing = "iterators" },
        { "gadget_snapshotter_", .missing = "iterators" },
        { "print_", .on_map = on_print_map },
        { "stats_", .missing = "map iterators" },
        { "hist_", .missing = "histograms" },
};

static int not_yet(const struct convention *c, const char *name, struct error *err) {
        return error_set(
                err, ERROR_UNAVAILABLE, -EOPNOTSUPP,
                "'%.128s' declares a data source of a kind that this version does not read: %s",
                name, c->missing);
}

static int find_by_variables(struct gadget *g, const struct convention *c, struct error *err) {
        const struct btf *btf = bpf_object__btf(g->object);

        for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
                const struct btf_type *t = btf__type_by_id(btf, id);
                const char *name, *rest;
                int r;

                if (!btf_is_var(t))
                        continue;
                name = btf__name_by_offset(btf, t->name_off);
                rest = str_after(name, c->prefix);
                if (!rest || !strstr(rest, SEPARATOR))
                        continue;
                r = c->on_variable ? c->on_variable(g, rest, err) : not_yet(c, name, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int find_by_maps(struct gadget *g, const struct convention *c, struct error *err) {
        struct bpf_map *map;

        bpf_object__for_each_map(map, g->object) {
                const char *rest = str_after(bpf_map__name(map), c->prefix);
                int r;

                if (!rest || rest[0] == '\0')
                        continue;
                if (c->missing && bpf_map__type(map) != BPF_MAP_TYPE_HASH)
                        continue;
                r = c->on_map ? c->on_map(g, map, rest, err) : not_yet(c, bpf_map__name(map), err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int gadget_find_sources(struct gadget *g, struct error *err) {
        for (size_t i = 0; i < ARRAY_SIZE(conventions); i++) {
                const struct convention *c = &conventions[i];
                bool is_variable = strncmp(c->prefix, "gadget_", 7) == 0;
                int r = is_variable ? find_by_variables(g, c, err) : find_by_maps(g, c, err);

                if (r < 0)
                        return r;
        }
        if (g->n_sources == 0)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "the object declares no data source: use GADGET_TRACER(name, map, "
                                 "type), or a map called print_name");
        return 0;
}
