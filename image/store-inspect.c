/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to know about images without running them: the listing and `image inspect`. */
#include <fcntl.h>
#include <stdio.h>

#include "base/text.h"
#include "image/store-internal.h"

/* What list says of one image, collected over its documents. */
struct survey {
        struct store *store;
        struct image_info *info;
        json_t *seen; /* digests that are counted already */
};

static bool is_present(struct store *store, const char *digest) {
        char path[BLOB_PATH_MAX];

        blob_path(digest, path);
        return faccessat(store->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int count_blob(struct survey *survey, const struct descriptor *d) {
        if (json_object_get(survey->seen, d->digest))
                return 0;
        if (json_object_set_new(survey->seen, d->digest, json_true()) < 0)
                return -ENOMEM;
        if (__builtin_add_overflow(survey->info->size, d->size, &survey->info->size))
                survey->info->size = UINT64_MAX;
        return 0;
}

static void add_architecture(struct image_info *info, const char *architecture) {
        size_t n = strlen(info->architectures);

        snprintf(info->architectures + n, sizeof(info->architectures) - n, "%s%.20s", n ? "," : "",
                 architecture);
}

static void take_created(struct image_info *info, const json_t *annotations) {
        const char *created = annotation_get(annotations, ANNOTATION_CREATED);

        if (created && info->created[0] == '\0' && strlen(created) < sizeof(info->created))
                snprintf(info->created, sizeof(info->created), "%s", created);
}

static int survey_manifest(struct survey *survey, const struct descriptor *d, struct error *err) {
        cleanup_document struct document manifest = { 0 };
        int r;

        r = blob_read_document(survey->store->root_fd, d, &manifest, err);
        if (r < 0)
                return r;
        take_created(survey->info, manifest.annotations);
        r = count_blob(survey, d);
        if (r == 0)
                r = count_blob(survey, &manifest.config);
        for (size_t i = 0; r == 0 && i < manifest.n_entries; i++)
                r = count_blob(survey, &manifest.entries[i]);
        if (r == 0 && d->architecture)
                add_architecture(survey->info, d->architecture);
        return r;
}

static int survey_image(struct survey *survey, const struct descriptor *d, struct error *err) {
        cleanup_document struct document index = { 0 };
        int r;

        if (!media_type_is_index(d->media_type))
                return survey_manifest(survey, d, err);
        r = blob_read_document(survey->store->root_fd, d, &index, err);
        if (r < 0)
                return r;
        take_created(survey->info, index.annotations);
        r = count_blob(survey, d);
        for (size_t i = 0; r == 0 && i < index.n_entries; i++)
                /* An index may list platforms that were not pulled. */
                if (is_present(survey->store, index.entries[i].digest))
                        r = survey_manifest(survey, &index.entries[i], err);
        return r;
}

int store_list(struct store *store, store_list_func func, void *userdata, struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        int r;

        r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);
        for (size_t i = 0; i < layout_count(&layout); i++) {
                struct image_info info = { .is_bundled = store->flags & STORE_READ_ONLY };
                cleanup_json json_t *seen = json_object();
                struct survey survey = { store, &info, seen };
                struct descriptor d;
                const char *name;

                if (!seen)
                        return store_error(store, -ENOMEM, err);
                layout_get(&layout, i, &d, &name);
                if (!name)
                        continue;
                layout_name(&layout, i, info.name, sizeof(info.name));
                snprintf(info.digest, sizeof(info.digest), "%s", d.digest);
                r = survey_image(&survey, &d, NULL);
                if (r == -ENOMEM)
                        return store_error(store, r, err);
                info.is_damaged = r < 0;
                r = func(userdata, &info);
                if (r < 0)
                        return r;
        }
        return 0;
}

static json_t *describe_descriptor(const struct descriptor *d) {
        return json_pack("{s:s,s:s,s:I,s:O*}", "mediaType", d->media_type, "digest", d->digest,
                         "size", (json_int_t)d->size, "annotations", d->annotations);
}

static json_t *describe_layers(const struct document *manifest) {
        cleanup_json json_t *layers = json_array();

        for (size_t i = 0; layers && i < manifest->n_entries; i++)
                if (json_array_append_new(layers, describe_descriptor(&manifest->entries[i])) < 0)
                        return NULL;
        return TAKE_PTR(layers);
}

/* Only the first definition found is read: the manifests of an image differ in their objects. */
static int read_definition(struct store *store, const struct descriptor *config,
                           json_t **definition, struct error *err) {
        cleanup_free uint8_t *text = NULL;
        int r;

        if (*definition || !str_eq(config->media_type, MEDIA_TYPE_GADGET_CONFIG))
                return 0;
        r = blob_read(store->root_fd, config, LIMIT_DEFINITION_SIZE_MAX, &text, err);
        if (r < 0)
                return error_prefix(err, r, "definition");
        /* One that is not UTF-8 is no YAML either; it is shown as missing. */
        if (!utf8_is_valid(text, config->size) || memchr(text, '\0', config->size))
                return 0;
        *definition = json_stringn((const char *)text, config->size);
        return *definition ? 0 : -ENOMEM;
}

/* Appends
 * {"digest","size","architecture","os","variant","artifactType","annotations","config","layers"}.
 */
static int describe_manifest(struct store *store, const struct descriptor *d, json_t *out,
                             json_t **definition, struct error *err) {
        cleanup_document struct document manifest = { 0 };
        cleanup_json json_t *config = NULL;
        cleanup_json json_t *layers = NULL;
        json_t *described;
        int r;

        r = blob_read_document(store->root_fd, d, &manifest, err);
        if (r < 0)
                return r;
        config = describe_descriptor(&manifest.config);
        layers = describe_layers(&manifest);
        described =
                json_pack("{s:s,s:I,s:s*,s:s*,s:s*,s:s*,s:O*,s:O,s:O}", "digest", d->digest, "size",
                          (json_int_t)d->size, "architecture", d->architecture, "os", d->os,
                          "variant", d->variant, "artifactType", manifest.artifact_type,
                          "annotations", manifest.annotations, "config", config, "layers", layers);
        if (json_array_append_new(out, described) < 0)
                return error_prefix(err, -ENOMEM, "manifest %s", d->digest);
        return read_definition(store, &manifest.config, definition, err);
}

static int describe_image(struct store *store, const struct descriptor *d, struct document *index,
                          json_t *manifests, json_t **definition, struct error *err) {
        int r;

        if (!media_type_is_index(d->media_type))
                return describe_manifest(store, d, manifests, definition, err);
        r = blob_read_document(store->root_fd, d, index, err);
        for (size_t i = 0; r == 0 && i < index->n_entries; i++)
                if (is_present(store, index->entries[i].digest))
                        r = describe_manifest(store, &index->entries[i], manifests, definition,
                                              err);
        return r;
}

int store_inspect(struct store *store, const struct image_ref *ref, char **ret_json,
                  struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        cleanup_document struct document index = { 0 };
        cleanup_json json_t *manifests = json_array();
        cleanup_json json_t *definition = NULL;
        cleanup_json json_t *root = NULL;
        char name[LIMIT_IMAGE_REF_MAX + 1];
        const json_t *annotations;
        struct descriptor d;
        int r;

        if (!manifests)
                return store_error(store, -ENOMEM, err);
        r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);
        r = store_find(store, &layout, ref, &d, err);
        if (r < 0)
                return r;
        image_ref_format(ref, name, sizeof(name));
        r = describe_image(store, &d, &index, manifests, &definition, err);
        if (r < 0)
                return error_prefix(err, r, "image '%s'", name);

        /* A lone manifest speaks for the image. */
        annotations =
                index.annotations ?: json_object_get(json_array_get(manifests, 0), "annotations");
        root = json_pack("{s:s,s:s,s:s,s:O?,s:O,s:O?,s:s,s:s*,s:s*}", "name", name, "digest",
                         d.digest, "mediaType", d.media_type, "annotations", annotations,
                         "manifests", manifests, "definition", definition, "origin",
                         store->flags & STORE_READ_ONLY
                                 ? "bundled"
                                 : image_origin_name(image_origin_of(d.annotations)),
                         "policy", annotation_get(d.annotations, ANNOTATION_POLICY), "admitted",
                         annotation_get(d.annotations, ANNOTATION_ADMITTED));
        r = root ? json_print(root, ret_json, NULL) : -ENOMEM;
        return r < 0 ? error_prefix(err, r, "image '%s'", name) : 0;
}
