/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store-signatures.h"

#include <stdio.h>
#include <time.h>

#include "image/intake.h"
#include "image/store-internal.h"

#define ADMITTED_MAX 2048 /* of history; the oldest lines go */

static void tag_of(const char *digest, const char *suffix, char *out, size_t n) {
        const char *hex = strchr(digest, ':');

        snprintf(out, n, "%.6s-%.64s%s", digest, hex ? hex + 1 : "", suffix);
}

bool is_signature_name(const char *name) {
        const char *tag = strrchr(name, ':');
        const char *hex = tag ? str_after(tag + 1, "sha256-") : NULL;

        return hex && strspn(hex, "0123456789abcdef") == 64 &&
               (hex[64] == '\0' || str_eq(hex + 64, ".sig"));
}

void signature_subject(const char *name, char *out, size_t n) {
        out[0] = '\0';
        if (is_signature_name(name))
                snprintf(out, n, "sha256:%.64s", strrchr(name, ':') + 1 + strlen("sha256-"));
}

struct walk {
        struct store *store;
        signature_func func;
        void *userdata;
        unsigned int n;
};

static int visit_layer(struct walk *walk, const struct descriptor *d) {
        const char *signature = annotation_get(d->annotations, ANNOTATION_COSIGN_SIGNATURE);
        struct stored_signature found = { .signature = NULL };
        cleanup_free uint8_t *text = NULL;
        bool is_simple = str_eq(d->media_type, MEDIA_TYPE_SIMPLE_SIGNING);

        if (!is_simple && !str_after(d->media_type, "application/vnd.dev.sigstore.bundle."))
                return 0;
        if ((is_simple && !signature) || walk->n++ >= LIMIT_SIGNATURES_MAX ||
            blob_read(walk->store->root_fd, d, SIGNATURE_PAYLOAD_MAX, &text, NULL) < 0)
                return 0;
        if (is_simple) {
                found.payload = BYTES(text, d->size);
                found.signature = signature;
        } else {
                found.bundle = BYTES(text, d->size);
        }
        return walk->func(walk->userdata, &found);
}

static int visit_manifest(struct walk *walk, const struct descriptor *d) {
        cleanup_document struct document doc = { 0 };
        int r = 0;

        if (media_type_is_index(d->media_type) ||
            blob_read_document(walk->store->root_fd, d, &doc, NULL) < 0)
                return 0;
        for (size_t i = 0; i < doc.n_entries && r == 0; i++)
                r = visit_layer(walk, &doc.entries[i]);
        return r;
}

static int visit_entry(struct walk *walk, const struct descriptor *d) {
        cleanup_document struct document doc = { 0 };
        int r = 0;

        if (!media_type_is_index(d->media_type))
                return visit_manifest(walk, d);
        if (blob_read_document(walk->store->root_fd, d, &doc, NULL) < 0)
                return 0;
        for (size_t i = 0; i < doc.n_entries && r == 0; i++)
                r = visit_manifest(walk, &doc.entries[i]);
        return r;
}

int store_each_signature(struct store *store, const char *digest, signature_func func,
                         void *userdata) {
        struct walk walk = { .store = store, .func = func, .userdata = userdata };
        cleanup_layout struct layout layout = { 0 };
        char name[LIMIT_IMAGE_REF_MAX + 1], sig[128], index[128];
        int r;

        tag_of(digest, SIGNATURE_TAG, sig, sizeof(sig));
        tag_of(digest, REFERRERS_TAG, index, sizeof(index));
        r = layout_read(store->root_fd, &layout, NULL);
        for (size_t i = 0; r == 0 && i < layout_count(&layout); i++) {
                struct descriptor d;
                struct image_ref ref;
                const char *ignored;

                layout_name(&layout, i, name, sizeof(name));
                if (image_ref_parse(name, &ref, NULL) < 0 ||
                    (!str_eq(ref.tag, sig) && !str_eq(ref.tag, index)))
                        continue;
                layout_get(&layout, i, &d, &ignored);
                r = visit_entry(&walk, &d);
        }
        return r;
}

