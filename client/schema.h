/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoded schema of a gadget (include/gadget/schema.h): data sources, fields, enums and
 * parameters. It comes from a worker that parsed an untrusted object, so every count and length is
 * bounded and every string is valid UTF-8 without NUL. Strings may still hold control characters:
 * whoever prints one escapes it.
 */
#pragma once

#include "base/error.h"
#include "base/rendered.h"
#include "gadget/api.h"
#include "gadget/schema.h"

struct annotation {
        const char *key;
        const char *value;
};

struct annotations {
        struct annotation *items;
        uint32_t n;
};

struct schema_enum {
        const char *name;
        bool is_set; /* values are bits that may stand together */
        struct enum_value *values;
        uint32_t n_values;
};

struct schema_field {
        const char *name; /* dotted */
        enum field_kind kind;
        enum field_kind elem;
        enum field_render render;
        uint32_t flags;
        const char *target;                    /* "" = no rendered twin */
        const struct schema_enum *enumeration; /* NULL = none */
        const char *ctype;
        struct annotations annotations;
};

struct schema_stream {
        const char *name;
        enum stream_kind kind;
        struct annotations annotations;
        struct schema_field *fields;
        uint32_t n_fields;
};

struct schema_param {
        const char *key;
        const char *alias;
        const char *variable;
        enum field_kind kind;
        uint32_t size; /* bytes; 0 = not said */
        const struct schema_enum *enumeration;
        const char *default_value;
        const char *description;
        bool mandatory;
        const char **values; /* the only values accepted; none listed = any */
        uint32_t n_values;
};

struct schema {
        const char *name;
        const char *description;
        const char *docs;
        uint64_t map_bytes_declared; /* kernel memory of the maps; 0 = not said */
        uint64_t map_bytes;          /* as they are made under these parameters */
        struct schema_enum *enums;
        uint32_t n_enums;
        struct schema_stream *streams;
        uint32_t n_streams;
        struct schema_param *params;
        uint32_t n_params;
        struct schema_chunk *chunks; /* all memory of the above */
};

/* Decodes exactly one schema; -EBADMSG names the part that is wrong, -E2BIG the limit that is
 * passed. */
int schema_new(struct bytes encoded, struct schema **ret, struct error *err);
struct schema *schema_free(struct schema *schema);
DEFINE_CLEANUP(struct schema, schema_free)

/* NULL when there is no such annotation. */
const char *annotation_get(const struct annotations *annotations, const char *key);

/* How the field's integers are rendered; lives as long as the schema. */
struct rendering schema_rendering(const struct schema_field *field);
