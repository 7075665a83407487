/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl image ...` and `tag`. */
#include <stdio.h>

#include "base/format.h"
#include "client/schema.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/print.h"
#include "image/ref.h"
#include "ipc/mp.h"

/* A name by digest has no tag, and one that cannot be read is shown as it is. */
static void add_name(struct table *table, const char *name) {
        char repository[LIMIT_IMAGE_REF_MAX + 1];
        struct image_ref ref;

        if (image_ref_parse(name, &ref, NULL) < 0) {
                table_add(table, name);
                table_add(table, "");
                return;
        }
        image_ref_repository(&ref, repository, sizeof(repository));
        table_add(table, repository);
        table_add(table, ref.digest[0] ? "<none>" : ref.tag);
}

static void add_image(struct table *table, struct bytes item) {
        uint8_t size[FORMAT_MAX];
        char text[1024];

        add_name(table, object_text(item, "name", text, sizeof(text)));
        object_text(item, "digest", text, sizeof("sha256:") + 12);
        table_add(table, text);
        table_add(table, object_text(item, "created", text, sizeof(text)));
        *format_bytes(size, object_uint(item, "size")) = '\0';
        table_add(table, (char *)size);
        table_add(table, object_text(item, "architectures", text, sizeof(text)));
        table_add(table, object_bool(item, "damaged")   ? "damaged"
                         : object_bool(item, "bundled") ? "bundled"
                                                        : "local");
}

int cmd_image_list(struct args *args) {
        static const char *const headers[] = { "REPOSITORY", "TAG",  "DIGEST", "CREATED",
                                               "SIZE",       "ARCH", "STORE" };

        return print_listing(args, METHOD_IMAGE_LIST, SESSION_MAY_SPAWN, headers,
                             ARRAY_SIZE(headers), add_image);
}

/* --- inspect --- */

static const char *const stream_kinds[_STREAM_KIND_MAX] = {
        [STREAM_TRACER] = "tracer",
        [STREAM_MAP] = "map",
        [STREAM_SNAPSHOT] = "snapshot",
        [STREAM_HISTOGRAM] = "histogram",
};

static const char *const field_kinds[_FIELD_KIND_MAX] = {
        [FIELD_BOOL] = "bool",   [FIELD_UINT] = "unsigned", [FIELD_INT] = "signed",
        [FIELD_FLOAT] = "float", [FIELD_STR] = "string",    [FIELD_BIN] = "bytes",
        [FIELD_ARRAY] = "array", [FIELD_IP] = "address",
};

static void print_pair(struct printer *p, const char *key, const char *value) {
        if (!value || !value[0])
                return;
        printer_key(p, key);
        printer_text(p, value);
}

static void print_param(struct printer *p, const struct schema_param *param) {
        printer_map(p);
        print_pair(p, "key", param->key);
        print_pair(p, "alias", param->alias);
        print_pair(p, "type", field_kinds[param->kind]);
        if (param->size) {
                printer_key(p, "size");
                printer_uint(p, param->size);
        }
        print_pair(p, "default", param->default_value);
        print_pair(p, "description", param->description);
        if (param->mandatory) {
                printer_key(p, "mandatory");
                printer_bool(p, true);
        }
        if (param->n_values) {
                printer_key(p, "values");
                printer_array(p);
                for (uint32_t i = 0; i < param->n_values; i++)
                        printer_text(p, param->values[i]);
                printer_end(p);
        }
        printer_end(p);
}

static void print_field(struct printer *p, const struct schema_field *field) {
        printer_map(p);
        print_pair(p, "name", field->name);
        print_pair(p, "type", field_kinds[field->kind]);
        print_pair(p, "ctype", field->ctype);
        print_pair(p, "rendered", field->target);
        print_pair(p, "description", annotation_get(&field->annotations, "description"));
        if (field->flags & FIELD_HIDDEN) {
                printer_key(p, "hidden");
                printer_bool(p, true);
        }
        printer_end(p);
}

static void print_stream(struct printer *p, const struct schema_stream *stream) {
        printer_map(p);
        print_pair(p, "name", stream->name);
        print_pair(p, "kind", stream_kinds[stream->kind]);
        printer_key(p, "fields");
        printer_array(p);
        for (uint32_t i = 0; i < stream->n_fields; i++)
                print_field(p, &stream->fields[i]);
        printer_end(p);
        printer_end(p);
}

static void print_schema(struct printer *p, const struct schema *schema) {
        print_pair(p, "description", schema->description);
        print_pair(p, "docs", schema->docs);
        /* Kernel memory: as the object declares its maps, and as they are made without parameters,
         * when those that then stay unused are small. */
        if (schema->map_bytes_declared) {
                printer_key(p, "map_bytes_declared");
                printer_uint(p, schema->map_bytes_declared);
                printer_key(p, "map_bytes");
                printer_uint(p, schema->map_bytes);
        }
        printer_key(p, "params");
        printer_array(p);
        for (uint32_t i = 0; i < schema->n_params; i++)
                print_param(p, &schema->params[i]);
        printer_end(p);
        printer_key(p, "datasources");
        printer_array(p);
        for (uint32_t i = 0; i < schema->n_streams; i++)
                print_stream(p, &schema->streams[i]);
        printer_end(p);
}

/* The daemon's map, with the encoded schema replaced by what it says. */
static void print_inspection(struct printer *p, struct bytes object) {
        cleanup(schema_freep) struct schema *schema = NULL;
        struct mp_reader r = mp_reader_of(object);
        struct error err = { 0 };
        uint32_t n;

        if (mp_read_map(&r, &n) < 0)
                return;
        printer_map(p);
        for (uint32_t i = 0; i < n; i++) {
                const uint8_t *start;
                struct bytes key;

                if (mp_read_str(&r, &key) < 0)
                        break;
                start = r.pos;
                if (mp_skip(&r) < 0)
                        break;
                if (bytes_eq(key, "schema")) {
                        if (schema_new(object_bin(object, "schema"), &schema, &err) == 0)
                                print_schema(p, schema);
                        continue;
                }
                printer_key_bytes(p, key);
                printer_object(p, BYTES(start, (size_t)(r.pos - start)));
        }
        printer_end(p);
}

int cmd_image_inspect(struct args *args) {
        struct req_image_inspect request = { .image = args->words.items[0] };
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct error err = { 0 };
        struct rep_object reply;
        struct printer printer;
        struct out out;
        int r;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = connection_call(session.connection, METHOD_IMAGE_INSPECT, &request, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        if (out_init(&out, STDOUT_FILENO, OUT_SIZE) < 0)
                return EXIT_FAILED;
        printer_init(&printer, &out, output_format_of(args, FORMAT_YAML));
        print_inspection(&printer, reply.object);
        return print_end(&out);
}

int cmd_image_remove(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        int r, code = EXIT_OK;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        for (size_t i = 0; i < args->words.n; i++) {
                struct req_image_ref request = { .image = args->words.items[i] };
                struct error err = { 0 };

                r = connection_call(session.connection, METHOD_IMAGE_REMOVE, &request, NULL, &err);
                if (r < 0)
                        code = diag_failure(&err, r, session.connection);
                if (r < 0 && r != -EREMOTEIO)
                        break;
        }
        return code;
}

int cmd_tag(struct args *args) {
        struct req_image_tag request = { .source = args->words.items[0],
                                         .target = args->words.items[1] };
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct error err = { 0 };
        struct rep_image reply;
        int r;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = connection_call(session.connection, METHOD_IMAGE_TAG, &request, &reply, &err);
        return r < 0 ? diag_failure(&err, r, session.connection) : EXIT_OK;
}
