/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How data sources are found in object code: today's gadgets declare variables whose names say it
 * all (gadget_tracer_NAME___MAP___TYPE), those of the design document give maps telling prefixes
 * (print_NAME). One row each.
 */
#include <stdio.h>

#include "base/text.h"
#include "worker/buffers.h"
#include "worker/gadget.h"

#define SEPARATOR "___"
#define LOST_SUFFIX "_lost_samples"
#define ITER_TYPE_VARIABLE "gadget_iter_type"

/* Where the convention applies; `rest` is the name behind the prefix. */
struct convention {
        const char *prefix;
        int (*on_variable)(struct gadget *g, const char *rest, struct error *err);
        int (*on_map)(struct gadget *g, struct bpf_map *map, const char *rest, struct error *err);
};

static int add_source(struct gadget *g, const char *name, enum stream_kind kind,
                      struct bpf_map *map, struct source **ret, struct error *err) {
        struct source *sources, *source;

        for (size_t i = 0; i < g->n_sources; i++) {
                if (str_eq(g->sources[i].name, name))
                        return error_set(err, ERROR_INVALID, -EEXIST,
                                         "two data sources are called '%s'", name);
                if (map && g->sources[i].map == map)
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

/* Where the gadget counts what did not get into the source's map. */
static int find_lost(struct gadget *g, struct source *source, struct error *err) {
        char name[256];

        snprintf(name, sizeof(name), "%s%s", bpf_map__name(source->map), LOST_SUFFIX);
        source->lost = bpf_object__find_map_by_name(g->object, name);
        if (source->lost && (bpf_map__type(source->lost) != BPF_MAP_TYPE_PERCPU_ARRAY ||
                             bpf_map__value_size(source->lost) != sizeof(uint64_t)))
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "data source '%s': map '%s' is not a per-CPU array of 8-byte "
                                 "counters",
                                 source->name, name);
        return 0;
}

/* What every tracer needs, whichever way it was declared. */
static int add_tracer(struct gadget *g, const char *name, struct bpf_map *map, uint32_t type_id,
                      const struct type_options *options, struct error *err) {
        enum bpf_map_type map_type = bpf_map__type(map);
        struct source *source = NULL;
        int r;

        if (map_type != BPF_MAP_TYPE_RINGBUF && map_type != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
                return error_set(
                        err, ERROR_INVALID, -ENOEXEC,
                        "tracer '%s': map '%s' is neither a ring buffer nor a perf event array",
                        name, bpf_map__name(map));
        r = add_source(g, name, STREAM_TRACER, map, &source, err);
        if (r < 0)
                return r;
        r = find_lost(g, source, err);
        if (r < 0)
                return r;
        r = event_type_new(bpf_object__btf(g->object), type_id, options, &g->enums, &source->type,
                           err);
        if (r < 0)
                return error_prefix(err, r, "tracer '%s'", name);
        /* The value that a declaration may have given was for us; the kernel wants none in a ring
         * buffer. */
        if (map_type == BPF_MAP_TYPE_PERF_EVENT_ARRAY) {
                buffer_be_perf(map, g->start->n_cpus);
        } else {
                (void)bpf_map__set_key_size(map, 0);
                (void)bpf_map__set_value_size(map, 0);
        }
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
                if (map && g->sources[i].map == map)
                        return 0; /* declared by a variable as well */
        if (type_id == 0)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "map '%s' does not say what it carries; add __type(value, struct "
                                 "...) to it",
                                 bpf_map__name(map));
        return add_tracer(g, rest, map, type_id, &(struct type_options){ .bytes_are_text = true },
                          err);
}

/* --- maps that are read --- */

static bool is_histogram(const struct event_type *type) {
        for (size_t i = 0; i < type->n_fields; i++)
                if (type->fields[i].render == RENDER_HISTOGRAM)
                        return true;
        return false;
}

static bool can_be_read(const struct bpf_map *map) {
        switch ((int)bpf_map__type(map)) {
        case BPF_MAP_TYPE_HASH:
        case BPF_MAP_TYPE_LRU_HASH:
        case BPF_MAP_TYPE_PERCPU_HASH:
        case BPF_MAP_TYPE_LRU_PERCPU_HASH:
        case BPF_MAP_TYPE_ARRAY:
        case BPF_MAP_TYPE_PERCPU_ARRAY:
                return true;
        default:
                return false;
        }
}

static int add_map(struct gadget *g, const char *name, struct bpf_map *map,
                   const struct type_options *options, struct error *err) {
        uint32_t key_id = bpf_map__btf_key_type_id(map), value_id = bpf_map__btf_value_type_id(map);
        struct source *source = NULL;
        int r;

        if (!can_be_read(map))
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "map iterator '%s': map '%s' is neither a hash map nor an array",
                                 name, bpf_map__name(map));
        if (key_id == 0 || value_id == 0)
                return error_set(
                        err, ERROR_INVALID, -ENOEXEC,
                        "map iterator '%s': map '%s' does not say what it holds; declare it "
                        "with __type(key, ...) and __type(value, ...)",
                        name, bpf_map__name(map));
        r = add_source(g, name, STREAM_MAP, map, &source, err);
        if (r == 0)
                r = find_lost(g, source, err);
        if (r < 0)
                return r;
        r = event_type_of_entry(bpf_object__btf(g->object), key_id, value_id, options, &g->enums,
                                &source->type, &source->value_offset, err);
        if (r < 0)
                return error_prefix(err, r, "map iterator '%s'", name);
        if (is_histogram(source->type))
                source->kind = STREAM_HISTOGRAM;
        return 0;
}

