/* SPDX-License-Identifier: Apache-2.0 */
#include "image/manifest.h"

#include <inttypes.h>

#include "gadget/api.h"
#include "image/store.h"

bool media_type_is_index(const char *media_type) {
        return str_eq(media_type, MEDIA_TYPE_INDEX) || str_eq(media_type, MEDIA_TYPE_DOCKER_INDEX);
}

bool media_type_is_manifest(const char *media_type) {
        return str_eq(media_type, MEDIA_TYPE_MANIFEST) ||
               str_eq(media_type, MEDIA_TYPE_DOCKER_MANIFEST);
}

const char *annotation_get(const json_t *annotations, const char *key) {
        return json_string_value(json_object_get(annotations, key));
}

static int missing_or_wrong(struct error *err, int r, const char *key, const char *type) {
        if (r == -ENOENT)
                return error_set(err, ERROR_INVALID, -EBADMSG, "has no '%s'", key);
        return error_set(err, ERROR_INVALID, -EBADMSG, "'%s' is not %s", key, type);
}

static int need_text(const json_t *object, const char *key, const char **ret, struct error *err) {
        int r = json_get_text(object, key, ret);

        return r < 0 ? missing_or_wrong(err, r, key, "a string") : 0;
}

static int want_text(const json_t *object, const char *key, const char **ret, struct error *err) {
        int r = json_get_text(object, key, ret);

        return r < 0 && r != -ENOENT ? missing_or_wrong(err, r, key, "a string") : 0;
}

/* Absent, or an object of strings. */
static int want_annotations(const json_t *object, const json_t **ret, struct error *err) {
        json_t *annotations = json_object_get(object, "annotations");
        const char *key;
        json_t *value;

        if (!annotations || json_is_null(annotations))
                return 0;
        if (!json_is_object(annotations))
                return missing_or_wrong(err, -EINVAL, "annotations", "an object");
        json_object_foreach(annotations, key, value) {
                if (!json_is_string(value))
                        return error_set(err, ERROR_INVALID, -EBADMSG,
                                         "annotation '%.100s' is not a string", key);
        }
        *ret = annotations;
        return 0;
}

static int parse_platform(const json_t *platform, struct descriptor *d, struct error *err) {
        int r;

        if (!platform || json_is_null(platform))
                return 0;
        if (!json_is_object(platform))
                return missing_or_wrong(err, -EINVAL, "platform", "an object");
        r = need_text(platform, "architecture", &d->architecture, err);
        if (r < 0)
                return error_prefix(err, r, "platform");
        r = need_text(platform, "os", &d->os, err);
        if (r < 0)
                return error_prefix(err, r, "platform");
        r = want_text(platform, "variant", &d->variant, err);
        if (r < 0)
                return error_prefix(err, r, "platform");
        return 0;
}

int descriptor_parse(const json_t *value, struct descriptor *ret, struct error *err) {
        struct descriptor d = { 0 };
        int r;

        if (!json_is_object(value))
                return error_set(err, ERROR_INVALID, -EBADMSG, "is not an object");
        r = need_text(value, "mediaType", &d.media_type, err);
        if (r < 0)
                return r;
        r = need_text(value, "digest", &d.digest, err);
        if (r < 0)
                return r;
        /* Before anything makes a path or URL of it. */
        if (!digest_is_valid(d.digest))
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "'digest' is '%.150s', not sha256:<64 hex> or sha512:<128 hex>",
                                 d.digest);
        r = json_get_u64(value, "size", &d.size);
        if (r < 0)
                return missing_or_wrong(err, r, "size", "a number of bytes");
        r = want_text(value, "artifactType", &d.artifact_type, err);
        if (r < 0)
                return r;
        r = want_annotations(value, &d.annotations, err);
        if (r < 0)
                return r;
        r = parse_platform(json_object_get(value, "platform"), &d, err);
        if (r < 0)
                return r;
        *ret = d;
        return 0;
}

