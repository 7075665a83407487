/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/schema.h"

#include "gadget/api.h"
#include "ipc/mp.h"

#define SCHEMA_VERSION 1

/* Failed appends are remembered by the buffer and seen once, at the end. */
static void put_map(struct buf *b, uint32_t n) {
        uint8_t *p = buf_reserve(b, MP_HEADER_MAX);

        if (p)
                b->len += (size_t)(mp_put_map(p, n) - p);
}

static void put_array(struct buf *b, size_t n) {
        uint8_t *p = buf_reserve(b, MP_HEADER_MAX);

        if (p)
                b->len += (size_t)(mp_put_array(p, (uint32_t)n) - p);
}

static void put_int(struct buf *b, int64_t v) {
        uint8_t *p = buf_reserve(b, MP_SCALAR_MAX);

        if (p)
                b->len += (size_t)(mp_put_int(p, v) - p);
}

static void put_uint(struct buf *b, uint64_t v) {
        uint8_t *p = buf_reserve(b, MP_SCALAR_MAX);

        if (p)
                b->len += (size_t)(mp_put_uint(p, v) - p);
}

static void put_bool(struct buf *b, bool v) {
        uint8_t *p = buf_reserve(b, MP_SCALAR_MAX);

        if (p)
                b->len += (size_t)(mp_put_bool(p, v) - p);
}

static void put_str(struct buf *b, const char *text) {
        size_t n = strlen(text ? text : "");
        uint8_t *p = buf_reserve(b, MP_HEADER_MAX + n);

        if (p)
                b->len += (size_t)(mp_put_str(p, text ? text : "", (uint32_t)n) - p);
}

static void put_key_str(struct buf *b, const char *key, const char *text) {
        put_str(b, key);
        put_str(b, text);
}

static void put_key_uint(struct buf *b, const char *key, uint64_t v) {
        put_str(b, key);
        put_uint(b, v);
}

static void put_annotations(struct buf *b, const struct annotations *a) {
        put_str(b, "annotations");
        put_map(b, (uint32_t)a->n);
        for (size_t i = 0; i < a->n; i++)
                put_key_str(b, a->items[i].key, a->items[i].value);
}

static void put_enum_value(struct buf *b, const char *name, int64_t value, bool is_signed) {
        put_array(b, 2);
        put_str(b, name);
        if (is_signed)
                put_int(b, value);
        else
                put_uint(b, (uint64_t)value);
}

static void put_btf_enum_values(struct buf *b, const struct btf *btf, uint32_t id) {
        uint32_t n = btf_vlen(btf__type_by_id(btf, id));

        put_array(b, n);
        for (uint32_t i = 0; i < n; i++)
                put_enum_value(b, btf_enum_name_at(btf, id, i), btf_enum_value_at(btf, id, i),
                               btf_enum_is_signed(btf, id));
}

static void put_enum(struct buf *b, const struct type_enum *e) {
        put_map(b, 3);
        put_key_str(b, "name", e->name);
        put_str(b, "set");
        put_bool(b, e->is_set);
        put_str(b, "values");
        if (e->btf) {
                put_btf_enum_values(b, e->btf, e->btf_id);
                return;
        }
        put_array(b, e->n_values);
        for (size_t i = 0; i < e->n_values; i++)
                put_enum_value(b, e->values[i].name, e->values[i].value, e->is_signed);
}

static void put_field(struct buf *b, const struct event_field *f) {
        put_map(b, f->enum_index >= 0 ? 9 : 8);
        put_key_str(b, "name", f->name);
        put_key_uint(b, "kind", f->kind);
        put_key_uint(b, "flags", f->flags);
        put_key_uint(b, "render", f->render);
        put_key_str(b, "target", f->target);
        if (f->enum_index >= 0)
                put_key_uint(b, "enum", (uint64_t)f->enum_index);
        put_key_uint(b, "elem", f->elem);
        put_key_str(b, "ctype", f->ctype);
        put_annotations(b, &f->annotations);
}

static void put_source(struct buf *b, const struct source *s) {
        put_map(b, 4);
        put_key_str(b, "name", s->name);
        put_key_uint(b, "kind", s->kind);
        put_annotations(b, &s->annotations);
        put_str(b, "fields");
        put_array(b, s->type->n_fields);
        for (size_t i = 0; i < s->type->n_fields; i++)
                put_field(b, &s->type->fields[i]);
}

static void put_param(struct buf *b, const struct param *p) {
        size_t n = 0;

        while (param_value_at(p, n))
                n++;
        put_map(b, n ? 9 : 8);
        put_key_str(b, "key", p->key);
        put_key_str(b, "alias", p->alias);
        put_key_str(b, "variable", p->variable);
        put_key_uint(b, "kind", p->kind);
        put_key_uint(b, "size", p->size);
        put_key_str(b, "default", p->default_value);
        put_key_str(b, "description", p->description);
        put_str(b, "mandatory");
        put_bool(b, p->is_mandatory);
        if (n == 0)
                return;
        put_str(b, "values");
        put_array(b, n);
        for (size_t i = 0; i < n; i++)
                put_str(b, param_value_at(p, i));
}

int schema_encode(const struct gadget *g, struct buf *b, struct error *err) {
        int r;

        put_map(b, 5);
        put_key_uint(b, "version", SCHEMA_VERSION);
        put_str(b, "gadget");
        put_map(b, 5);
        put_key_str(b, "name", g->definition.name);
        put_key_str(b, "description", g->definition.description);
        put_key_str(b, "docs", g->definition.documentation);
        put_key_uint(b, "map_bytes_declared", g->map_sizes.declared_bytes);
        put_key_uint(b, "map_bytes", g->map_sizes.bytes);
        put_str(b, "enums");
        put_array(b, g->enums.n);
        for (size_t i = 0; i < g->enums.n; i++)
                put_enum(b, &g->enums.items[i]);
        put_str(b, "streams");
        put_array(b, g->n_sources);
        for (size_t i = 0; i < g->n_sources; i++)
                put_source(b, &g->sources[i]);
        put_str(b, "params");
        put_array(b, g->params.n);
        for (size_t i = 0; i < g->params.n; i++)
                put_param(b, &g->params.items[i]);
        r = buf_result(b);
        if (r == -EFBIG)
                return error_set(
                        err, ERROR_LIMIT, r,
                        "names, enums and descriptions of the gadget take more than %d bytes",
                        LIMIT_SCHEMA_SIZE_MAX);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "no memory for the schema") : 0;
}
