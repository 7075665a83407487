/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where object and definition meet: names of the definition must exist in the object, annotations
 * must be known, and each field learns under which name its rendered twin is shown.
 */
#include <strings.h>

#include "base/log.h"
#include "base/text.h"
#include "worker/gadget.h"
#include "worker/twins.h"

#define NAMES_MAX 1024

/* The annotation that names the rendered twin of a field. */
static const char *const target_keys[_RENDER_MAX] = {
        [RENDER_TIMESTAMP] = "formatters.timestamp.target",
        [RENDER_ERRNO] = "formatters.errno.target",
        [RENDER_SIGNAL] = "formatters.signal.target",
        [RENDER_SYSCALL] = "formatters.syscall.target",
        [RENDER_FILE_MODE] = "formatters.file_mode.target",
        [RENDER_FILE_FLAGS] = "formatters.file_flags.target",
        [RENDER_BYTES] = "formatters.bytes.target",
        [RENDER_DURATION] = "formatters.duration.target",
        [RENDER_ENUM] = "ebpf.formatter.enum",
};

/* Names that enrichment adds beside the gadget's own fields. A definition may annotate them whether
 * or not they appear. */
static const char *const added_prefixes[] = { "k8s", "runtime" };
static const char *const added_siblings[] = { "user",      "group",   "endpoint", "k8s",
                                              "addresses", "buildid", "symbols" };

static int oom(struct error *err) {
        return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for the gadget's annotations");
}

static struct event_field *find_field(const struct event_type *type, const char *name) {
        for (size_t i = 0; i < type->n_fields; i++)
                if (strcasecmp(type->fields[i].name, name) == 0)
                        return &type->fields[i];
        return NULL;
}

static struct event_field *find_target(const struct event_type *type, const char *name) {
        for (size_t i = 0; i < type->n_fields; i++)
                if (type->fields[i].target && strcasecmp(type->fields[i].target, name) == 0)
                        return &type->fields[i];
        return NULL;
}

static bool is_group(const struct event_type *type, const char *name, size_t n) {
        for (size_t i = 0; i < type->n_groups; i++)
                if (strlen(type->groups[i]) == n && strncasecmp(type->groups[i], name, n) == 0)
                        return true;
        return false;
}

/* "k8s.node", "proc.creds.user", "src.k8s.name". */
static bool is_added(const struct event_type *type, const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(added_prefixes); i++) {
                const char *rest = str_after(name, added_prefixes[i]);

                if (rest && (*rest == '\0' || *rest == '.'))
                        return true;
        }
        for (const char *part = name; part;
             part = strchr(part, '.') ? strchr(part, '.') + 1 : NULL) {
                if (part != name && !is_group(type, name, (size_t)(part - name - 1)))
                        continue;
                for (size_t i = 0; i < ARRAY_SIZE(added_siblings); i++) {
                        const char *rest = str_after(part, added_siblings[i]);

                        if (rest && (*rest == '\0' || *rest == '.'))
                                return true;
                }
        }
        return false;
}

/* --- targets --- */

static bool is_target_key(const char *key) {
        for (size_t i = 0; i < ARRAY_SIZE(target_keys); i++)
                if (target_keys[i] && str_eq(target_keys[i], key))
                        return true;
        for (enum enrich twin = ENRICH_NONE; twin < _ENRICH_MAX; twin++)
                if (twin_target_key(twin) && str_eq(twin_target_key(twin), key))
                        return true;
        return false;
}

/* The definition's word on the twin's name, else the field's own name without _raw, else the field
 * has no twin. */
static int resolve_target(const struct event_type *type, struct event_field *f) {
        size_t n = strlen(f->name), n_raw = strlen("_raw");
        const char *named;

        if (!target_keys[f->render])
                return 0;
        named = annotations_get(&f->annotations, target_keys[f->render]);
        if (named && named[0] != '\0')
                f->target = strdup(named);
        else if (n > n_raw && str_eq(f->name + n - n_raw, "_raw"))
                f->target = strndup(f->name, n - n_raw);
        else
                return f->render = RENDER_NONE, 0;
        if (!f->target)
                return -ENOMEM;
        if (find_field(type, f->target)) {
                log_info("field '%s' is not rendered: '%s' is a field of its own", f->name,
                         f->target);
                free(TAKE_PTR(f->target));
                f->render = RENDER_NONE;
        }
        return 0;
}

