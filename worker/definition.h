/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The definition file of a gadget (gadget.yaml), as written: names are checked against the object
 * later, by who knows them. Both forms are read: today's (datasources, params, programs) and the
 * design document's (documentation, columns). Keys of fixed meaning are matched without regard to
 * case, because existing gadgets write datasources and dataSources.
 */
#pragma once

#include "worker/yaml-tree.h"

/* Strings and nodes everywhere below are borrowed from the tree that the definition owns; absent =
 * NULL. */
struct definition_pair {
        const char *key;
        const char *value;
        const struct yaml *node; /* for messages: where the key stands */
};

struct definition_pairs {
        struct definition_pair *items;
        size_t n;
};

struct definition_field {
        const char *name;
        const struct yaml *node;
        struct definition_pairs annotations;
};

struct definition_source {
        const char *name; /* NULL: the only one there is ("columns" of the design document) */
        const struct yaml *node;
        struct definition_pairs annotations;
        struct definition_field *fields;
        size_t n_fields;
};

struct definition_param {
        const char *variable;
        const struct yaml *node;
        const char *key;
        const char *default_value;
        const char *description;
        const char *alias;
        const char *title;
        const char *type_hint;
        const char *value_hint;
        bool is_mandatory;
        const struct yaml *possible_values; /* YAML_LIST */
};

struct definition_program {
        const char *name;
        const struct yaml *node;
        const struct yaml
                *attach_to; /* YAML_TEXT, or YAML_LIST of which the first that exists is taken */
        const struct yaml *when; /* YAML_TEXT: a bool parameter; '!' in front: if it is false */
        bool is_optional;        /* going on without it when it cannot be attached */
        const char *perf_type;
        const char *perf_config;
        const char *perf_sample_type;
        const char *frequency;
};

struct definition {
        struct yaml *tree;
        const char *name;
        const char *description;
        const char *documentation;
        struct definition_pairs annotations;
        struct definition_pairs param_defaults;
        struct definition_source *sources;
        size_t n_sources;
        struct definition_param *params;
        size_t n_params;
        struct definition_program *programs;
        size_t n_programs;
};

/* Empty text is an empty definition. Messages say "file:line:column: ..."; file outlives the
 * definition. definition_done() is due in any case. */
int definition_init(struct definition *d, const char *file, struct bytes text, struct error *err);
void definition_done(struct definition *d);

/* error_set() with "file:line:column: " in front and "; did you mean '...'?" behind when
 * near is not NULL. */
int definition_error(const struct yaml *node, struct error *err, const char *near, const char *fmt,
                     ...) PRINTF_LIKE(4, 5);
