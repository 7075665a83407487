/* SPDX-License-Identifier: Apache-2.0 */
/* What render-compile.c makes and render.c runs. Inside client/ only. */
#pragma once

#include "base/format.h"
#include "client/column.h"
#include "client/render.h"
#include "client/screen.h"

/* How text is made safe. */
enum style {
        STYLE_TABLE, /* columns: control characters escaped, nothing quoted */
        STYLE_JSON,  /* quoted; also yaml, whose double-quoted strings are a superset */
        STYLE_CSV,   /* as table, quoted where RFC 4180 wants it */
};

enum opcode {
        OP_ANY,    /* by the type found in the row */
        OP_NUMBER, /* integer */
        OP_STRING,
        OP_TIMESTAMP, /* integer, rendered */
        OP_MEMO,      /* integer, rendered by a function whose results are remembered */
        OP_ADDRESS,   /* bin of an IP address */
        OP_ENDPOINT,  /* address and port of two elements */
        OP_HISTOGRAM, /* array of counts, one a log2 slot */
};

#define MEMO_TEXT 112 /* a multiple of what is copied at once */
#define MEMO_SLOTS 64

#define LAST_TEXT 32

struct memo_slot {
        uint64_t key;
        bool is_used;
        uint8_t n;
        uint8_t n_columns;
        uint8_t text[MEMO_TEXT];
} __attribute__((aligned(64)));

struct op {
        const uint8_t *before; /* fixed text in front */
        uint32_t n_before;
        enum opcode opcode;
        uint16_t index;      /* of the element */
        uint16_t port_index; /* OP_ENDPOINT; UINT16_MAX = no port */
        uint16_t width;      /* padded to, 0 = not */
        bool right;
        bool cut;     /* to width */
        bool is_last; /* nothing comes behind it: not padded */
        bool hex;
        int8_t precision;
        enum ellipsis ellipsis;
        const struct schema_field *field;
        const char *unit;   /* OP_HISTOGRAM: of the values counted, "" = none; lives as long as the
                               schema */
        const char *header; /* OP_HISTOGRAM: name of the field, likewise */
        struct memo_slot *memo; /* OP_MEMO: MEMO_SLOTS of them */
        /* OP_NUMBER: the last one and its text with padding; pids, uids and the like come again and
         * again. */
        uint64_t last;
        uint8_t last_sign;
        uint8_t n_last; /* 0 = none */
        uint8_t last_text[LAST_TEXT];
};

struct text {
        uint8_t *data;
        uint32_t n;
};

struct program {
        struct op *ops;
        uint32_t n_ops;
        uint32_t n_fields; /* elements of a row */
        uint32_t room;     /* bytes that a row takes at most, strings and texts of any length not
                              counted */
        enum style style;
        struct text behind; /* fixed text behind the last operation */
        struct text header;
        struct text
                open; /* array data sources: before the first row, between rows, behind the last */
        struct text between;
        struct text close;
        struct text empty; /* in place of open and close when there was no row */
        bool is_array;
        bool is_live;    /* an array that comes again and again: redrawn on a terminal */
        bool is_silent;  /* rows are counted only */
        uint8_t *memory; /* all fixed text of the above */
};

struct renderer {
        struct out *out;
        uint32_t on_screen; /* bit by data source: tables whose arrays were drawn (since the screen
                               was cleared) */
        struct screen screen;
        struct render_options options;
        struct program programs[LIMIT_STREAMS_MAX];
        uint32_t n_programs;
        uint32_t header_of; /* program whose header was printed last; UINT32_MAX = none */
        bool is_in_array[LIMIT_STREAMS_MAX]; /* between open and close */
        bool has_row[LIMIT_STREAMS_MAX];     /* of the open array */
        struct format_clock clock;
        struct buf scratch; /* escaping what is not plain */
        struct buf scratch2;
};

int program_compile(const struct schema *schema, struct columns *columns,
                    const struct render_options *options, struct program *ret);
void program_done(struct program *program);
