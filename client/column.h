/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a data source can show, and what of it is shown. A field gives one column; a field with a
 * target gives two (the text under the target's name, the value itself under its own); an address
 * (X.addr, X.port) gives one more, X, that shows both.
 */
#pragma once

#include "client/schema.h"

enum column_source {
        COLUMN_VALUE,    /* the element as it is */
        COLUMN_RENDERED, /* the text made of it */
        COLUMN_ENDPOINT, /* "addr:port" of two elements */
};

enum ellipsis { ELLIPSIS_NONE, ELLIPSIS_START, ELLIPSIS_MIDDLE, ELLIPSIS_END };

struct column {
        const char *name; /* dotted */
        char *header;     /* upper case, escaped */
        enum column_source source;
        const struct schema_field *field;
        uint32_t index;             /* of the element in the row */
        uint32_t port_index;        /* COLUMN_ENDPOINT: UINT32_MAX = no port */
        const struct column *shows; /* columns.replace: the one whose value stands here in tables;
                                       NULL = its own */
        uint32_t width;
        uint32_t min_width;
        uint32_t max_width; /* 0 = none */
        int precision;      /* floats; -1 = shortest */
        enum ellipsis ellipsis;
        bool right;
        bool fixed;  /* width stays as it is on any terminal */
        bool hidden; /* not shown unless asked for */
        bool hex;
        bool skip_json;
        bool owns_name;
};

struct columns {
        struct column *items;
        uint32_t n;
        const struct schema_stream *stream;
        uint32_t *order; /* the selected ones, in the order of output */
        uint32_t n_order;
        bool is_explicit; /* --fields said something about this data source */
};

int columns_init(struct columns *columns, const struct schema_stream *stream);
void columns_done(struct columns *columns);

/* for_people: the default is what is not hidden (columns, csv); else everything but endpoints and
 * json.skip. */
void columns_select_default(struct columns *columns, bool for_people);

/*
 * Applies `--fields` to all data sources of a gadget: "a,b" (these, in this order), "+a,-b"
 * (against the default), with several data sources also "ds1:a,b;ds2:c". A name stands for itself
 * or for all that lies below it ("proc" for "proc.pid"...). -EINVAL suggests the nearest name for
 * one that no data source has.
 */
int columns_select(struct columns *all, uint32_t n_all, const char *fields, bool for_people,
                   struct error *err);

/* Chooses widths so that a row fills `terminal` columns as well as it can. */
void columns_fit(struct columns *columns, uint32_t terminal);