static int on_mapiter(struct gadget *g, const char *rest, struct error *err) {
        cleanup_free char *text = strdup(rest);
        struct bpf_map *map = NULL;
        char *parts[2];
        int r;

        if (!text)
                return -ENOMEM;
        if (!split(text, parts, ARRAY_SIZE(parts)))
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "'gadget_mapiter_%.128s' does not read name___map", rest);
        r = find_map(g, parts[0], parts[1], &map, err);
        return r < 0 ? r : add_map(g, parts[0], map, &(struct type_options){ 0 }, err);
}

static bool is_declared(const struct gadget *g, const struct bpf_map *map) {
        for (size_t i = 0; i < g->n_sources; i++)
                if (g->sources[i].map == map)
                        return true;
        return false;
}

static int on_stats_map(struct gadget *g, struct bpf_map *map, const char *rest,
                        struct error *err) {
        if (bpf_map__type(map) != BPF_MAP_TYPE_HASH || is_declared(g, map))
                return 0;
        return add_map(g, rest, map, &(struct type_options){ .bytes_are_text = true }, err);
}

/* The design document's histograms: any array of counters in the value is one. */
static int on_hist_map(struct gadget *g, struct bpf_map *map, const char *rest, struct error *err) {
        struct source *source;
        int r;

        r = on_stats_map(g, map, rest, err);
        if (r < 0 || !is_declared(g, map) || g->sources[g->n_sources - 1].map != map)
                return r;
        source = &g->sources[g->n_sources - 1];
        for (size_t i = 0; i < source->type->n_fields; i++) {
                struct event_field *f = &source->type->fields[i];

                if (f->kind == FIELD_ARRAY && f->elem == FIELD_UINT && f->n <= 64 &&
                    !(f->flags & FIELD_KEY))
                        f->render = RENDER_HISTOGRAM;
        }
        source->kind = STREAM_HISTOGRAM;
        return 0;
}

/* --- iterators --- */

static int add_iterator(struct gadget *g, const char *name, uint32_t type_id,
                        struct bpf_program **programs, size_t n, const struct type_options *options,
                        struct error *err) {
        struct source *source = NULL;
        int r;

        r = add_source(g, name, STREAM_SNAPSHOT, NULL, &source, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                source->programs[source->n_programs++] = programs[i];
        r = event_type_new(bpf_object__btf(g->object), type_id, options, &g->enums, &source->type,
                           err);
        return r < 0 ? error_prefix(err, r, "iterator '%s'", name) : 0;
}

static int find_iterator_program(struct gadget *g, const char *owner, const char *name,
                                 struct bpf_program **ret, struct error *err) {
        const char *names[64], *near;
        struct bpf_program *program;
        size_t n = 0;
        int r;

        bpf_object__for_each_program(program, g->object) {
                bool is_iterator = str_after(bpf_program__section_name(program), "iter/") ||
                                   str_after(bpf_program__section_name(program), "iter.s/");

                if (str_eq(bpf_program__name(program), name)) {
                        if (!is_iterator)
                                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                                 "data source '%s': program '%s' is in section "
                                                 "'%s', not in one that begins with iter/",
                                                 owner, name, bpf_program__section_name(program));
                        *ret = program;
                        return 0;
                }
                if (is_iterator && n < ARRAY_SIZE(names))
                        names[n++] = bpf_program__name(program);
        }
        near = text_nearest(name, names, n);
        r = error_set(err, ERROR_INVALID, -ENOENT,
                      "data source '%s' names program '%.64s', which does not exist", owner, name);
        if (near)
                error_append(err, "did you mean '%s'?", near);
        return r;
}