static int set_targets(const struct definition_source *d, struct event_type *type,
                       struct error *err) {
        int r;

        for (size_t i = 0; d && i < d->n_fields; i++) {
                struct event_field *f = find_field(type, d->fields[i].name);

                for (size_t k = 0; f && k < d->fields[i].annotations.n; k++) {
                        const struct definition_pair *pair = &d->fields[i].annotations.items[k];

                        if (is_target_key(pair->key) &&
                            annotations_set(&f->annotations, pair->key, pair->value) < 0)
                                return oom(err);
                }
        }
        r = twins_add(type, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < type->n_fields; i++)
                if (resolve_target(type, &type->fields[i]) < 0)
                        return oom(err);
        return 0;
}

/* --- annotations --- */

static int check_value(const struct definition_pair *pair, enum annotation_scope scope,
                       struct error *err) {
        const char *takes, *near;

        if (annotation_takes(scope, pair->key, pair->value, &takes, &near))
                return 0;
        return definition_error(pair->node, err, near, "annotation '%s' takes %s, not '%.64s'",
                                pair->key, takes, pair->value);
}

static int unknown_annotation(const struct definition_pair *pair, const char *near,
                              struct error *err) {
        return definition_error(pair->node, err, near, "annotation '%.64s' is not known",
                                pair->key);
}

/* Sets the pairs, the template's keys first so that the explicit ones win. `skip` is a key to leave
 * out, or NULL. */
static int apply_pairs(const struct definition_pairs *pairs, enum annotation_scope scope,
                       const char *skip, struct annotations *to, struct error *err) {
        const char *near = NULL;

        for (size_t i = 0; i < pairs->n; i++) {
                const struct definition_pair *pair = &pairs->items[i];
                int r;

                if (!annotation_is_known(scope, pair->key, &near))
                        return unknown_annotation(pair, near, err);
                r = check_value(pair, scope, err);
                if (r < 0)
                        return r;
                if (annotation_refusal(pair->key))
                        return definition_error(pair->node, err, NULL, "'%.64s': %s", pair->key,
                                                annotation_refusal(pair->key));
                if (annotation_is_for_others(pair->key))
                        log_info("annotation '%s' is for %s and has no effect", pair->key,
                                 annotation_is_for_others(pair->key));
                if (scope == ANNOTATION_OF_SOURCE &&
                    annotation_names_raw_mode(pair->key, pair->value))
                        log_info("annotation '%s': mode 'raw' is for other clients and has no "
                                 "effect",
                                 pair->key);
                if (!str_eq(pair->key, "template"))
                        continue;
                r = annotations_apply_template(to, pair->value, &near);
                if (r == -ENOENT)
                        return definition_error(pair->node, err, near,
                                                "template '%.64s' does not exist", pair->value);
                if (r < 0)
                        return oom(err);
        }
        for (size_t i = 0; i < pairs->n; i++) {
                const struct definition_pair *pair = &pairs->items[i];

                if (str_eq(pair->key, "template") || (skip && str_eq(pair->key, skip)))
                        continue;
                if (annotations_set(to, pair->key, pair->value) < 0)
                        return oom(err);
        }
        return 0;
}

#define KIND(_kind) (1u << STREAM_##_kind)
#define ARRAYS (KIND(MAP) | KIND(SNAPSHOT) | KIND(HISTOGRAM))

/* Annotations that say something to some kinds of data sources only. */
static const struct {
        const char *key;
        unsigned int kinds;
        const char *whom;
} of_kinds[] = {
        { "fetch-interval", ARRAYS, "maps and iterators" },
        { "fetch-count", ARRAYS, "maps and iterators" },
        { "cli.clear-screen-before", ARRAYS, "maps and iterators" },
        { "ebpf.map.flush-on-stop", KIND(MAP) | KIND(HISTOGRAM), "maps" },
        { "ebpf.iter.fetch-on-stop", KIND(SNAPSHOT), "iterators" },
};

static void tell_without_effect(const struct source *source) {
        for (size_t i = 0; i < ARRAY_SIZE(of_kinds); i++)
                if (annotations_get(&source->annotations, of_kinds[i].key) &&
                    !(of_kinds[i].kinds & 1u << source->kind))
                        log_info("annotation '%s' is for %s and has no effect on data source '%s'",
                                 of_kinds[i].key, of_kinds[i].whom, source->name);
}