static int parse_entries(struct document *doc, const char *key, struct error *err) {
        const json_t *list = json_object_get(doc->root, key);
        int r;

        if (!json_is_array(list))
                return missing_or_wrong(err, list ? -EINVAL : -ENOENT, key, "an array");
        if (json_array_size(list) > MANIFEST_ENTRIES_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "has %zu %s, more than %d",
                                 json_array_size(list), key, MANIFEST_ENTRIES_MAX);
        doc->entries = calloc(MAX(json_array_size(list), (size_t)1), sizeof(*doc->entries));
        if (!doc->entries)
                return -ENOMEM;
        for (size_t i = 0; i < json_array_size(list); i++) {
                r = descriptor_parse(json_array_get(list, i), &doc->entries[i], err);
                if (r < 0)
                        return error_prefix(err, r, "%s[%zu]", key, i);
                doc->n_entries++;
        }
        return 0;
}

static int parse_manifest(struct document *doc, struct error *err) {
        const json_t *config = json_object_get(doc->root, "config");
        int r;

        if (!config)
                return missing_or_wrong(err, -ENOENT, "config", "an object");
        r = descriptor_parse(config, &doc->config, err);
        if (r < 0)
                return error_prefix(err, r, "config");
        return parse_entries(doc, "layers", err);
}

static int parse_index(struct document *doc, struct error *err) {
        int r;

        r = parse_entries(doc, "manifests", err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < doc->n_entries; i++)
                if (media_type_is_index(doc->entries[i].media_type))
                        return error_set(err, ERROR_INVALID, -EBADMSG,
                                         "manifests[%zu] is an index, and an index of indexes is "
                                         "not accepted",
                                         i);
        return 0;
}

/* What holds for both kinds: version 2, the media type that was promised, and members of one kind
 * only. */
static int check_kind(struct document *doc, const char *media_type, struct error *err) {
        uint64_t version;
        int r;

        r = json_get_u64(doc->root, "schemaVersion", &version);
        if (r < 0)
                return missing_or_wrong(err, r, "schemaVersion", "a number");
        if (version != 2)
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "'schemaVersion' is %" PRIu64 ", not 2", version);
        r = want_text(doc->root, "mediaType", &doc->media_type, err);
        if (r < 0)
                return r;
        /* OCI only recommends it, docker demands it. Without it the announced type stands, and the
         * members below must be of that kind alone. */
        if (!doc->media_type && str_after(media_type, "application/vnd.docker."))
                return missing_or_wrong(err, -ENOENT, "mediaType", "a string");
        if (!doc->media_type)
                doc->media_type =
                        doc->kind == DOCUMENT_INDEX ? MEDIA_TYPE_INDEX : MEDIA_TYPE_MANIFEST;
        if (!str_eq(doc->media_type, media_type))
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "'mediaType' is '%.120s', but '%.120s' was announced",
                                 doc->media_type, media_type);
        if (json_object_get(doc->root, "manifests") &&
            (json_object_get(doc->root, "layers") || json_object_get(doc->root, "config")))
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "has 'manifests' and also 'layers' or 'config': neither an index "
                                 "nor a manifest");
        return 0;
}

int document_parse(struct bytes text, const char *media_type, struct document *ret,
                   struct error *err) {
        cleanup_document struct document doc = { 0 };
        int r;

        if (media_type_is_index(media_type))
                doc.kind = DOCUMENT_INDEX;
        else if (media_type_is_manifest(media_type))
                doc.kind = DOCUMENT_MANIFEST;
        else
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "media type '%.120s' is neither a manifest's nor an index's",
                                 media_type);
        if (text.len > LIMIT_MANIFEST_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG, "has %zu bytes, more than %d", text.len,
                                 LIMIT_MANIFEST_SIZE_MAX);

        r = json_parse(text, JSON_VALUES_MAX, &doc.root, err);
        if (r < 0)
                return r;
        r = check_kind(&doc, media_type, err);
        if (r < 0)
                return r;
        r = want_text(doc.root, "artifactType", &doc.artifact_type, err);
        if (r < 0)
                return r;
        r = want_annotations(doc.root, &doc.annotations, err);
        if (r < 0)
                return r;
        r = doc.kind == DOCUMENT_INDEX ? parse_index(&doc, err) : parse_manifest(&doc, err);
        if (r < 0)
                return r;

        *ret = doc;
        doc = (struct document){ 0 };
        return 0;
}

void document_done(struct document *doc) {
        json_decref(doc->root);
        free(doc->entries);
        *doc = (struct document){ 0 };
}
