/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/event-filter.h"

#include "base/filter.h"
#include "worker/value.h"

struct event_filter {
        struct filter *filter;
        struct value_field *fields;
};

struct event_filter *event_filter_free(struct event_filter *f) {
        if (!f)
                return NULL;
        filter_free(f->filter);
        free(f->fields);
        free(f);
        return NULL;
}

/* --- the data source, as filters see it --- */

struct subject {
        const struct gadget *g;
        const struct source *source;
};

static void field_at(void *userdata, uint32_t i, struct filter_field *ret) {
        const struct subject *subject = userdata;
        const struct event_field *f = &subject->source->type->fields[i];

        *ret = (struct filter_field){
                .name = f->name,
                .target = f->target,
                .kind = f->kind,
                .elem = f->elem,
                .rendering = { .render = f->render },
        };
        if (f->render != RENDER_ENUM)
                return;
        ret->rendering.is_set = subject->g->enums.items[f->enum_index].is_set;
        ret->rendering.separator =
                annotations_get(&f->annotations, "ebpf.formatter.bitfield.separator");
}

static bool enumerator_at(void *userdata, uint32_t field, uint32_t i, struct enum_value *ret) {
        const struct subject *subject = userdata;
        const struct event_field *f = &subject->source->type->fields[field];
        const struct type_enum *e = &subject->g->enums.items[f->enum_index];
        size_t n = e->btf ? btf_vlen(btf__type_by_id(e->btf, e->btf_id)) : e->n_values;

        if (i >= n)
                return false;
        ret->name = e->btf ? btf_enum_name_at(e->btf, e->btf_id, i) : e->values[i].name;
        ret->value = e->btf ? btf_enum_value_at(e->btf, e->btf_id, i) : e->values[i].value;
        return true;
}

static bool is_elsewhere(void *userdata, const char *name) {
        const struct subject *subject = userdata;

        for (size_t i = 0; i < subject->g->n_sources; i++)
                if (&subject->g->sources[i] != subject->source &&
                    value_find_field(subject->g->sources[i].type, name, NULL))
                        return true;
        return false;
}

DEFINE_CLEANUP(struct event_filter, event_filter_free)

int event_filter_new(const struct gadget *g, const struct source *source, struct event_filter **ret,
                     struct error *err) {
        cleanup_free char *terms = NULL, *expression = NULL;
        cleanup(event_filter_freep) struct event_filter *f = NULL;
        const struct event_type *type = source->type;
        struct subject subject = { g, source };
        int r;

        *ret = NULL;
        r = gadget_option(g, source, RUN_OPTION_FILTER, &terms, err);
        if (r == 0)
                r = gadget_option(g, source, RUN_OPTION_FILTER_EXPR, &expression, err);
        if (r < 0 || (!terms && !expression))
                return r;
        f = calloc(1, sizeof(*f));
        if (!f || !(f->fields = calloc(MAX(type->n_fields, (size_t)1), sizeof(*f->fields))))
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for the filter");
        for (size_t i = 0; i < type->n_fields; i++)
                value_field_init(&f->fields[i], &type->fields[i]);
        r = filter_new(
                &(struct filter_source){
                        .name = source->name,
                        .userdata = &subject,
                        .n_fields = (uint32_t)type->n_fields,
                        .field = field_at,
                        .enumerator = enumerator_at,
                        .elsewhere = is_elsewhere,
                },
                terms, expression, &f->filter, err);
        if (r == 0 && f->filter)
                *ret = TAKE_PTR(f);
        return r;
}

/* --- events --- */

struct event {
        const struct value_field *fields;
        const uint8_t *data;
        uint32_t len;
        uint64_t wall_offset;
};

static struct value get(const void *row, uint32_t field) {
        const struct event *event = row;

        return value_of(&event->fields[field], event->data, event->len, event->wall_offset);
}

bool event_filter_passes(const struct event_filter *f, const uint8_t *event, uint32_t len,
                         uint64_t wall_offset) {
        return filter_passes(f->filter, get, &(struct event){ f->fields, event, len, wall_offset });
}
