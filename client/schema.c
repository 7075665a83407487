/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schema decoder. One descent over the msgpack with mp_read(); all memory comes from chunks that
 * live as long as the schema. Counts are checked before anything is allocated for them, so a schema
 * can make us allocate no more than a small multiple of its own size, which is bounded itself.
 */
#include "client/schema.h"

#include "base/text.h"
#include "ipc/mp.h"
#include "ipc/scan.h"

#define CHUNK_SIZE 16384u
#define ENUMS_MAX 512u
#define ANNOTATIONS_MAX 256u

struct schema_chunk {
        struct schema_chunk *next;
        size_t used;
        size_t size;
        uint8_t data[] __attribute__((aligned(16)));
};

struct decoder {
        struct schema *schema;
        struct mp_reader in;
        struct error *err;
};

static void *schema_alloc(struct schema *schema, size_t count, size_t size) {
        struct schema_chunk *chunk = schema->chunks;
        size_t n;
        void *p;

        if (__builtin_mul_overflow(count, size, &n) || n > LIMIT_SCHEMA_SIZE_MAX * 64u)
                return NULL;
        n = ALIGN_UP(n, sizeof(void *));
        if (!chunk || chunk->size - chunk->used < n) {
                size_t room = MAX((size_t)CHUNK_SIZE, n);

                chunk = malloc(sizeof(*chunk) + room);
                if (!chunk)
                        return NULL;
                *chunk = (struct schema_chunk){ .next = schema->chunks, .size = room };
                schema->chunks = chunk;
        }
        p = chunk->data + chunk->used;
        chunk->used += n;
        memset(p, 0, n);
        return p;
}

static int bad(struct decoder *d, const char *what) {
        return error_set(d->err, ERROR_INVALID, -EBADMSG, "schema: %s", what);
}

static int read_string(struct decoder *d, const char *what, const char **ret) {
        struct bytes b;
        char *s;

        if (mp_read_str(&d->in, &b) < 0)
                return error_set(d->err, ERROR_INVALID, -EBADMSG, "schema: %s is not a string",
                                 what);
        if (!utf8_is_valid(b.data, b.len) || memchr(b.data, 0, b.len))
                return error_set(d->err, ERROR_INVALID, -EBADMSG, "schema: %s is not valid UTF-8",
                                 what);
        s = schema_alloc(d->schema, b.len + 1, 1);
        if (!s)
                return -ENOMEM;
        memcpy(s, b.data, b.len);
        *ret = s;
        return 0;
}

static int read_uint(struct decoder *d, const char *what, uint64_t max, uint32_t *ret) {
        uint64_t v;

        if (mp_read_uint(&d->in, &v) < 0 || v > max)
                return error_set(d->err, ERROR_INVALID, -EBADMSG,
                                 "schema: %s is not a number from 0 to %llu", what,
                                 (unsigned long long)max);
        *ret = (uint32_t)v;
        return 0;
}

static int read_uint64(struct decoder *d, const char *what, uint64_t *ret) {
        return mp_read_uint(&d->in, ret) < 0 ? error_set(d->err, ERROR_INVALID, -EBADMSG,
                                                         "schema: %s is not a number", what)
                                             : 0;
}

static int read_int64(struct decoder *d, const char *what, int64_t *ret) {
        struct mp_value v;

        if (mp_read(&d->in, &v) < 0 || (v.type != MP_UINT && v.type != MP_INT))
                return error_set(d->err, ERROR_INVALID, -EBADMSG, "schema: %s is not a number",
                                 what);
        *ret = v.type == MP_UINT ? (int64_t)v.u : v.i;
        return 0;
}

