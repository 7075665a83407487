/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field tables: a struct declared once becomes a msgpack map on the wire. Encode, decode,
 * docs/PROTOCOL.md, api.describe and the generic tests come from the table. A wrong member type in
 * a table does not compile.
 *
 * Decoding works in place: it needs the frame's own, writable bytes, moves each string one byte
 * towards its header to make room for the NUL, and allocates nothing. Decoded pointers live as long
 * as the frame.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/util.h"

enum field_type {
        FIELD_TYPE_BOOL,
        FIELD_TYPE_U32,
        FIELD_TYPE_U64,
        FIELD_TYPE_I64,
        FIELD_TYPE_STR, /* const char *, NUL-terminated, valid UTF-8, no NUL inside; absent = NULL
                         */
        FIELD_TYPE_BIN, /* struct bytes; absent = { NULL, 0 } */
        FIELD_TYPE_ANY, /* struct bytes: one msgpack object, structurally valid; what is inside is
                           the handler's affair */
};

enum { FIELD_REQUIRED = 1 << 0 };

struct field {
        const char *name;
        enum field_type type;
        uint32_t offset;
        uint32_t flags;
        uint64_t max;    /* numbers: largest value; str, bin, any: most bytes */
        const char *doc; /* one sentence for docs/PROTOCOL.md, with unit and default */
};

#define FIELD_TYPED(_s, _m, _type)                                                                 \
        (0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((_s *)0)->_m), _type) ? 1 : -1]))
#define F_(_s, _m, _ctype, _type, _flags, _max, _doc)                                              \
        {                                                                                          \
#_m, _type, (uint32_t)(offsetof(_s, _m) + FIELD_TYPED(_s, _m, _ctype)), _flags,    \
                        _max, _doc                                                                 \
        }
#define F_BOOL(_s, _m, _flags, _doc) F_(_s, _m, bool, FIELD_TYPE_BOOL, _flags, 1, _doc)
#define F_U32(_s, _m, _flags, _max, _doc) F_(_s, _m, uint32_t, FIELD_TYPE_U32, _flags, _max, _doc)
#define F_U64(_s, _m, _flags, _max, _doc) F_(_s, _m, uint64_t, FIELD_TYPE_U64, _flags, _max, _doc)
#define F_I64(_s, _m, _flags, _doc) F_(_s, _m, int64_t, FIELD_TYPE_I64, _flags, INT64_MAX, _doc)
#define F_STR(_s, _m, _flags, _max, _doc)                                                          \
        F_(_s, _m, const char *, FIELD_TYPE_STR, _flags, _max, _doc)
#define F_BIN(_s, _m, _flags, _max, _doc)                                                          \
        F_(_s, _m, struct bytes, FIELD_TYPE_BIN, _flags, _max, _doc)
#define F_ANY(_s, _m, _flags, _max, _doc)                                                          \
        F_(_s, _m, struct bytes, FIELD_TYPE_ANY, _flags, _max, _doc)

struct record {
        const char *name;
        const struct field *fields;
        uint32_t n_fields;
        uint32_t size; /* sizeof the struct */
};
#define RECORD(_name, _struct, _fields)                                                            \
        { _name, _fields, ARRAY_SIZE(_fields), sizeof(_struct) }
#define RECORD_EMPTY(_name)                                                                        \
        { _name, NULL, 0, 0 }

/* Appends the struct as a msgpack map; absent strings, empty bins and zero-valued optional numbers
 * are left out. NULL is a struct without anything, and -EINVAL where something is required. */
int record_encode(const struct record *record, const void *object, struct buf *out);

/* Says which member record_encode() could not take, and why; r is what it returned, and is
 * returned. */
int record_encode_error(const struct record *record, const void *object, int r, struct error *err);

enum record_mode {
        RECORD_STRICT,  /* between our own processes: an unknown key is an error */
        RECORD_LENIENT, /* from clients and from newer peers: unknown keys are skipped */
};

/* Decodes exactly one map filling `frame`. -EBADMSG with the field named in err. object is zeroed
 * first. */
int record_decode(const struct record *record, uint8_t *frame, size_t len, enum record_mode mode,
                  void *object, struct error *err);

const char *field_type_name(enum field_type type);
