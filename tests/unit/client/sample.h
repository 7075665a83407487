/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas and rows made by hand, for the tests and the benchmark of libgadget. */
#pragma once

#include "base/buf.h"
#include "gadget/schema.h"

struct sample_field {
        const char *name;
        enum field_kind kind;
        enum field_render render;
        const char *target;
        uint32_t flags;
        int enumeration; /* index + 1; 0 = none */
        enum field_kind elem;
        const char *ctype;
        const char *annotations[16]; /* key, value, ..., NULL */
};

struct sample_stream {
        const char *name;
        enum stream_kind kind;
        const struct sample_field *fields;
        uint32_t n_fields;
        const char *annotations[8]; /* key, value, ..., NULL */
};

struct sample_value {
        const char *name;
        int64_t value;
};

struct sample_enum {
        const char *name;
        bool is_set;
        const struct sample_value *values;
        uint32_t n_values;
};

/* Appends an encoded schema. */
void sample_schema(struct buf *b, const struct sample_stream *streams, uint32_t n_streams,
                   const struct sample_enum *enums, uint32_t n_enums);

/* Elements of a row. */
void sample_array(struct buf *b, uint32_t n);
void sample_map(struct buf *b, uint32_t n);
void sample_uint(struct buf *b, uint64_t v);
void sample_int(struct buf *b, int64_t v);
void sample_bool(struct buf *b, bool v);
void sample_nil(struct buf *b);
void sample_double(struct buf *b, double v);
void sample_str(struct buf *b, const char *text);
void sample_strn(struct buf *b, const void *text, size_t n);
void sample_bin(struct buf *b, const void *data, size_t n);

/* What trace_open says of its events, and the i-th of them. */
extern const struct sample_stream sample_open;
void sample_open_row(struct buf *b, uint32_t i);
