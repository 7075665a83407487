/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/definition.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/parse.h"
#include "base/text.h"
#include "gadget/api.h"

#define RULES_MAX 20

/* A key of fixed meaning in some map: what to do with its value. One of read, text and refusal. */
struct rule {
        const char *name;
        int (*read)(struct definition *d, const struct yaml *value, void *object,
                    struct error *err);
        size_t text; /* 1 + offset of a const char * in the object */
        const char *refusal;
};
#define TEXT_AT(_struct, _member) (1 + offsetof(_struct, _member))

int definition_error(const struct yaml *node, struct error *err, const char *near, const char *fmt,
                     ...) {
        char text[sizeof(err->msg)];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        yaml_error(node, err, "%s", text);
        if (near)
                error_append(err, "did you mean '%s'?", near);
        return -EINVAL;
}

static int expect(const struct yaml *node, enum yaml_kind kind, struct error *err) {
        static const char *const names[] = { "text", "a list", "a map of keys and values" };

        if (node->kind == kind)
                return 0;
        return definition_error(node, err, NULL, "%s is expected here, not %s", names[kind],
                                names[node->kind]);
}

static int unknown_key(const struct yaml *key, const struct rule *rules, size_t n,
                       struct error *err) {
        const char *names[RULES_MAX];

        for (size_t i = 0; i < n; i++)
                names[i] = rules[i].name;
        return definition_error(key, err, text_nearest(key->text, names, n),
                                "'%.64s' is not known here", key->text);
}

static int apply_rule(struct definition *d, const struct rule *rule, const struct yaml *key,
                      const struct yaml *value, void *object, struct error *err) {
        if (rule->refusal)
                return definition_error(key, err, NULL, "'%s': %s", key->text, rule->refusal);
        if (rule->read)
                return rule->read(d, value, object, err);
        if (expect(value, YAML_TEXT, err) < 0)
                return -EINVAL;
        if (!yaml_is_null(value))
                *(const char **)(void *)((char *)object + rule->text - 1) = value->text;
        return 0;
}

