/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/image-routes.h"

#include <jansson.h>
#include <time.h>

#include "image/store-signatures.h"
#include "supervisor/client-routes.h"
#include "supervisor/client.h"
#include "supervisor/instance.h"
#include "supervisor/pack.h"
#include "supervisor/supervisor.h"

#define OBJECTS_MAX 8
#define ANNOTATIONS_MAX 256

/* --- list --- */

static int add_image(void *userdata, const struct image_info *info) {
        struct pack *array = userdata;
        struct pack map;

        if (is_signature_name(info->name))
                return 0;
        pack_item(array);
        map = pack_map(array->buf);
        pack_map_str(&map, "name", info->name);
        pack_map_str(&map, "digest", info->digest);
        pack_map_uint(&map, "size", info->size);
        pack_map_str(&map, "created", info->created);
        pack_map_str(&map, "architectures", info->architectures);
        pack_map_bool(&map, "bundled", info->is_bundled);
        pack_map_bool(&map, "damaged", info->is_damaged);
        pack_end(&map);
        return buf_result(array->buf);
}

int on_image_list(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        struct pack array = pack_array(&out);
        int r;

        (void)request;
        r = image_service_list(&call->client->sup->images, add_image, &array, err);
        if (r < 0)
                return r;
        pack_end(&array);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_list){ .items = { out.data, out.len } });
}

/* --- inspect --- */

/* Our own store's JSON; depth is bounded where it was parsed. */
static void pack_json(const json_t *json, struct buf *out) {
        struct pack container;
        const char *key;
        json_t *value;
        size_t i;

        switch (json_typeof(json)) {
        case JSON_OBJECT:
                container = pack_map(out);
                json_object_foreach((json_t *)json, key, value) {
                        pack_key(&container, key);
                        pack_json(value, out);
                }
                pack_end(&container);
                return;
        case JSON_ARRAY:
                container = pack_array(out);
                json_array_foreach(json, i, value) {
                        pack_item(&container);
                        pack_json(value, out);
                }
                pack_end(&container);
                return;
        case JSON_STRING:
                pack_str_n(out, json_string_value(json), json_string_length(json));
                return;
        case JSON_INTEGER:
                pack_int(out, json_integer_value(json));
                return;
        case JSON_REAL: {
                uint8_t *p = buf_reserve(out, MP_SCALAR_MAX);

                if (p)
                        out->len = (size_t)(mp_put_double(p, json_real_value(json)) - out->data);
                return;
        }
        case JSON_TRUE:
        case JSON_FALSE:
                pack_bool(out, json_is_true(json));
                return;
        case JSON_NULL:
                pack_raw(out, BYTES("\xc0", 1));
                return;
        }
}

static int load_inspection(struct supervisor *sup, const char *reference, json_t **ret,
                           struct error *err) {
        cleanup_free char *text = NULL;
        json_t *json;
        int r;

        r = image_service_inspect(&sup->images, reference, &text, err);
        if (r < 0)
                return r;
        json = json_loads(text, 0, NULL);
        if (!json_is_object(json)) {
                json_decref(json);
                return error_set(err, ERROR_INTERNAL, -EBADMSG,
                                 "image '%.200s': cannot be described", reference);
        }
        *ret = json;
        return 0;
}

/* Why it does not load here, for who asks what it is all the same. */
static void pack_problem(const struct outcome *outcome, struct pack *map) {
        struct pack problem;

        pack_key(map, "problem");
        problem = pack_map(map->buf);
        pack_map_str(&problem, "code", error_code_name(outcome->error.code));
        pack_map_str(&problem, "message", error_text(&outcome->error));
        pack_map_str(&problem, "detail", outcome->detail);
        pack_end(&problem);
}

static int pack_inspection(const struct instance *in, struct buf *out, struct error *err) {
        json_t *json = NULL, *value;
        struct pack map;
        const char *key;
        int r = 0;

        if (!in->is_object)
                r = load_inspection(in->sup, in->image_name, &json, err);
        if (r < 0)
                return r;
        map = pack_map(out);
        json_object_foreach(json, key, value) {
                pack_key(&map, key);
                pack_json(value, out);
        }
        json_decref(json);
        if (in->schema.len > 0) {
                pack_key(&map, "schema");
                pack_bin(out, BYTES(in->schema.data, in->schema.len));
        }
        if (in->permissions.len > 0) {
                pack_key(&map, "permissions");
                pack_raw(out, BYTES(in->permissions.data, in->permissions.len));
        }
        if (in->outcome.cause == CAUSE_FAILED)
                pack_problem(&in->outcome, &map);
        pack_end(&map);
        return buf_result(out);
}

void image_inspect_answer(struct client *client, uint32_t id, struct instance *in) {
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        struct error err = {};

        if (pack_inspection(in, &out, &err) < 0)
                client_error(client, id, &err, NULL, NULL);
        else
                client_reply(client, id, METHOD_IMAGE_INSPECT,
                             &(struct rep_object){ .object = { out.data, out.len } });
}

/* What the gadget is (schema, parameters, permissions) only its worker can say: it loads it and
 * attaches nothing. */
int on_image_inspect(struct call *call, const union request *request, struct error *err) {
        const struct req_image_inspect *inspect = &request->image_inspect;
        struct supervisor *sup = call->client->sup;
        const struct instance_spec spec = {
                .image = inspect->image,
                .object = inspect->object,
                .definition = inspect->definition,
                .definition_name = inspect->definition_name,
                .params = BYTES("\x80", 1),
                .owner = call->client,
                .is_inspect = true,
        };
        cleanup_free char *text = NULL;
        struct instance *in;
        int r = 0;

        if (!inspect->image == (inspect->object.len == 0))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "image.inspect: either 'image' or 'object' is given");
        if (inspect->image)
                r = image_service_inspect(&sup->images, inspect->image, &text, err);
        if (r == 0)
                r = instance_new(sup, &spec, &in, err);
        if (r < 0)
                return r;
        r = call_wait(call, in);
        if (r < 0) {
                instance_free(in);
                return r;
        }
        return instance_event(in, EVENT_START);
}

