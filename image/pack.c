/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A definition and objects become an image: one blob each, a manifest for each architecture, an
 * index over them. Titles and media types are those that ig writes, so either side reads the
 * other's images. The same input gives the same bytes: nothing here looks at the clock, and all
 * lists are sorted. Members stand in the order in which Go's OCI types print them, and an index has
 * only what skopeo knows: an index that went through `skopeo copy --all` is still the same bytes,
 * so its digest and the signatures of it hold.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/text.h"
#include "image/store-internal.h"

#define TITLE_CONFIG "config.yaml"
#define TITLE_OBJECT "program.o"
#define OBJECTS_MAX 16
#define ANNOTATIONS_MAX 64
#define ANNOTATION_KEY_MAX 256
#define ANNOTATION_VALUE_MAX 4096
#define CREATED_MAX 253402300799u /* 9999-12-31T23:59:59Z */

struct pack {
        struct store *store;
        const struct pack_spec *spec;
        json_t *annotations; /* of manifest and index */
        json_t *config;      /* its descriptor */
        json_t *manifests;
};

static void pack_done(struct pack *pack) {
        json_decref(pack->annotations);
        json_decref(pack->config);
        json_decref(pack->manifests);
}

static int no_memory(struct error *err) {
        return error_set(err, ERROR_UNAVAILABLE, -ENOMEM, "no memory to make the image");
}

static int check_arch(const char *arch, struct error *err) {
        size_t n = strlen(arch);

        if (n == 0 || n > 20 || strspn(arch, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "architecture '%.40s' is not one like amd64 or arm64", arch);
        return 0;
}

static int check_objects(const struct pack_spec *spec, struct error *err) {
        int r;

        if (spec->n_objects == 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "there is no eBPF object to put into the image");
        if (spec->n_objects > OBJECTS_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "there are more than %d eBPF objects",
                                 OBJECTS_MAX);
        for (size_t i = 0; i < spec->n_objects; i++) {
                const struct pack_object *object = &spec->objects[i];

                r = check_arch(object->arch, err);
                if (r < 0)
                        return r;
                if (object->object.len == 0)
                        return error_set(err, ERROR_INVALID, -EINVAL, "the object for %s is empty",
                                         object->arch);
                if (object->object.len > LIMIT_OBJECT_SIZE_MAX)
                        return error_set(err, ERROR_LIMIT, -EFBIG,
                                         "the object for %s has %zu bytes, more than %d",
                                         object->arch, object->object.len, LIMIT_OBJECT_SIZE_MAX);
                for (size_t k = 0; k < i; k++)
                        if (str_eq(spec->objects[k].arch, object->arch))
                                return error_set(err, ERROR_INVALID, -EINVAL,
                                                 "there are two objects for %s", object->arch);
        }
        return 0;
}

static int check_annotation(const struct pack_annotation *a, struct error *err) {
        size_t n_key = strlen(a->key), n_value = strlen(a->value);

        if (n_key == 0 || n_key > ANNOTATION_KEY_MAX ||
            !utf8_is_valid((const uint8_t *)a->key, n_key))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "annotation key '%.100s' is not 1 to %d bytes of UTF-8", a->key,
                                 ANNOTATION_KEY_MAX);
        if (n_value > ANNOTATION_VALUE_MAX || !utf8_is_valid((const uint8_t *)a->value, n_value))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "the value of annotation '%.100s' is not up to %d bytes of UTF-8",
                                 a->key, ANNOTATION_VALUE_MAX);
        if (str_eq(a->key, ANNOTATION_BUILDER))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "annotation '%s' is the version of what packs the image", a->key);
        if (str_eq(a->key, ANNOTATION_CREATED))
                return error_set(
                        err, ERROR_INVALID, -EINVAL,
                        "annotation '%s' is the time of the build; set SOURCE_DATE_EPOCH instead",
                        a->key);
        return 0;
}

static int check_spec(const struct pack_spec *spec, struct error *err) {
        int r;

        if (spec->definition.len > LIMIT_DEFINITION_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG,
                                 "the definition has %zu bytes, more than %d", spec->definition.len,
                                 LIMIT_DEFINITION_SIZE_MAX);
        if (spec->created > CREATED_MAX)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "the time of the build is after the year 9999");
        if (spec->n_annotations > ANNOTATIONS_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "there are more than %d annotations",
                                 ANNOTATIONS_MAX);
        for (size_t i = 0; i < spec->n_annotations; i++) {
                r = check_annotation(&spec->annotations[i], err);
                if (r < 0)
                        return r;
        }
        return check_objects(spec, err);
}