static int on_iterator(struct gadget *g, const char *rest, struct error *err) {
        struct bpf_program *programs[SOURCE_PROGRAMS_MAX];
        cleanup_free char *text = strdup(rest);
        char *parts[2 + SOURCE_PROGRAMS_MAX];
        uint32_t type_id = 0;
        size_t n = 2;
        int r;

        if (!text)
                return -ENOMEM;
        for (const char *p = rest; (p = strstr(p, SEPARATOR)); p += strlen(SEPARATOR))
                n++;
        n--; /* name, type, programs: one more than separators */
        if (n < 3 || n > ARRAY_SIZE(parts) || !split(text, parts, n))
                return error_set(
                        err, ERROR_INVALID, -ENOEXEC,
                        "'gadget_iter_%.128s' does not read name___type___program, with at "
                        "most %d programs",
                        rest, SOURCE_PROGRAMS_MAX);
        r = find_type(g, parts[0], parts[1], &type_id, err);
        for (size_t i = 2; r == 0 && i < n; i++)
                r = find_iterator_program(g, parts[0], parts[i], &programs[i - 2], err);
        return r < 0 ? r
                     : add_iterator(g, parts[0], type_id, programs, n - 2,
                                    &(struct type_options){ 0 }, err);
}

/* The design document's: all iterators of the object write the type that this variable points to;
 * the data source is called as the first of them. */
static int on_iterator_type(struct gadget *g, uint32_t var_type_id, struct error *err) {
        const struct btf *btf = bpf_object__btf(g->object);
        const struct btf_type *pointer = btf__type_by_id(btf, btf_resolve(btf, var_type_id));
        struct bpf_program *programs[SOURCE_PROGRAMS_MAX], *program;
        size_t n = 0;

        if (!btf_is_ptr(pointer))
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "variable '" ITER_TYPE_VARIABLE "' is not a pointer to the struct "
                                 "that the iterators write");
        bpf_object__for_each_program(program, g->object) {
                if (!str_after(bpf_program__section_name(program), "iter/"))
                        continue;
                if (n == SOURCE_PROGRAMS_MAX)
                        return error_set(err, ERROR_LIMIT, -E2BIG,
                                         "the object has more than %d iterators",
                                         SOURCE_PROGRAMS_MAX);
                programs[n++] = program;
        }
        if (n == 0)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "'" ITER_TYPE_VARIABLE "' says what iterators write, but the "
                                 "object has no program in a section that begins with iter/");
        return add_iterator(g, bpf_program__name(programs[0]), pointer->type, programs, n,
                            &(struct type_options){ .bytes_are_text = true }, err);
}

static const struct convention conventions[] = {
        { "gadget_tracer_", .on_variable = on_tracer },
        { "gadget_mapiter_", .on_variable = on_mapiter },
        { "gadget_iter_", .on_variable = on_iterator },
        { "gadget_snapshotter_", .on_variable = on_iterator },
        { "print_", .on_map = on_print_map },
        { "stats_", .on_map = on_stats_map },
        { "hist_", .on_map = on_hist_map },
};

/* The markers of the headers are `const void *`; other variables may be called what they like. */
static bool is_marker(const struct btf *btf, const struct btf_type *var) {
        const struct btf_type *t = btf__type_by_id(btf, var->type);

        if (!btf_is_ptr(t))
                return false;
        t = btf__type_by_id(btf, t->type);
        return btf_is_const(t) && t->type == 0;
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
                if (!rest || (!strstr(rest, SEPARATOR) && !is_marker(btf, t)))
                        continue;
                r = c->on_variable(g, rest, err);
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
                r = c->on_map(g, map, rest, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Unless today's variables say more. */
static int find_iterator_type(struct gadget *g, struct error *err) {
        const struct btf *btf = bpf_object__btf(g->object);
        int32_t id = btf__find_by_name_kind(btf, ITER_TYPE_VARIABLE, BTF_KIND_VAR);

        for (size_t i = 0; i < g->n_sources; i++)
                if (g->sources[i].kind == STREAM_SNAPSHOT)
                        return 0;
        return id > 0 ? on_iterator_type(g, btf__type_by_id(btf, (uint32_t)id)->type, err) : 0;
}

int gadget_find_sources(struct gadget *g, struct error *err) {
        int found;

        for (size_t i = 0; i < ARRAY_SIZE(conventions); i++) {
                const struct convention *c = &conventions[i];
                bool is_variable = strncmp(c->prefix, "gadget_", 7) == 0;
                int r = is_variable ? find_by_variables(g, c, err) : find_by_maps(g, c, err);

                if (r < 0)
                        return r;
        }
        found = find_iterator_type(g, err);
        if (found < 0)
                return found;
        if (g->n_sources == 0)
                return error_set(err, ERROR_INVALID, -ENOEXEC,
                                 "the object declares no data source: use GADGET_TRACER(name, map, "
                                 "type), or a map called print_name");
        return 0;
}