/* An array of at most max elements, each of which takes at least one byte of what is left. */
static int read_count(struct decoder *d, const char *what, uint32_t max, uint32_t *ret) {
        uint32_t n;

        if (mp_read_array(&d->in, &n) < 0)
                return error_set(d->err, ERROR_INVALID, -EBADMSG, "schema: %s is not an array",
                                 what);
        if (n > max)
                return error_set(d->err, ERROR_LIMIT, -E2BIG,
                                 "schema: %u %s, at most %u are allowed", n, what, max);
        if (n > (size_t)(d->in.end - d->in.pos))
                return bad(d, "ends too early");
        *ret = n;
        return 0;
}

static int read_annotations(struct decoder *d, struct annotations *ret) {
        uint32_t n;
        int r;

        if (mp_read_map(&d->in, &n) < 0)
                return bad(d, "annotations are not a map");
        if (n > ANNOTATIONS_MAX)
                return error_set(d->err, ERROR_LIMIT, -E2BIG,
                                 "schema: %u annotations, at most %u are allowed", n,
                                 ANNOTATIONS_MAX);
        ret->items = schema_alloc(d->schema, n, sizeof(*ret->items));
        if (!ret->items)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                r = read_string(d, "annotation key", &ret->items[i].key);
                if (r < 0)
                        return r;
                r = read_string(d, "annotation value", &ret->items[i].value);
                if (r < 0)
                        return r;
        }
        ret->n = n;
        return 0;
}

/* Calls on_key for each pair of a map; on_key reads the value and returns 1, or 0 for a key it does
 * not know. */
typedef int (*on_key_func)(struct decoder *d, struct bytes key, void *object);

static int read_map(struct decoder *d, const char *what, on_key_func on_key, void *object) {
        uint32_t n;

        if (mp_read_map(&d->in, &n) < 0)
                return error_set(d->err, ERROR_INVALID, -EBADMSG, "schema: %s is not a map", what);
        for (uint32_t i = 0; i < n; i++) {
                struct bytes key;
                int r;

                if (mp_read_str(&d->in, &key) < 0)
                        return error_set(d->err, ERROR_INVALID, -EBADMSG,
                                         "schema: a key of %s is not a string", what);
                r = on_key(d, key, object);
                if (r < 0)
                        return r;
                if (r == 0 && mp_skip(&d->in) < 0)
                        return bad(d, "ends too early");
        }
        return 0;
}

#define DONE(_read)                                                                                \
        ({                                                                                         \
                int _done = (_read);                                                               \
                _done < 0 ? _done : 1;                                                             \
        })