/* --- tag, remove, build --- */

int on_image_tag(struct call *call, const union request *request, struct error *err) {
        const struct req_image_tag *tag = &request->image_tag;
        char digest[DIGEST_TEXT_MAX], name[LIMIT_IMAGE_REF_MAX + 1];
        int r;

        r = image_service_tag(&call->client->sup->images, tag->source, tag->target, digest, name,
                              err);
        if (r < 0)
                return r;
        return call_reply(call, &(struct rep_image){ .digest = digest, .image = name });
}

int on_image_remove(struct call *call, const union request *request, struct error *err) {
        int r;

        r = image_service_remove(&call->client->sup->images, request->image_ref.image, err);
        return r < 0 ? r : call_reply(call, NULL);
}

int on_image_resolve(struct call *call, const union request *request, struct error *err) {
        char name[LIMIT_IMAGE_REF_MAX + 1];
        struct image_ref ref;
        bool is_present;
        int r;

        r = image_service_resolve(&call->client->sup->images, request->image_ref.image, &ref,
                                  &is_present, err);
        if (r < 0)
                return r;
        image_ref_format(&ref, name, sizeof(name));
        return call_reply(call, &(struct rep_image_resolve){ .image = name,
                                                             .host = ref.host[0] ? ref.host : NULL,
                                                             .present = is_present });
}

static char *dup_text(struct bytes text) {
        return memchr(text.data, '\0', text.len) ? NULL
                                                 : strndup((const char *)text.data, text.len);
}

/* The decoded build request: strings are copies, objects lie in the frame. */
struct build {
        struct pack_object objects[OBJECTS_MAX];
        struct pack_annotation annotations[ANNOTATIONS_MAX];
        size_t n_objects;
        size_t n_annotations;
};

static void build_done(struct build *build) {
        for (size_t i = 0; i < build->n_objects; i++)
                free((char *)build->objects[i].arch);
        for (size_t i = 0; i < build->n_annotations; i++) {
                free((char *)build->annotations[i].key);
                free((char *)build->annotations[i].value);
        }
}

static int read_objects(struct bytes encoded, struct build *build, struct error *err) {
        struct mp_reader reader = mp_reader_of(encoded);
        uint32_t n;

        if (mp_read_map(&reader, &n) < 0 || n == 0 || n > OBJECTS_MAX)
                return error_set(
                        err, ERROR_INVALID, -EINVAL,
                        "image.build: 'objects' is a map of 1 to %d architectures to eBPF objects",
                        OBJECTS_MAX);
        for (uint32_t i = 0; i < n; i++) {
                struct pack_object *object = &build->objects[i];
                struct bytes arch;

                if (mp_read_str(&reader, &arch) < 0 || mp_read_bin(&reader, &object->object) < 0 ||
                    !(object->arch = dup_text(arch)))
                        return error_set(
                                err, ERROR_INVALID, -EINVAL,
                                "image.build: 'objects' maps architectures (str) to objects (bin)");
                build->n_objects++;
                if (object->object.len > LIMIT_OBJECT_SIZE_MAX)
                        return error_set(err, ERROR_LIMIT, -EFBIG,
                                         "image.build: the object for %.20s has more than %d bytes",
                                         object->arch, LIMIT_OBJECT_SIZE_MAX);
        }
        return 0;
}

static int read_annotations(struct bytes encoded, struct build *build, struct error *err) {
        struct mp_reader reader = mp_reader_of(encoded);
        uint32_t n = 0;

        if (encoded.len > 0 && (mp_read_map(&reader, &n) < 0 || n > ANNOTATIONS_MAX))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "image.build: 'annotations' is a map of at most %d texts",
                                 ANNOTATIONS_MAX);
        for (uint32_t i = 0; i < n; i++) {
                struct pack_annotation *annotation = &build->annotations[i];
                struct bytes key, value;

                build->n_annotations++;
                if (mp_read_str(&reader, &key) < 0 || mp_read_str(&reader, &value) < 0 ||
                    !(annotation->key = dup_text(key)) || !(annotation->value = dup_text(value)))
                        return error_set(
                                err, ERROR_INVALID, -EINVAL,
                                "image.build: keys and values of 'annotations' are strings");
        }
        return 0;
}

int on_image_build(struct call *call, const union request *request, struct error *err) {
        const struct req_image_build *req = &request->image_build;
        char digest[DIGEST_TEXT_MAX], name[LIMIT_IMAGE_REF_MAX + 1];
        cleanup(build_done) struct build build = {};
        struct pack_spec spec;
        int r;

        r = read_objects(req->objects, &build, err);
        if (r == 0)
                r = read_annotations(req->annotations, &build, err);
        if (r < 0)
                return r;
        spec = (struct pack_spec){
                .definition = req->definition,
                .objects = build.objects,
                .n_objects = build.n_objects,
                .annotations = build.annotations,
                .n_annotations = build.n_annotations,
                .created = req->created ? req->created : (uint64_t)time(NULL),
        };
        r = image_service_pack(&call->client->sup->images, req->image, &spec, digest, name, err);
        if (r < 0)
                return r;
        return call_reply(call, &(struct rep_image){ .digest = digest, .image = name });
}
