/* SPDX-License-Identifier: Apache-2.0 */
/* From a reference to a gadget's bytes: entry of index.json, index, manifest of the architecture,
 * config and layer. */
#include <inttypes.h>
#include <stdio.h>

#include "image/store-internal.h"

#define ARCHITECTURES_TEXT_MAX 128

struct image *image_free(struct image *image) {
        if (!image)
                return NULL;
        free(image->name);
        free(image->object);
        free(image->definition);
        free(image->definition_name);
        free(image);
        return NULL;
}

/* Gadgets are Linux programs; a descriptor without platform fits every architecture. */
static bool platform_fits(const struct descriptor *d, const char *arch) {
        if (!d->architecture)
                return true;
        return str_eq(d->architecture, arch) && str_eq(d->os, "linux");
}

static int no_such_architecture(const struct document *index, const char *arch, struct error *err) {
        char offered[ARCHITECTURES_TEXT_MAX] = "";

        for (size_t i = 0; i < index->n_entries; i++) {
                const struct descriptor *d = &index->entries[i];
                size_t n = strlen(offered);

                if (d->architecture)
                        snprintf(offered + n, sizeof(offered) - n, "%s%.20s", n ? ", " : "",
                                 d->architecture);
        }
        return error_set(err, ERROR_NOT_FOUND, -ENOEXEC, "has nothing for %s; it offers: %s", arch,
                         offered[0] ? offered : "nothing");
}

/* The manifest for arch: of the index that d leads to, or d itself. ret_descriptor borrows from
 * *ret_index or d. */
static int choose_manifest(struct store *store, const struct descriptor *d, const char *arch,
                           struct document *ret_index, struct descriptor *ret_descriptor,
                           struct error *err) {
        cleanup_document struct document index = { 0 };
        int r;

        if (!media_type_is_index(d->media_type)) {
                if (!platform_fits(d, arch))
                        return error_set(err, ERROR_NOT_FOUND, -ENOEXEC,
                                         "has nothing for %s; it offers: %.20s", arch,
                                         d->architecture);
                *ret_descriptor = *d;
                return 0;
        }
        r = blob_read_document(store->root_fd, d, &index, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < index.n_entries; i++)
                if (index.entries[i].architecture && platform_fits(&index.entries[i], arch)) {
                        *ret_descriptor = index.entries[i];
                        *ret_index = index;
                        index = (struct document){ 0 };
                        return 0;
                }
        return no_such_architecture(&index, arch, err);
}

/* Exactly one eBPF program. Layers of other kinds (wasm, BTF archives) are left to those who know
 * them. */
static int choose_layer(const struct document *manifest, const struct descriptor **ret,
                        struct error *err) {
        const struct descriptor *found = NULL;

        for (size_t i = 0; i < manifest->n_entries; i++) {
                const struct descriptor *d = &manifest->entries[i];

                if (!str_eq(d->media_type, MEDIA_TYPE_GADGET_EBPF))
                        continue;
                if (found)
                        return error_set(err, ERROR_INVALID, -EBADMSG,
                                         "has more than one eBPF layer");
                found = d;
        }
        if (!found && manifest->n_entries > 0)
                return error_set(
                        err, ERROR_INVALID, -EBADMSG,
                        "is no gadget that can run here: it has no eBPF layer but '%.120s'",
                        manifest->entries[0].media_type);
        if (!found)
                return error_set(err, ERROR_INVALID, -EBADMSG, "is no gadget: it has no layers");
        *ret = found;
        return 0;
}

static int load_definition(struct store *store, const struct descriptor *config,
                           struct image *image, struct error *err) {
        int r;

        if (str_eq(config->media_type, MEDIA_TYPE_EMPTY)) {
                image->definition = calloc(1, 1);
                return image->definition ? 0 : -ENOMEM;
        }
        if (!str_eq(config->media_type, MEDIA_TYPE_GADGET_CONFIG))
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "is no gadget: its config is of type '%.120s'",
                                 config->media_type);
        r = blob_read(store->root_fd, config, LIMIT_DEFINITION_SIZE_MAX, &image->definition, err);
        if (r < 0)
                return error_prefix(err, r, "definition");
        image->definition_size = config->size;
        return 0;
}

static int load_manifest(struct store *store, const struct descriptor *d, struct image *image,
                         struct error *err) {
        cleanup_document struct document manifest = { 0 };
        const struct descriptor *layer = NULL;
        int r;

        r = blob_read_document(store->root_fd, d, &manifest, err);
        if (r < 0)
                return r;
        r = choose_layer(&manifest, &layer, err);
        if (r < 0)
                return r;
        r = load_definition(store, &manifest.config, image, err);
        if (r < 0)
                return r;
        r = blob_read(store->root_fd, layer, LIMIT_OBJECT_SIZE_MAX, &image->object, err);
        if (r < 0)
                return error_prefix(err, r, "eBPF object");
        image->object_size = layer->size;
        snprintf(image->manifest_digest, sizeof(image->manifest_digest), "%s", d->digest);
        return 0;
}

static int load(struct store *store, const struct descriptor *d, const char *arch,
                struct image *image, struct error *err) {
        cleanup_document struct document index = { 0 };
        struct descriptor manifest;
        int r;

        r = choose_manifest(store, d, arch, &index, &manifest, err);
        if (r < 0)
                return r;
        return load_manifest(store, &manifest, image, err);
}

int store_load(struct store *store, const struct image_ref *ref, const char *arch,
               struct image **ret, struct error *err) {
        cleanup(image_freep) struct image *image = calloc(1, sizeof(*image));
        cleanup_layout struct layout layout = { 0 };
        char name[LIMIT_IMAGE_REF_MAX + 1];
        struct descriptor d;
        int r;

        r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);
        r = store_find(store, &layout, ref, &d, err);
        if (r < 0)
                return r;
        image_ref_format(ref, name, sizeof(name));
        if (image)
                image->name = strdup(name);
        if (!image || !image->name)
                return error_prefix(err, -ENOMEM, "image '%s'", name);
        snprintf(image->digest, sizeof(image->digest), "%s", d.digest);
        image->is_bundled = store->flags & STORE_READ_ONLY;
        image->origin = image_origin_of(d.annotations);
        snprintf(image->policy, sizeof(image->policy), "%s",
                 annotation_get(d.annotations, ANNOTATION_POLICY) ?: "");

        r = load(store, &d, arch, image, err);
        if (r < 0)
                return error_prefix(err, r, "image '%s'", name);
        *ret = TAKE_PTR(image);
        return 0;
}
