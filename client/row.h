/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One encoded row, taken apart for whoever asks for values by name: filters, sorting, tests, other
 * programs. Printing many rows does not come this way (client/render.c).
 */
#pragma once

#include "base/buf.h"
#include "base/format.h"
#include "base/value.h"
#include "client/schema.h"
#include "ipc/mp.h"

struct row {
        const struct schema_stream *stream;
        const uint8_t
                *elements[LIMIT_FIELDS_MAX + 1]; /* behind the last stands the end of the row */
};

/* Takes the first row of *rows and moves past it. 1 = ret is set; 0 = no row is left; -EBADMSG = no
 * row of this stream. */
int row_next(const struct schema_stream *stream, struct bytes *rows, struct row *ret);

/* What a name stands for: a field, or the rendering of one (its target). */
struct field_ref {
        const struct schema_field *field;
        uint32_t index;
        bool is_rendered;
};

/* 0, or -ENOENT; fields come before targets. Names do not care about case. */
int field_find(const struct schema_stream *stream, const char *name, struct field_ref *ret);

/* The nearest name that the stream has, or NULL. */
const char *field_nearest(const struct schema_stream *stream, const char *name);

/* Numbers (bools are 0 or 1; VALUE_INT only for what is below zero), and the bytes of a str or bin,
 * which live as long as the row. VALUE_NONE for everything else, such as arrays. */
struct value row_value(const struct row *row, const struct field_ref *ref);

/* Any value as text, not escaped: what JSON shows between its quotes. Elements of arrays are joined
 * by spaces. */
void row_append_text(const struct row *row, const struct field_ref *ref, struct format_clock *clock,
                     struct buf *b);