/* Reads a map whose keys are the rules' names into object. */
static int read_map(struct definition *d, const struct yaml *map, const struct rule *rules,
                    size_t n_rules, void *object, struct error *err) {
        if (yaml_is_null(map))
                return 0;
        if (expect(map, YAML_MAP, err) < 0)
                return -EINVAL;
        for (size_t i = 0; i < map->n; i += 2) {
                const struct rule *rule = NULL;
                int r;

                for (size_t k = 0; k < n_rules && !rule; k++)
                        if (strcasecmp(rules[k].name, map->items[i]->text) == 0)
                                rule = &rules[k];
                if (!rule)
                        return unknown_key(map->items[i], rules, n_rules, err);
                r = apply_rule(d, rule, map->items[i], map->items[i + 1], object, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* One more element, zeroed, at the end of an array. */
static void *append(void *array_p, size_t *n, size_t size, struct error *err) {
        void **array = array_p;
        char *items = reallocarray(*array, *n + 1, size);

        if (!items) {
                error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for the definition");
                return NULL;
        }
        *array = items;
        return memset(items + size * (*n)++, 0, size);
}

static int read_pairs(struct definition *d, const struct yaml *map, void *object,
                      struct error *err) {
        struct definition_pairs *pairs = object;

        if (yaml_is_null(map))
                return 0;
        if (expect(map, YAML_MAP, err) < 0)
                return -EINVAL;
        for (size_t i = 0; i < map->n; i += 2) {
                struct definition_pair *pair;

                if (expect(map->items[i + 1], YAML_TEXT, err) < 0)
                        return -EINVAL;
                pair = append(&pairs->items, &pairs->n, sizeof(*pair), err);
                if (!pair)
                        return -ENOMEM;
                *pair = (struct definition_pair){ map->items[i]->text, map->items[i + 1]->text,
                                                  map->items[i] };
        }
        return 0;
}

static int read_top_annotations(struct definition *d, const struct yaml *value, void *object,
                                struct error *err) {
        return read_pairs(d, value, &d->annotations, err);
}

static int read_param_defaults(struct definition *d, const struct yaml *value, void *object,
                               struct error *err) {
        return read_pairs(d, value, &d->param_defaults, err);
}

/* --- datasources --- */

static int read_field_annotations(struct definition *d, const struct yaml *value, void *object,
                                  struct error *err) {
        struct definition_field *field = object;

        return read_pairs(d, value, &field->annotations, err);
}

static const struct rule field_rules[] = {
        { "annotations", .read = read_field_annotations },
};

static int read_fields(struct definition *d, const struct yaml *map, void *object,
                       struct error *err) {
        struct definition_source *source = object;

        if (yaml_is_null(map))
                return 0;
        if (expect(map, YAML_MAP, err) < 0)
                return -EINVAL;
        for (size_t i = 0; i < map->n; i += 2) {
                struct definition_field *field =
                        append(&source->fields, &source->n_fields, sizeof(*field), err);
                int r;

                if (!field)
                        return -ENOMEM;
                field->name = map->items[i]->text;
                field->node = map->items[i];
                r = read_map(d, map->items[i + 1], field_rules, ARRAY_SIZE(field_rules), field,
                             err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_source_annotations(struct definition *d, const struct yaml *value, void *object,
                                   struct error *err) {
        struct definition_source *source = object;

        return read_pairs(d, value, &source->annotations, err);
}

static const struct rule source_rules[] = {
        { "annotations", .read = read_source_annotations },
        { "fields", .read = read_fields },
};

static int read_sources(struct definition *d, const struct yaml *map, void *object,
                        struct error *err) {
        if (yaml_is_null(map))
                return 0;
        if (expect(map, YAML_MAP, err) < 0)
                return -EINVAL;
        for (size_t i = 0; i < map->n; i += 2) {
                struct definition_source *source =
                        append(&d->sources, &d->n_sources, sizeof(*source), err);
                int r;

                if (!source)
                        return -ENOMEM;
                source->name = map->items[i]->text;
                source->node = map->items[i];
                r = read_map(d, map->items[i + 1], source_rules, ARRAY_SIZE(source_rules), source,
                             err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- columns: the design document's attributes of a column, as the annotations that mean the same
 * --- */

static const struct {
        const char *name;
        const char *annotation; /* NULL: read, of no effect */
} column_attributes[] = {
        { "width", "columns.width" },
        { "minWidth", "columns.minwidth" },
        { "maxWidth", "columns.maxwidth" },
        { "alignment", "columns.alignment" },
        { "align", "columns.alignment" },
        { "visible", "columns.hidden" }, /* the value turns round */
        { "hide", "columns.hidden" },
        { "ellipsis", "columns.ellipsis" },
        { "ellipsisType", "columns.ellipsis" },
        { "fixed", "columns.fixed" },
        { "fixedWidth", "columns.fixed" },
        { "precision", "columns.precision" },
        { "description", "description" },
        { "desc", "description" },
        { "order", "columns.order" },
        { "group", "columns.group" },
        { "template", "template" },
        { "tags", NULL },
};

static int read_column_attribute(const struct yaml *key, const struct yaml *value,
                                 struct definition_field *field, struct error *err) {
        const char *names[ARRAY_SIZE(column_attributes)];

        for (size_t i = 0; i < ARRAY_SIZE(column_attributes); i++) {
                struct definition_pair *pair;
                bool visible;

                names[i] = column_attributes[i].name;
                if (strcasecmp(names[i], key->text) != 0)
                        continue;
                if (!column_attributes[i].annotation)
                        return 0;
                if (expect(value, YAML_TEXT, err) < 0)
                        return -EINVAL;
                pair = append(&field->annotations.items, &field->annotations.n, sizeof(*pair), err);
                if (!pair)
                        return -ENOMEM;
                *pair = (struct definition_pair){ column_attributes[i].annotation, value->text,
                                                  key };
                if (str_eq(names[i], "visible")) {
                        if (parse_bool(value->text, &visible) < 0)
                                return definition_error(value, err, NULL,
                                                        "'%.64s' is neither true nor false",
                                                        value->text);
                        pair->value = visible ? "false" : "true";
                }
                return 0;
        }
        return definition_error(key, err, text_nearest(key->text, names, ARRAY_SIZE(names)),
                                "'%.64s' is not an attribute of a column", key->text);
}

/* name_node NULL: the attributes hold a "name". */
static int read_column(struct definition_source *source, const struct yaml *name_node,
                       const struct yaml *map, struct error *err) {
        struct definition_field *field;

        if (expect(map, YAML_MAP, err) < 0)
                return -EINVAL;
        field = append(&source->fields, &source->n_fields, sizeof(*field), err);
        if (!field)
                return -ENOMEM;
        field->name = name_node ? name_node->text : NULL;
        field->node = name_node ? name_node : map;
        for (size_t i = 0; i < map->n; i += 2) {
                const struct yaml *value = map->items[i + 1];
                int r = 0;

                if (!name_node && strcasecmp(map->items[i]->text, "name") == 0 &&
                    value->kind == YAML_TEXT) {
                        field->name = value->text;
                        field->node = value;
                } else {
                        r = read_column_attribute(map->items[i], value, field, err);
                }
                if (r < 0)
                        return r;
        }
        return field->name ? 0 : definition_error(map, err, NULL, "a column needs a name");
}

static int read_columns(struct definition *d, const struct yaml *value, void *object,
                        struct error *err) {
        struct definition_source *source;
        int r = 0;

        if (yaml_is_null(value))
                return 0;
        source = append(&d->sources, &d->n_sources, sizeof(*source), err);
        if (!source)
                return -ENOMEM;
        source->node = value;
        if (value->kind == YAML_TEXT)
                return expect(value, YAML_LIST, err);
        for (size_t i = 0; r == 0 && i < value->n; i += value->kind == YAML_MAP ? 2 : 1)
                r = value->kind == YAML_MAP
                            ? read_column(source, value->items[i], value->items[i + 1], err)
                            : read_column(source, NULL, value->items[i], err);
        return r;
}

/* --- params --- */

static int read_mandatory(struct definition *d, const struct yaml *value, void *object,
                          struct error *err) {
        struct definition_param *param = object;

        if (expect(value, YAML_TEXT, err) < 0)
                return -EINVAL;
        if (parse_bool(value->text, &param->is_mandatory) < 0)
                return definition_error(value, err, NULL, "'%.64s' is neither true nor false",
                                        value->text);
        return 0;
}

static int read_possible_values(struct definition *d, const struct yaml *value, void *object,
                                struct error *err) {
        struct definition_param *param = object;

        if (yaml_is_null(value))
                return 0;
        if (expect(value, YAML_LIST, err) < 0)
                return -EINVAL;
        for (size_t i = 0; i < value->n; i++)
                if (expect(value->items[i], YAML_TEXT, err) < 0)
                        return -EINVAL;
        param->possible_values = value;
        return 0;
}

static int read_tags(struct definition *d, const struct yaml *value, void *object,
                     struct error *err) {
        return yaml_is_null(value) ? 0 : expect(value, YAML_LIST, err);
}

static const struct rule param_rules[] = {
        { "key", .text = TEXT_AT(struct definition_param, key) },
        { "defaultValue", .text = TEXT_AT(struct definition_param, default_value) },
        { "description", .text = TEXT_AT(struct definition_param, description) },
        { "alias", .text = TEXT_AT(struct definition_param, alias) },
        { "title", .text = TEXT_AT(struct definition_param, title) },
        { "typeHint", .text = TEXT_AT(struct definition_param, type_hint) },
        { "valueHint", .text = TEXT_AT(struct definition_param, value_hint) },
        { "isMandatory", .read = read_mandatory },
        { "possibleValues", .read = read_possible_values },
        { "tags", .read = read_tags },
};

static int read_ebpf_params(struct definition *d, const struct yaml *map, void *object,
                            struct error *err) {
        if (yaml_is_null(map))
                return 0;
        if (expect(map, YAML_MAP, err) < 0)
                return -EINVAL;
        for (size_t i = 0; i < map->n; i += 2) {
                struct definition_param *param;
                int r;

                if (d->n_params == LIMIT_PARAMS_MAX)
                        return definition_error(map->items[i], err, NULL, "more than %d parameters",
                                                LIMIT_PARAMS_MAX);
                param = append(&d->params, &d->n_params, sizeof(*param), err);
                if (!param)
                        return -ENOMEM;
                param->variable = map->items[i]->text;
                param->node = map->items[i];
                r = read_map(d, map->items[i + 1], param_rules, ARRAY_SIZE(param_rules), param,
                             err);
                if (r < 0)
                        return r;
                if (param->key && strlen(param->key) > LIMIT_PARAM_KEY_MAX)
                        return definition_error(param->node, err, NULL,
                                                "its key is longer than %d bytes",
                                                LIMIT_PARAM_KEY_MAX);
        }
        return 0;
}

static const struct rule params_rules[] = {
        { "ebpf", .read = read_ebpf_params },
        { "wasm", .refusal = "gadgets with wasm code are not supported" },
        { "custom", .refusal = "parameters that patch the definition are not supported" },
};

static int read_params(struct definition *d, const struct yaml *value, void *object,
                       struct error *err) {
        return read_map(d, value, params_rules, ARRAY_SIZE(params_rules), d, err);
}

/* --- programs --- */

static int read_attach_to(struct definition *d, const struct yaml *value, void *object,
                          struct error *err) {
        struct definition_program *program = object;

        if (value->kind == YAML_MAP)
                return expect(value, YAML_TEXT, err);
        for (size_t i = 0; i < value->n; i++)
                if (expect(value->items[i], YAML_TEXT, err) < 0)
                        return -EINVAL;
        program->attach_to = yaml_is_null(value) ? NULL : value;
        return 0;
}

static int read_when(struct definition *d, const struct yaml *value, void *object,
                     struct error *err) {
        struct definition_program *program = object;

        program->when = yaml_is_null(value) ? NULL : value;
        return yaml_is_null(value) ? 0 : expect(value, YAML_TEXT, err);
}

static int read_optional(struct definition *d, const struct yaml *value, void *object,
                         struct error *err) {
        struct definition_program *program = object;

        if (yaml_is_null(value))
                return 0;
        if (expect(value, YAML_TEXT, err) < 0)
                return -EINVAL;
        if (parse_bool(value->text, &program->is_optional) < 0)
                return definition_error(value, err, NULL, "'%.64s' is neither true nor false",
                                        value->text);
        return 0;
}

static const struct rule perf_rules[] = {
        { "type", .text = TEXT_AT(struct definition_program, perf_type) },
        { "config", .text = TEXT_AT(struct definition_program, perf_config) },
        { "sampleType", .text = TEXT_AT(struct definition_program, perf_sample_type) },
};

static int read_perf(struct definition *d, const struct yaml *value, void *object,
                     struct error *err) {
        return read_map(d, value, perf_rules, ARRAY_SIZE(perf_rules), object, err);
}

static const struct rule sampler_rules[] = {
        { "frequency", .text = TEXT_AT(struct definition_program, frequency) },
};

static int read_sampler(struct definition *d, const struct yaml *value, void *object,
                        struct error *err) {
        return read_map(d, value, sampler_rules, ARRAY_SIZE(sampler_rules), object, err);
}

static const struct rule program_rules[] = {
        { "attach_to", .read = read_attach_to }, { "when", .read = read_when },
        { "optional", .read = read_optional },   { "perf", .read = read_perf },
        { "sampler", .read = read_sampler },
};

static int read_programs(struct definition *d, const struct yaml *map, void *object,
                         struct error *err) {
        if (yaml_is_null(map))
                return 0;
        if (expect(map, YAML_MAP, err) < 0)
                return -EINVAL;
        for (size_t i = 0; i < map->n; i += 2) {
                struct definition_program *program =
                        append(&d->programs, &d->n_programs, sizeof(*program), err);
                int r;

                if (!program)
                        return -ENOMEM;
                program->name = map->items[i]->text;
                program->node = map->items[i];
                r = read_map(d, map->items[i + 1], program_rules, ARRAY_SIZE(program_rules),
                             program, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- the document --- */

static int read_ignored_text(struct definition *d, const struct yaml *value, void *object,
                             struct error *err) {
        return expect(value, YAML_TEXT, err);
}

#define GONE "this key of old gadgets is gone; use datasources"

static const struct rule top_rules[] = {
        { "name", .text = TEXT_AT(struct definition, name) },
        { "description", .text = TEXT_AT(struct definition, description) },
        { "documentation", .text = TEXT_AT(struct definition, documentation) },
        { "homepageURL",
          .read = read_ignored_text }, /* these three are for the image's annotations */
        { "documentationURL", .read = read_ignored_text },
        { "sourceURL", .read = read_ignored_text },
        { "annotations", .read = read_top_annotations },
        { "datasources", .read = read_sources },
        { "columns", .read = read_columns },
        { "params", .read = read_params },
        { "paramDefaults", .read = read_param_defaults },
        { "ebpfParams", .read = read_ebpf_params },
        { "programs", .read = read_programs },
        { "operator", .refusal = "operators are not configured by a gadget here" },
        { "structs", .refusal = GONE },
        { "tracers", .refusal = GONE },
        { "snapshotters", .refusal = GONE },
        { "toppers", .refusal = GONE },
};
_Static_assert(ARRAY_SIZE(top_rules) <= RULES_MAX, "RULES_MAX");

int definition_init(struct definition *d, const char *file, struct bytes text, struct error *err) {
        int r;

        *d = (struct definition){ 0 };
        if (text.len > LIMIT_DEFINITION_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG, "%s has more than %d bytes", file,
                                 LIMIT_DEFINITION_SIZE_MAX);
        r = yaml_parse(file, text, &d->tree, err);
        if (r < 0 || !d->tree)
                return r;
        return read_map(d, d->tree, top_rules, ARRAY_SIZE(top_rules), d, err);
}

void definition_done(struct definition *d) {
        for (size_t i = 0; i < d->n_sources; i++) {
                for (size_t k = 0; k < d->sources[i].n_fields; k++)
                        free(d->sources[i].fields[k].annotations.items);
                free(d->sources[i].fields);
                free(d->sources[i].annotations.items);
        }
        free(d->sources);
        free(d->params);
        free(d->programs);
        free(d->annotations.items);
        free(d->param_defaults.items);
        yaml_tree_free(d->tree);
        *d = (struct definition){ 0 };
}
