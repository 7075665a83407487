/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema: what a worker says once about its data sources, so that rows can be positional. It
 * travels as msgpack and is opaque to gadgetd; clients decode it. Row = msgpack array with one
 * element a field, in order.
 *
 *   { "version": 1,
 *     "gadget": { "name": str, "description": str, "docs": str,
 *                 "map_bytes_declared": u (kernel memory of all maps as the object declares them),
 *                 "map_bytes": u (as they are made: maps that the parameters leave unused have one
 * entry) }, "enums": [ { "name": str, "set": bool, "values": [ [name, int], ... ] }, ... ],
 *     "streams": [ { "name": str, "kind": u (enum stream_kind), "annotations": { str: str },
 *                    "fields": [ FIELD, ... ] }, ... ],
 *     "params": [ PARAM, ... ] }
 *
 *   FIELD = { "name": str (dotted), "kind": u (enum field_kind), "flags": u (enum field_flags),
 *             "render": u (enum field_render), "target": str (name of the rendered twin, "" =
 * none), "enum": u (index, for RENDER_ENUM), "elem": u (enum field_kind, for FIELD_ARRAY), "ctype":
 * str (C type or typedef), "annotations": { str: str } } PARAM = { "key": str, "alias": str,
 * "variable": str, "kind": u (enum field_kind), "size": u (bytes), "enum": u?, "default": str,
 * "description": str, "mandatory": bool }
 *
 * Absent keys mean 0, "" or {}. Readers ignore keys they do not know.
 *
 * A field with a target is shown under two names: the value itself under its own name, which is
 * never among the default columns, and the rendered text under the target. Its FIELD_HIDDEN and its
 * annotations (columns.*, description) then speak of the target. PARAM may have "values": [ str,
 * ... ], the only values accepted (possible values, or names of an enum).
 */
#pragma once

/* The largest values of columns.width (and minwidth, maxwidth) and columns.precision. */
#define COLUMN_WIDTH_MAX 4096
#define COLUMN_PRECISION_MAX 20

/* How clients print rows; a data source may name the ones that suit it (cli.*-output-mode*). */
/* clang-format off */
#define GADGET_OUTPUT_MODES(X)      \
        X(COLUMNS,    "columns")    \
        X(JSON,       "json")       \
        X(JSONPRETTY, "jsonpretty") \
        X(YAML,       "yaml")       \
        X(CSV,        "csv")        \
        X(NONE,       "none")
/* clang-format on */

enum stream_kind {
        STREAM_TRACER,    /* rows one by one, as they happen */
        STREAM_MAP,       /* array: a map read every interval (toppers) */
        STREAM_SNAPSHOT,  /* array: iterators, once or every interval */
        STREAM_HISTOGRAM, /* array: a map with histogram slots (profilers) */
        _STREAM_KIND_MAX,
};

/* How a field stands in a row. */
enum field_kind {
        FIELD_BOOL,  /* msgpack bool */
        FIELD_UINT,  /* msgpack unsigned */
        FIELD_INT,   /* msgpack signed */
        FIELD_FLOAT, /* msgpack float32 or float64 */
        FIELD_STR,   /* msgpack str; bytes as the kernel gave them, not always UTF-8 */
        FIELD_BIN,   /* msgpack bin */
        FIELD_ARRAY, /* msgpack array of `elem` */
        FIELD_IP,    /* msgpack bin of 4 or 16 bytes, network order; empty = unknown */
        _FIELD_KIND_MAX,
};

enum field_flags {
        FIELD_HIDDEN = 1 << 0, /* not among the default columns */
        FIELD_KEY = 1 << 1,    /* part of a map's key */
        FIELD_ADDED = 1 << 2,  /* not in the gadget's struct: added by enrichment */
};

/* What a client makes of the value. It needs no host state for any of these. */
enum field_render {
        RENDER_NONE,
        RENDER_TIMESTAMP, /* ns since the epoch (the worker has already re-based boot time) */
        RENDER_ERRNO,
        RENDER_SIGNAL,
        RENDER_SYSCALL,
        RENDER_FILE_MODE,
        RENDER_FILE_FLAGS,
        RENDER_BYTES,
        RENDER_DURATION,  /* ns */
        RENDER_ENUM,      /* name, or names of the set bits when the enum is a set */
        RENDER_HISTOGRAM, /* FIELD_ARRAY of log2 slots */
        _RENDER_MAX,
};
