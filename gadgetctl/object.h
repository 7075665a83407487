/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps and arrays as the daemon sends them (listings, show, inspect), and printing such things
 * piece by piece as JSON or YAML. Text is escaped; JSON and YAML are always valid.
 */
#pragma once

#include "base/buf.h"
#include "client/out.h"
#include "gadgetctl/command.h"

/* The value of a key of an encoded map, still encoded; false when it is not there. */
bool object_get(struct bytes map, const char *key, struct bytes *ret);

/* Typed: what is not there or of another type reads as "", 0, false. The text is a copy into a
 * buffer of n bytes, cut there. */
const char *object_text(struct bytes map, const char *key, char *buf, size_t n);
uint64_t object_uint(struct bytes map, const char *key);
bool object_bool(struct bytes map, const char *key);
struct bytes object_bin(struct bytes map, const char *key);

/* Elements of an encoded array one by one: `rest` starts as the array; false at its end. */
struct object_iter {
        struct bytes rest;
        uint32_t left;
};
struct object_iter object_iter_of(struct bytes array);
bool object_next(struct object_iter *iter, struct bytes *ret);

struct printer {
        struct out *out;
        enum output_format format;
        struct {
                bool is_map;
                bool needs_newline; /* yaml: behind "key:" until the first child comes */
                unsigned int indent;
                uint32_t n;
        } stack[32];
        unsigned int depth;
        bool is_inline; /* yaml: the cursor stands behind "- " */
        bool is_after_key;
};

/* format: FORMAT_JSON, FORMAT_JSONPRETTY or FORMAT_YAML. */
void printer_init(struct printer *p, struct out *out, enum output_format format);
void printer_map(struct printer *p);
void printer_array(struct printer *p);
void printer_end(
        struct printer *p); /* of the innermost map or array; behind the outermost a newline */
void printer_key(struct printer *p, const char *key);
void printer_key_bytes(struct printer *p, struct bytes key);
void printer_text(struct printer *p, const char *text);
void printer_uint(struct printer *p, uint64_t v);
void printer_bool(struct printer *p, bool v);

/* A whole encoded object. */
void printer_object(struct printer *p, struct bytes encoded);
