/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the BTF of an event's C type to the flat list of fields that clients see: nested structs as
 * dotted names, the types of the SDK (gadget_timestamp, gadget_l4endpoint_t, ...) with the meaning
 * that their names promise. The BTF is foreign: it has passed btf_check(), and what is read from it
 * here is bounded again.
 */
#pragma once

#include <bpf/btf.h>

#include "base/error.h"
#include "gadget/schema.h"
#include "worker/annotations.h"
#include "worker/enrich.h"

#define NO_OFFSET UINT32_MAX

/* Where an event keeps the ids that a container is found by; NO_OFFSET = it has none. */
struct container_ids {
        uint32_t mntns;
        uint32_t netns;
        uint8_t mntns_size;
        uint8_t netns_size;
};

struct event_field {
        char *name;   /* dotted */
        char *target; /* name of the rendered twin, or NULL */
        char *ctype;
        enum field_kind kind;
        enum field_kind elem; /* FIELD_ARRAY */
        enum field_render render;
        uint32_t flags;
        uint32_t offset;         /* in the event */
        uint32_t size;           /* of the value; of one element of FIELD_ARRAY */
        uint32_t n;              /* elements of FIELD_ARRAY */
        uint32_t version_offset; /* FIELD_IP: where the byte 4 or 6 is; NO_OFFSET = there is none */
        uint32_t added;          /* FIELD_ADDED: which of worker/container.c, from 1; else 0 */
        struct container_ids ids; /* FIELD_ADDED, with `added`: of the container that it is about */
        enum enrich enrich;       /* the value is the text that is made of what is here */
        enum enrich twin;         /* what a second field, its twin, may say of this one */
        uint32_t extra_offset;    /* of struct enrich_from */
        int enum_index;           /* in struct type_enums, -1 = none */
        bool is_boot_time;        /* the worker turns it into wall-clock time */
        struct annotations annotations; /* of the target if there is one, else of the field */
};

struct event_type {
        char *name;
        uint32_t size;
        struct event_field *fields;
        size_t n_fields;
        char **groups; /* dotted names of nested structs: a definition may annotate them */
        size_t n_groups;
};

/* An enum whose names clients need: of the gadget's BTF, or one that we know ourselves. */
struct type_enum_value {
        const char *name;
        int64_t value;
};
struct type_enum {
        const char *name; /* borrowed from btf, or static */
        bool is_set;
        const struct btf *btf;
        uint32_t btf_id;
        const struct type_enum_value *values; /* when btf is NULL */
        size_t n_values;
        bool is_signed;                        /* likewise */
        struct type_enum_value *kernel_values; /* values, if they are ours to free */
};
struct type_enums {
        struct type_enum *items;
        size_t n;
};
void type_enums_done(struct type_enums *enums);

struct type_options {
        bool bytes_are_text; /* the design document's gadgets declare text as __u8 [] */
};

/* Flattens the struct with this id. btf must outlive enums. */
int event_type_new(const struct btf *btf, uint32_t id, const struct type_options *options,
                   struct type_enums *enums, struct event_type **ret, struct error *err);

/* What an entry of a map is as an event: the key, and behind it, at *ret_value_offset, the value.
 * Either may be a struct or a number, which is then called "key" or "value". */
int event_type_of_entry(const struct btf *btf, uint32_t key_id, uint32_t value_id,
                        const struct type_options *options, struct type_enums *enums,
                        struct event_type **ret, uint32_t *ret_value_offset, struct error *err);
struct event_type *event_type_free(struct event_type *type);
DEFINE_CLEANUP(struct event_type, event_type_free)

/* Follows const, volatile and typedefs. 0 for void. */
uint32_t btf_resolve(const struct btf *btf, uint32_t id);

/* True when id is `typedef name`, directly or through other typedefs, const and volatile. */
bool btf_has_typedef(const struct btf *btf, uint32_t id, const char *name);

/* Of a BTF_KIND_ENUM or BTF_KIND_ENUM64. Unsigned 64-bit values come out as the same bits. */
bool btf_enum_is_signed(const struct btf *btf, uint32_t id);
int64_t btf_enum_value_at(const struct btf *btf, uint32_t id, uint32_t i);
const char *btf_enum_name_at(const struct btf *btf, uint32_t id, uint32_t i);