int store_find_signatures(struct store *store, const struct image_ref *ref, const char *digest,
                          const char *suffix, char ret_tag[129], struct resolved *ret) {
        cleanup_layout struct layout layout = { 0 };
        char name[LIMIT_IMAGE_REF_MAX + 1];
        struct image_ref own = *ref, other;
        int r;

        own.digest[0] = '\0';
        tag_of(digest, suffix, own.tag, sizeof(own.tag));
        snprintf(ret_tag, 129, "%.128s", own.tag);
        r = store_resolve(store, &own, ret, NULL);
        if (r == 0)
                return 0;
        r = layout_read(store->root_fd, &layout, NULL);
        for (size_t i = 0; r == 0 && i < layout_count(&layout); i++) {
                layout_name(&layout, i, name, sizeof(name));
                if (image_ref_parse(name, &other, NULL) == 0 && str_eq(other.tag, own.tag))
                        return store_resolve(store, &other, ret, NULL);
        }
        return -ENOENT;
}

/* --- adding --- */

static json_t *put(struct store *store, const char *media_type, struct bytes content,
                   const json_t *annotations, struct error *err) {
        char digest[DIGEST_TEXT_MAX];

        if (blob_put(store->root_fd, content, digest, err) < 0)
                return NULL;
        return json_pack("{s:s,s:s,s:I,s:O*}", "mediaType", media_type, "digest", digest, "size",
                         (json_int_t)content.len, "annotations", annotations);
}

static json_t *put_json(struct store *store, const char *media_type, const json_t *root,
                        struct error *err) {
        cleanup_free char *text = NULL;
        size_t n;

        if (!root || json_print(root, &text, &n) < 0)
                return NULL;
        return put(store, media_type, BYTES(text, n), NULL, err);
}

/* The list under `key` of the document that this name leads to now, or a new one. */
static json_t *old_list(struct store *store, const struct image_ref *ref, const char *key) {
        cleanup_layout struct layout layout = { 0 };
        cleanup_document struct document doc = { 0 };
        struct descriptor d;
        json_t *list;

        if (layout_read(store->root_fd, &layout, NULL) == 0 &&
            store_find(store, &layout, ref, &d, NULL) == 0 &&
            blob_read_document(store->root_fd, &d, &doc, NULL) == 0) {
                list = json_object_get(doc.root, key);
                if (json_is_array(list)) {
                        list = json_copy(list);
                        /* Room for one more: the oldest goes. */
                        while (list && json_array_size(list) >= LIMIT_SIGNATURES_MAX)
                                json_array_remove(list, 0);
                        return list;
                }
        }
        return json_array();
}

static json_t *make_manifest(struct store *store, json_t *layers, const char *artifact_type,
                             const json_t *subject, struct error *err) {
        cleanup_json json_t *config =
                put(store,
                    artifact_type ? MEDIA_TYPE_EMPTY : "application/vnd.oci.image.config.v1+json",
                    BYTES("{}", 2), NULL, err);
        cleanup_json json_t *root =
                json_pack("{s:i,s:s,s:s*,s:O,s:O,s:O*}", "schemaVersion", 2, "mediaType",
                          MEDIA_TYPE_MANIFEST, "artifactType", artifact_type, "config", config,
                          "layers", layers, "subject", subject);

        return put_json(store, MEDIA_TYPE_MANIFEST, root, err);
}

static json_t *add_simple(struct store *store, const struct image_ref *ref,
                          const struct stored_signature *signature, struct error *err) {
        cleanup_json json_t *layers = old_list(store, ref, "layers");
        cleanup_json json_t *annotations =
                json_pack("{s:s}", ANNOTATION_COSIGN_SIGNATURE, signature->signature);
        json_t *layer = put(store, MEDIA_TYPE_SIMPLE_SIGNING, signature->payload, annotations, err);

        if (!layers || !annotations || !layer || json_array_append_new(layers, layer) < 0)
                return NULL;
        return make_manifest(store, layers, NULL, NULL, err);
}

