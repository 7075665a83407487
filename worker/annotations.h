/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations of data sources and fields: small lists of key and value that travel to clients in
 * the schema. The keys, their values and the templates that exist are tables here; a definition
 * file that uses others is refused.
 */
#pragma once

#include "base/error.h"

struct annotation {
        char *key;
        char *value;
};

struct annotations {
        struct annotation *items;
        size_t n;
};

void annotations_done(struct annotations *a);

/* Replaces the value of a key that is there. -ENOMEM. */
int annotations_set(struct annotations *a, const char *key, const char *value);

/* NULL when the key is not there. Borrowed. */
const char *annotations_get(const struct annotations *a, const char *key);

/* True for "true", "1", "yes" and false for everything else, also for no value. */
bool annotations_is_true(const struct annotations *a, const char *key);

enum annotation_scope { ANNOTATION_OF_SOURCE, ANNOTATION_OF_FIELD };

/* Whether the key exists for this scope. If not, *ret_near is a similar one or NULL. */
bool annotation_is_known(enum annotation_scope scope, const char *key, const char **ret_near);

/* Whether the key, which is known, takes this value. *ret_takes says what it takes; *ret_near is a
 * similar value or NULL. */
bool annotation_takes(enum annotation_scope scope, const char *key, const char *value,
                      const char **ret_takes, const char **ret_near);

/* Why a gadget with this annotation is refused, or NULL. */
const char *annotation_refusal(const char *key);

/* What an annotation is for that says nothing to gadgetd ("exporters of metrics"), or NULL: gadgets
 * that are written for others as well have them. */
const char *annotation_is_for_others(const char *key);

/* Whether it is about an output mode that we do not have, though other clients do. */
bool annotation_names_raw_mode(const char *key, const char *value);

/* Sets what the template stands for. -ENOENT for an unknown one, with *ret_near as above. */
int annotations_apply_template(struct annotations *a, const char *name, const char **ret_near);