static int compare_annotations(const void *a, const void *b) {
        return strcmp((*(const struct pack_annotation *const *)a)->key,
                      (*(const struct pack_annotation *const *)b)->key);
}

static int add_text(json_t *object, const char *key, const char *value) {
        return json_object_set_new(object, key, json_string(value)) < 0 ? -ENOMEM : 0;
}

static int make_annotations(struct pack *pack, struct error *err) {
        const struct pack_annotation *sorted[ANNOTATIONS_MAX + 2];
        static const struct pack_annotation builder = { ANNOTATION_BUILDER, GADGET_VERSION };
        const struct pack_spec *spec = pack->spec;
        time_t seconds = (time_t)spec->created;
        char text[sizeof("9999-12-31T23:59:59Z")];
        struct pack_annotation created = { ANNOTATION_CREATED, text };
        size_t n = 0;
        struct tm tm;

        gmtime_r(&seconds, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        for (size_t i = 0; i < spec->n_annotations; i++)
                sorted[n++] = &spec->annotations[i];
        sorted[n++] = &created;
        sorted[n++] = &builder;
        qsort(sorted, n, sizeof(*sorted), compare_annotations);

        pack->annotations = json_object();
        if (!pack->annotations)
                return no_memory(err);
        for (size_t i = 0; i < n; i++) {
                if (json_object_get(pack->annotations, sorted[i]->key))
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "annotation '%s' is given twice", sorted[i]->key);
                if (add_text(pack->annotations, sorted[i]->key, sorted[i]->value) < 0)
                        return no_memory(err);
        }
        return 0;
}

/* Writes the blob and describes it; annotations may be NULL. */
static int put_blob(struct pack *pack, const char *media_type, struct bytes content,
                    const json_t *annotations, json_t **ret, struct error *err) {
        char digest[DIGEST_TEXT_MAX];
        json_t *descriptor;
        int r;

        r = blob_put(pack->store->root_fd, content, digest, err);
        if (r < 0)
                return r;
        descriptor = json_pack("{s:s,s:s,s:I,s:O*}", "mediaType", media_type, "digest", digest,
                               "size", (json_int_t)content.len, "annotations", annotations);
        if (!descriptor)
                return no_memory(err);
        *ret = descriptor;
        return 0;
}

static int put_document(struct pack *pack, const char *media_type, const json_t *root, json_t **ret,
                        struct error *err) {
        cleanup_free char *text = NULL;
        size_t n;

        if (!root || json_print(root, &text, &n) < 0)
                return no_memory(err);
        return put_blob(pack, media_type, BYTES(text, n), NULL, ret, err);
}

/* ig repeats the image's annotations on its config; the title is the file's. */
static int put_config(struct pack *pack, struct error *err) {
        struct bytes definition = pack->spec->definition;
        cleanup_json json_t *annotations = NULL;

        if (definition.len == 0)
                return put_blob(pack, MEDIA_TYPE_EMPTY, BYTES("{}", 2), NULL, &pack->config, err);
        annotations = json_copy(pack->annotations);
        if (!annotations || add_text(annotations, ANNOTATION_TITLE, TITLE_CONFIG) < 0)
                return no_memory(err);
        return put_blob(pack, MEDIA_TYPE_GADGET_CONFIG, definition, annotations, &pack->config,
                        err);
}

static int put_layer(struct pack *pack, struct bytes object, json_t **ret, struct error *err) {
        static const char *const copied[] = { ANNOTATION_AUTHORS, ANNOTATION_DESCRIPTION };
        cleanup_json json_t *annotations = json_object();

        for (size_t i = 0; annotations && i < ARRAY_SIZE(copied); i++) {
                json_t *value = json_object_get(pack->annotations, copied[i]);

                if (value && json_object_set(annotations, copied[i], value) < 0)
                        return no_memory(err);
        }
        if (!annotations || add_text(annotations, ANNOTATION_TITLE, TITLE_OBJECT) < 0)
                return no_memory(err);
        return put_blob(pack, MEDIA_TYPE_GADGET_EBPF, object, annotations, ret, err);
}