static int unknown_field(const struct source *source, const struct definition_field *d,
                         struct error *err) {
        const struct event_type *type = source->type;
        cleanup_free const char **names = calloc(NAMES_MAX, sizeof(*names));
        size_t n = 0;

        if (!names)
                return oom(err);
        for (size_t i = 0; i < type->n_fields && n + 2 < NAMES_MAX; i++) {
                names[n++] = type->fields[i].name;
                if (type->fields[i].target)
                        names[n++] = type->fields[i].target;
        }
        for (size_t i = 0; i < type->n_groups && n < NAMES_MAX; i++)
                names[n++] = type->groups[i];
        return definition_error(d->node, err, text_nearest(d->name, names, n),
                                "data source '%s' has no field '%.64s'", source->name, d->name);
}

static int describe_field(struct source *source, const struct definition_field *d,
                          struct error *err) {
        struct annotations unused = { 0 };
        struct event_field *f;
        int r;

        f = find_target(source->type, d->name);
        if (f)
                return apply_pairs(&d->annotations, ANNOTATION_OF_FIELD, NULL, &f->annotations,
                                   err);
        f = find_field(source->type, d->name);
        /* That the raw value is hidden goes without saying once it has a twin, and must not hide
         * the twin. */
        if (f)
                return apply_pairs(&d->annotations, ANNOTATION_OF_FIELD,
                                   f->target ? "columns.hidden" : NULL, &f->annotations, err);
        if (!is_group(source->type, d->name, strlen(d->name)) && !is_added(source->type, d->name))
                return unknown_field(source, d, err);
        r = apply_pairs(&d->annotations, ANNOTATION_OF_FIELD, NULL, &unused, err);
        annotations_done(&unused);
        return r;
}

/* Raw fields first, so that what is said of a twin wins over what is said of its raw field. */
static int describe_fields(struct source *source, const struct definition_source *d,
                           struct error *err) {
        int r = 0;

        for (int pass = 0; pass < 2; pass++)
                for (size_t i = 0; r == 0 && i < d->n_fields; i++)
                        if ((find_target(source->type, d->fields[i].name) != NULL) == (pass == 1))
                                r = describe_field(source, &d->fields[i], err);
        return r;
}

static struct source *find_source(struct gadget *g, const struct definition_source *d) {
        if (!d->name)
                return g->n_sources == 1 ? &g->sources[0] : NULL;
        for (size_t i = 0; i < g->n_sources; i++)
                if (strcasecmp(g->sources[i].name, d->name) == 0)
                        return &g->sources[i];
        return NULL;
}

static int unknown_source(struct gadget *g, const struct definition_source *d, struct error *err) {
        const char *names[LIMIT_STREAMS_MAX];

        if (!d->name)
                return definition_error(
                        d->node, err, NULL,
                        "'columns' needs a gadget with one data source; use datasources");
        for (size_t i = 0; i < g->n_sources; i++)
                names[i] = g->sources[i].name;
        return definition_error(d->node, err, text_nearest(d->name, names, g->n_sources),
                                "the object has no data source '%.64s'", d->name);
}

static const struct definition_source *definition_of(struct gadget *g,
                                                     const struct source *source) {
        for (size_t i = 0; i < g->definition.n_sources; i++)
                if (find_source(g, &g->definition.sources[i]) == source)
                        return &g->definition.sources[i];
        return NULL;
}

int gadget_describe(struct gadget *g, struct error *err) {
        int r = 0;

        for (size_t i = 0; i < g->n_sources; i++) {
                r = set_targets(definition_of(g, &g->sources[i]), g->sources[i].type, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < g->definition.n_sources; i++) {
                const struct definition_source *d = &g->definition.sources[i];
                struct source *source = find_source(g, d);

                if (!source)
                        return unknown_source(g, d, err);
                r = apply_pairs(&d->annotations, ANNOTATION_OF_SOURCE, NULL, &source->annotations,
                                err);
                tell_without_effect(source);
                if (r == 0)
                        r = describe_fields(source, d, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < g->n_sources; i++)
                for (size_t k = 0; k < g->sources[i].type->n_fields; k++) {
                        struct event_field *f = &g->sources[i].type->fields[k];

                        if (annotations_is_true(&f->annotations, "columns.hidden"))
                                f->flags |= FIELD_HIDDEN;
                }
        return 0;
}
