/* SPDX-License-Identifier: Apache-2.0 */
#include "client/row-filter.h"

#include "base/filter.h"

#define TEXT_MAX (1u << 20)

struct row_filter {
        struct filter *filter;
        const struct schema_stream *stream;
        struct format_clock clock;
        struct buf text; /* of an array being looked at */
};

struct row_filter *row_filter_free(struct row_filter *filter) {
        if (!filter)
                return NULL;
        filter_free(filter->filter);
        buf_done(&filter->text);
        free(filter);
        return NULL;
}

/* --- the stream, as filters see it --- */

struct subject {
        const struct schema *schema;
        const struct schema_stream *stream;
};

static void field_at(void *userdata, uint32_t i, struct filter_field *ret) {
        const struct subject *subject = userdata;
        const struct schema_field *f = &subject->stream->fields[i];

        *ret = (struct filter_field){
                .name = f->name,
                .target = f->target,
                .kind = f->kind,
                .elem = f->elem,
                .rendering = schema_rendering(f),
        };
}

static bool enumerator_at(void *userdata, uint32_t field, uint32_t i, struct enum_value *ret) {
        const struct subject *subject = userdata;
        const struct schema_enum *e = subject->stream->fields[field].enumeration;

        if (!e || i >= e->n_values)
                return false;
        *ret = e->values[i];
        return true;
}

static bool is_elsewhere(void *userdata, const char *name) {
        const struct subject *subject = userdata;
        struct field_ref ref;

        for (uint32_t i = 0; i < subject->schema->n_streams; i++)
                if (&subject->schema->streams[i] != subject->stream &&
                    field_find(&subject->schema->streams[i], name, &ref) == 0)
                        return true;
        return false;
}

int row_filter_new(const struct schema *schema, const struct schema_stream *stream,
                   const char *terms, const char *expression, struct row_filter **ret,
                   struct error *err) {
        cleanup(row_filter_freep) struct row_filter *filter = calloc(1, sizeof(*filter));
        struct subject subject = { schema, stream };
        int r;

        *ret = NULL;
        if (!filter)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        filter->stream = stream;
        filter->text = BUF_INIT(TEXT_MAX);
        r = filter_new(
                &(struct filter_source){
                        .name = stream->name,
                        .userdata = &subject,
                        .n_fields = stream->n_fields,
                        .field = field_at,
                        .enumerator = enumerator_at,
                        .elsewhere = is_elsewhere,
                },
                terms, expression, &filter->filter, err);
        if (r == 0 && filter->filter)
                *ret = TAKE_PTR(filter);
        return r;
}

/* --- rows --- */

struct subject_row {
        struct row_filter *filter;
        const struct row *row;
};

static struct value get(const void *userdata, uint32_t field) {
        const struct subject_row *s = userdata;
        struct field_ref ref = { &s->filter->stream->fields[field], field, false };
        struct buf *b = &s->filter->text;

        if (ref.field->kind != FIELD_ARRAY)
                return row_value(s->row, &ref);
        buf_reset(b);
        row_append_text(s->row, &ref, &s->filter->clock, b);
        return (struct value){ .type = VALUE_BYTES,
                               .bytes = b->failed ? BYTES("", 0) : BYTES(b->data, b->len) };
}

bool row_filter_passes(struct row_filter *filter, const struct row *row) {
        return filter_passes(filter->filter, get, &(struct subject_row){ filter, row });
}