static json_t *add_bundle(struct store *store, const struct image_ref *ref, const json_t *subject,
                          const struct stored_signature *signature, struct error *err) {
        cleanup_json json_t *manifests = old_list(store, ref, "manifests");
        cleanup_json json_t *layers = json_array();
        cleanup_json json_t *root = NULL;
        json_t *layer = put(store, MEDIA_TYPE_BUNDLE, signature->bundle, NULL, err), *manifest;

        if (!manifests || !layers || !layer || json_array_append_new(layers, layer) < 0)
                return NULL;
        manifest = make_manifest(store, layers, MEDIA_TYPE_BUNDLE, subject, err);
        if (!manifest ||
            json_object_set_new(manifest, "artifactType", json_string(MEDIA_TYPE_BUNDLE)) < 0 ||
            json_array_append_new(manifests, manifest) < 0)
                return NULL;
        root = json_pack("{s:i,s:s,s:O}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_INDEX,
                         "manifests", manifests);
        return put_json(store, MEDIA_TYPE_INDEX, root, err);
}

static json_t *subject_of(struct store *store, const struct image_ref *ref) {
        cleanup_layout struct layout layout = { 0 };
        struct descriptor d;

        if (layout_read(store->root_fd, &layout, NULL) < 0 ||
            store_find(store, &layout, ref, &d, NULL) < 0)
                return NULL;
        return json_pack("{s:s,s:s,s:I}", "mediaType", d.media_type, "digest", d.digest, "size",
                         (json_int_t)d.size);
}

int store_add_signature(struct store *store, const struct image_ref *ref, const char *digest,
                        const struct stored_signature *signature, struct error *err) {
        bool is_bundle = signature->bundle.len > 0;
        struct image_ref target = *ref;
        cleanup_json json_t *described = NULL;
        cleanup_json json_t *subject = NULL;
        cleanup_close int lock_fd = -1;
        struct descriptor d;
        int r;

        target.digest[0] = '\0';
        tag_of(digest, is_bundle ? REFERRERS_TAG : SIGNATURE_TAG, target.tag, sizeof(target.tag));
        r = store_lock(store, &lock_fd, err);
        if (r < 0)
                return r;
        subject = subject_of(store, ref);
        described = is_bundle ? add_bundle(store, &target, subject, signature, err)
                              : add_simple(store, &target, signature, err);
        r = described ? descriptor_parse(described, &d, err) : -ENOMEM;
        if (r == 0)
                r = store_put_name(store, &target, &d, err);
        return r < 0 ? error_prefix(err, r, "cannot store the signature") : 0;
}

int store_note_admission(struct store *store, const struct image_ref *ref, const char *policy,
                         const char *why, struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        char history[ADMITTED_MAX + 256], when[32];
        const char *old, *keep;
        cleanup_close int lock_fd = -1;
        json_t *annotations;
        time_t now = time(NULL);
        struct tm tm;
        size_t i;
        int r;

        r = store_lock(store, &lock_fd, err);
        if (r == 0)
                r = layout_read(store->root_fd, &layout, err);
        if (r == 0)
                r = layout_find(&layout, ref, &i);
        if (r < 0)
                return r;
        annotations = json_object_get(json_array_get(layout.manifests, i), "annotations");
        old = annotation_get(annotations, ANNOTATION_ADMITTED) ?: "";
        for (keep = old; strlen(keep) > ADMITTED_MAX && strchr(keep, '\n');)
                keep = strchr(keep, '\n') + 1;
        gmtime_r(&now, &tm);
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
        snprintf(history, sizeof(history), "%s%s %.19s %.160s\n",
                 strlen(keep) > ADMITTED_MAX ? "" : keep, when, policy, why);
        if (json_object_set_new(annotations, ANNOTATION_POLICY, json_string(policy)) < 0 ||
            json_object_set_new(annotations, ANNOTATION_ADMITTED, json_string(history)) < 0)
                return -ENOMEM;
        return layout_write(store->root_fd, &layout, err);
}