static int put_manifest(struct pack *pack, const struct pack_object *object, struct error *err) {
        cleanup_json json_t *layer = NULL;
        cleanup_json json_t *root = NULL;
        cleanup_json json_t *described = NULL;
        cleanup_json json_t *platform = NULL;
        int r;

        r = put_layer(pack, object->object, &layer, err);
        if (r < 0)
                return r;
        root = json_pack("{s:i,s:s,s:s,s:O,s:[O],s:O}", "schemaVersion", 2, "mediaType",
                         MEDIA_TYPE_MANIFEST, "artifactType", ARTIFACT_TYPE_GADGET, "config",
                         pack->config, "layers", layer, "annotations", pack->annotations);
        r = put_document(pack, MEDIA_TYPE_MANIFEST, root, &described, err);
        if (r < 0)
                return r;
        platform = json_pack("{s:s,s:s}", "architecture", object->arch, "os", "linux");
        if (!platform || json_object_set(described, "annotations", pack->annotations) < 0 ||
            json_object_set(described, "platform", platform) < 0 ||
            json_array_append(pack->manifests, described) < 0)
                return no_memory(err);
        return 0;
}

static int compare_objects(const void *a, const void *b) {
        return strcmp((*(const struct pack_object *const *)a)->arch,
                      (*(const struct pack_object *const *)b)->arch);
}

static int put_manifests(struct pack *pack, struct error *err) {
        const struct pack_object *sorted[OBJECTS_MAX] = { 0 };
        const struct pack_spec *spec = pack->spec;
        int r;

        for (size_t i = 0; i < spec->n_objects; i++)
                sorted[i] = &spec->objects[i];
        qsort(sorted, spec->n_objects, sizeof(*sorted), compare_objects);
        pack->manifests = json_array();
        if (!pack->manifests)
                return no_memory(err);
        for (size_t i = 0; i < spec->n_objects; i++) {
                r = put_manifest(pack, sorted[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int put_index(struct pack *pack, json_t **ret, struct error *err) {
        cleanup_json json_t *root = NULL;

        root = json_pack("{s:i,s:s,s:O,s:O}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_INDEX,
                         "manifests", pack->manifests, "annotations", pack->annotations);
        return put_document(pack, MEDIA_TYPE_INDEX, root, ret, err);
}

static int put_all(struct pack *pack, json_t **ret_index, struct error *err) {
        int r;

        r = make_annotations(pack, err);
        if (r < 0)
                return r;
        r = put_config(pack, err);
        if (r < 0)
                return r;
        r = put_manifests(pack, err);
        if (r < 0)
                return r;
        return put_index(pack, ret_index, err);
}

static int put_name(struct pack *pack, const struct image_ref *target, const json_t *index,
                    char *ret_digest, struct error *err) {
        cleanup_json json_t *ours =
                json_pack("{s:s}", ANNOTATION_ORIGIN, image_origin_name(ORIGIN_BUILT));
        struct descriptor d;
        int r;

        r = descriptor_parse(index, &d, err);
        if (r < 0)
                return r;
        d.annotations = ours;
        r = store_put_name(pack->store, target, &d, err);
        if (r < 0)
                return r;
        snprintf(ret_digest, DIGEST_TEXT_MAX, "%s", d.digest);
        return 0;
}

int store_pack(struct store *store, const struct image_ref *target, const struct pack_spec *spec,
               char ret_digest[DIGEST_TEXT_MAX], struct error *err) {
        cleanup(pack_done) struct pack pack = { .store = store, .spec = spec };
        cleanup_json json_t *index = NULL;
        cleanup_close int lock_fd = -1;
        int r;

        r = store_check_target(target, err);
        if (r < 0)
                return r;
        r = check_spec(spec, err);
        if (r < 0)
                return r;

        /* Held from the first blob on: until index.json names them they are garbage to others. */
        r = store_lock(store, &lock_fd, err);
        if (r < 0)
                return r;
        r = put_all(&pack, &index, err);
        if (r < 0)
                r = store_error(store, r, err);
        else
                r = put_name(&pack, target, index, ret_digest, err);
        /* A full disk should not stay full of what nobody can use. */
        if (r < 0)
                (void)store_collect_garbage(store);
        return r;
}