static int read_enum_values(struct decoder *d, struct schema_enum *e) {
        int r;

        r = read_count(d, "enum values", LIMIT_SCHEMA_SIZE_MAX, &e->n_values);
        if (r < 0)
                return r;
        e->values = schema_alloc(d->schema, e->n_values, sizeof(*e->values));
        if (!e->values)
                return -ENOMEM;
        for (uint32_t i = 0; i < e->n_values; i++) {
                uint32_t pair;

                if (mp_read_array(&d->in, &pair) < 0 || pair != 2)
                        return bad(d, "an enum value is not [name, number]");
                r = read_string(d, "enum name", &e->values[i].name);
                if (r < 0)
                        return r;
                r = read_int64(d, "enum value", &e->values[i].value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_enum_key(struct decoder *d, struct bytes key, void *object) {
        struct schema_enum *e = object;

        if (bytes_eq(key, "name"))
                return DONE(read_string(d, "enum name", &e->name));
        if (bytes_eq(key, "set"))
                return mp_read_bool(&d->in, &e->is_set) < 0 ? bad(d, "enum 'set' is not a bool")
                                                            : 1;
        if (bytes_eq(key, "values"))
                return DONE(read_enum_values(d, e));
        return 0;
}

/* Until all enums are known the index itself stands in the pointer, plus one; resolve_enums()
 * replaces it. */
static int read_enum_index(struct decoder *d, const struct schema_enum **ret) {
        uint32_t index = 0;
        int r;

        r = read_uint(d, "enum index", ENUMS_MAX - 1, &index);
        if (r < 0)
                return r;
        *ret = (const struct schema_enum *)(uintptr_t)(index + 1);
        return 0;
}

static int on_field_key(struct decoder *d, struct bytes key, void *object) {
        struct schema_field *f = object;

        if (bytes_eq(key, "name"))
                return DONE(read_string(d, "field name", &f->name));
        if (bytes_eq(key, "kind"))
                return DONE(read_uint(d, "field kind", _FIELD_KIND_MAX - 1, &f->kind));
        if (bytes_eq(key, "elem"))
                return DONE(read_uint(d, "element kind", _FIELD_KIND_MAX - 1, &f->elem));
        if (bytes_eq(key, "flags"))
                return DONE(read_uint(d, "field flags", UINT32_MAX, &f->flags));
        if (bytes_eq(key, "target"))
                return DONE(read_string(d, "field target", &f->target));
        if (bytes_eq(key, "enum"))
                return DONE(read_enum_index(d, &f->enumeration));
        if (bytes_eq(key, "ctype"))
                return DONE(read_string(d, "field type", &f->ctype));
        if (bytes_eq(key, "annotations"))
                return DONE(read_annotations(d, &f->annotations));
        if (bytes_eq(key, "render")) {
                uint32_t render = 0;
                int r = read_uint(d, "field render", UINT32_MAX, &render);

                if (r < 0)
                        return r;
                /* A newer worker may know more of them: then the raw value is all we show. */
                f->render = render < _RENDER_MAX ? render : RENDER_NONE;
                return 1;
        }
        return 0;
}

static int read_fields(struct decoder *d, struct schema_stream *stream) {
        int r;

        r = read_count(d, "fields", LIMIT_FIELDS_MAX, &stream->n_fields);
        if (r < 0)
                return r;
        stream->fields = schema_alloc(d->schema, stream->n_fields, sizeof(*stream->fields));
        if (!stream->fields)
                return -ENOMEM;
        for (uint32_t i = 0; i < stream->n_fields; i++) {
                struct schema_field *f = &stream->fields[i];

                f->name = f->target = f->ctype = "";
                r = read_map(d, "field", on_field_key, f);
                if (r < 0)
                        return r;
                if (f->name[0] == '\0')
                        return bad(d, "a field has no name");
        }
        return 0;
}

static int on_stream_key(struct decoder *d, struct bytes key, void *object) {
        struct schema_stream *s = object;

        if (bytes_eq(key, "name"))
                return DONE(read_string(d, "data source name", &s->name));
        if (bytes_eq(key, "kind"))
                return DONE(read_uint(d, "data source kind", _STREAM_KIND_MAX - 1, &s->kind));
        if (bytes_eq(key, "annotations"))
                return DONE(read_annotations(d, &s->annotations));
        if (bytes_eq(key, "fields"))
                return DONE(read_fields(d, s));
        return 0;
}

static int read_values(struct decoder *d, struct schema_param *p) {
        int r;

        r = read_count(d, "parameter values", 4096, &p->n_values);
        if (r < 0)
                return r;
        p->values = schema_alloc(d->schema, p->n_values, sizeof(*p->values));
        if (!p->values)
                return -ENOMEM;
        for (uint32_t i = 0; i < p->n_values; i++) {
                r = read_string(d, "parameter value", &p->values[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_param_key(struct decoder *d, struct bytes key, void *object) {
        struct schema_param *p = object;

        if (bytes_eq(key, "key"))
                return DONE(read_string(d, "parameter key", &p->key));
        if (bytes_eq(key, "alias"))
                return DONE(read_string(d, "parameter alias", &p->alias));
        if (bytes_eq(key, "variable"))
                return DONE(read_string(d, "parameter variable", &p->variable));
        if (bytes_eq(key, "kind"))
                return DONE(read_uint(d, "parameter kind", _FIELD_KIND_MAX - 1, &p->kind));
        if (bytes_eq(key, "size"))
                return DONE(read_uint(d, "parameter size", UINT32_MAX, &p->size));
        if (bytes_eq(key, "enum"))
                return DONE(read_enum_index(d, &p->enumeration));
        if (bytes_eq(key, "default"))
                return DONE(read_string(d, "parameter default", &p->default_value));
        if (bytes_eq(key, "description"))
                return DONE(read_string(d, "parameter description", &p->description));
        if (bytes_eq(key, "values"))
                return DONE(read_values(d, p));
        if (bytes_eq(key, "mandatory"))
                return mp_read_bool(&d->in, &p->mandatory) < 0 ? bad(d, "'mandatory' is not a bool")
                                                               : 1;
        return 0;
}

static int read_params(struct decoder *d) {
        struct schema *schema = d->schema;
        int r;

        r = read_count(d, "parameters", LIMIT_FIELDS_MAX, &schema->n_params);
        if (r < 0)
                return r;
        schema->params = schema_alloc(schema, schema->n_params, sizeof(*schema->params));
        if (!schema->params)
                return -ENOMEM;
        for (uint32_t i = 0; i < schema->n_params; i++) {
                struct schema_param *p = &schema->params[i];

                p->key = p->alias = p->variable = p->default_value = p->description = "";
                r = read_map(d, "parameter", on_param_key, p);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_enums(struct decoder *d) {
        struct schema *schema = d->schema;
        int r;

        r = read_count(d, "enums", ENUMS_MAX, &schema->n_enums);
        if (r < 0)
                return r;
        schema->enums = schema_alloc(schema, schema->n_enums, sizeof(*schema->enums));
        if (!schema->enums)
                return -ENOMEM;
        for (uint32_t i = 0; i < schema->n_enums; i++) {
                schema->enums[i].name = "";
                r = read_map(d, "enum", on_enum_key, &schema->enums[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_streams(struct decoder *d) {
        struct schema *schema = d->schema;
        int r;

        r = read_count(d, "data sources", LIMIT_STREAMS_MAX, &schema->n_streams);
        if (r < 0)
                return r;
        schema->streams = schema_alloc(schema, schema->n_streams, sizeof(*schema->streams));
        if (!schema->streams)
                return -ENOMEM;
        for (uint32_t i = 0; i < schema->n_streams; i++) {
                schema->streams[i].name = "";
                r = read_map(d, "data source", on_stream_key, &schema->streams[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_gadget_key(struct decoder *d, struct bytes key, void *object) {
        struct schema *schema = object;

        if (bytes_eq(key, "name"))
                return DONE(read_string(d, "gadget name", &schema->name));
        if (bytes_eq(key, "description"))
                return DONE(read_string(d, "gadget description", &schema->description));
        if (bytes_eq(key, "docs"))
                return DONE(read_string(d, "gadget docs", &schema->docs));
        if (bytes_eq(key, "map_bytes_declared"))
                return DONE(read_uint64(d, "size of maps", &schema->map_bytes_declared));
        if (bytes_eq(key, "map_bytes"))
                return DONE(read_uint64(d, "size of maps", &schema->map_bytes));
        return 0;
}

static int on_schema_key(struct decoder *d, struct bytes key, void *object) {
        if (bytes_eq(key, "version")) {
                uint32_t version = 0;
                int r = read_uint(d, "version", UINT32_MAX, &version);

                if (r < 0)
                        return r;
                if (version != 1)
                        return error_set(d->err, ERROR_INVALID, -EBADMSG,
                                         "schema: version %u is not known to this gadgetctl",
                                         version);
                return 1;
        }
        if (bytes_eq(key, "gadget"))
                return DONE(read_map(d, "gadget", on_gadget_key, object));
        if (bytes_eq(key, "enums"))
                return DONE(read_enums(d));
        if (bytes_eq(key, "streams"))
                return DONE(read_streams(d));
        if (bytes_eq(key, "params"))
                return DONE(read_params(d));
        return 0;
}

static int resolve_enum(struct decoder *d, const struct schema_enum **e) {
        uintptr_t index = (uintptr_t)*e;

        if (index == 0)
                return 0;
        if (index > d->schema->n_enums)
                return bad(d, "an enum index is out of range");
        *e = &d->schema->enums[index - 1];
        return 0;
}

/* "error_raw" is rendered as "error" unless the schema names another target. */
static int derive_target(struct decoder *d, struct schema_field *f) {
        size_t n = strlen(f->name);
        char *target;

        if (f->render == RENDER_NONE || f->target[0] != '\0' || n <= 4 ||
            !str_eq(f->name + n - 4, "_raw"))
                return 0;
        target = schema_alloc(d->schema, n - 3, 1);
        if (!target)
                return -ENOMEM;
        memcpy(target, f->name, n - 4);
        f->target = target;
        return 0;
}

static int finish(struct decoder *d) {
        struct schema *schema = d->schema;
        int r;

        for (uint32_t s = 0; s < schema->n_streams; s++)
                for (uint32_t i = 0; i < schema->streams[s].n_fields; i++) {
                        struct schema_field *f = &schema->streams[s].fields[i];

                        r = resolve_enum(d, &f->enumeration);
                        if (r < 0)
                                return r;
                        if (f->render == RENDER_ENUM && !f->enumeration)
                                f->render = RENDER_NONE;
                        r = derive_target(d, f);
                        if (r < 0)
                                return r;
                }
        for (uint32_t i = 0; i < schema->n_params; i++) {
                r = resolve_enum(d, &schema->params[i].enumeration);
                if (r < 0)
                        return r;
        }
        return 0;
}

int schema_new(struct bytes encoded, struct schema **ret, struct error *err) {
        static const struct scan_limits limits = { .depth = 16, .elements = LIMIT_SCHEMA_SIZE_MAX };
        cleanup(schema_freep) struct schema *schema = NULL;
        struct decoder d;
        int r;

        if (encoded.len > LIMIT_SCHEMA_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG,
                                 "schema: %zu bytes, at most %u are allowed", encoded.len,
                                 (unsigned int)LIMIT_SCHEMA_SIZE_MAX);
        r = msgpack_scan_one(encoded, &limits);
        if (r < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "schema: is not one msgpack object");
        schema = calloc(1, sizeof(*schema));
        if (!schema)
                return -ENOMEM;
        schema->name = schema->description = schema->docs = "";
        d = (struct decoder){ .schema = schema, .in = mp_reader_of(encoded), .err = err };
        r = read_map(&d, "it", on_schema_key, schema);
        if (r < 0)
                return r;
        r = finish(&d);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(schema);
        return 0;
}

struct schema *schema_free(struct schema *schema) {
        if (!schema)
                return NULL;
        while (schema->chunks) {
                struct schema_chunk *chunk = schema->chunks;

                schema->chunks = chunk->next;
                free(chunk);
        }
        free(schema);
        return NULL;
}

const char *annotation_get(const struct annotations *annotations, const char *key) {
        for (uint32_t i = 0; i < annotations->n; i++)
                if (str_eq(annotations->items[i].key, key))
                        return annotations->items[i].value;
        return NULL;
}

struct rendering schema_rendering(const struct schema_field *field) {
        const struct schema_enum *e = field->enumeration;
        const char *layout = annotation_get(&field->annotations, "formatters.timestamp.format");

        return (struct rendering){
                .render = field->render,
                .is_set = e && e->is_set,
                .separator =
                        annotation_get(&field->annotations, "ebpf.formatter.bitfield.separator"),
                .values = e ? e->values : NULL,
                .n_values = e ? e->n_values : 0,
                .layout = layout && layout[0] ? layout : NULL,
        };
}
