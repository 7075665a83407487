/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pull fetches: the top document, the manifests of the platforms that are wanted, their
 * blobs; and beside them what may be signatures of the image, in cosign's tag, and in referrers
 * with their tag as fallback. The image is taken into the store as one, then each signature.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/log.h"
#include "image/signature.h"
#include "supervisor/client.h"
#include "supervisor/supervisor.h"
#include "supervisor/transfer.h"

#define TAKES_MAX 3 /* a blob may be removed from the store while others come */

/* "sha256:abc" to "sha256-abc" and a suffix: how tags name digests. One of sha512 is too long for a
 * tag and gets one that nothing has. */
static void digest_tag(const char *digest, const char *suffix, char *out, size_t n) {
        const char *hex = strchr(digest, ':');

        snprintf(out, n, "%.6s-%.64s%s", digest, hex ? hex + 1 : "", suffix);
}

/* --- documents --- */

static int add_manifest(struct transfer *transfer, const struct descriptor *d, enum task_role role,
                        struct error *err) {
        struct task what = { .kind = TASK_DOCUMENT,
                             .role = role,
                             .fetch = FETCH_MANIFEST,
                             .fd = -1,
                             .size = d->size,
                             .is_pinned = true };

        if (d->size == 0 || d->size > LIMIT_MANIFEST_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG,
                                 "manifest %s would have %" PRIu64 " bytes, not 1 to %d", d->digest,
                                 d->size, LIMIT_MANIFEST_SIZE_MAX);
        if (strlen(d->media_type) >= sizeof(what.media_type))
                return error_set(err, ERROR_INVALID, -EBADMSG, "a media type is too long");
        for (size_t i = 0; i < transfer->n_tasks; i++)
                if (transfer->tasks[i]->kind == TASK_DOCUMENT &&
                    str_eq(transfer->tasks[i]->reference, d->digest))
                        return 0;
        snprintf(what.reference, sizeof(what.reference), "%s", d->digest);
        snprintf(what.digest, sizeof(what.digest), "%s", d->digest);
        snprintf(what.media_type, sizeof(what.media_type), "%s", d->media_type);
        return transfer_add(transfer, &what, NULL, err);
}

static bool is_wanted(const struct transfer *transfer, const struct descriptor *d) {
        if (!media_type_is_manifest(d->media_type))
                return false;
        if (transfer->all_platforms || !d->architecture)
                return transfer->all_platforms;
        return str_eq(d->architecture, transfer->platform_arch) &&
               str_eq(d->os, transfer->platform_os);
}

static int no_such_platform(const struct transfer *transfer, const struct document *index,
                            struct error *err) {
        char offered[200] = "";

        for (size_t i = 0; i < index->n_entries; i++) {
                const struct descriptor *d = &index->entries[i];
                size_t n = strlen(offered);

                if (d->architecture)
                        snprintf(offered + n, sizeof(offered) - n, "%s%.20s/%.20s", n ? ", " : "",
                                 d->os, d->architecture);
        }
        return error_set(err, ERROR_NOT_FOUND, -ENOEXEC,
                         "has nothing for %.20s/%.20s; it offers: %s (choose one with --platform)",
                         transfer->platform_os, transfer->platform_arch,
                         offered[0] ? offered : "nothing");
}

static int on_index(struct transfer *transfer, const struct document *index, struct error *err) {
        bool found = false;
        int r = 0;

        for (size_t i = 0; i < index->n_entries && r == 0; i++) {
                if (!is_wanted(transfer, &index->entries[i]))
                        continue;
                found = true;
                r = add_manifest(transfer, &index->entries[i], ROLE_IMAGE, err);
        }
        return r == 0 && !found ? no_such_platform(transfer, index, err) : r;
}

static int add_blobs(struct transfer *transfer, const struct document *manifest,
                     enum task_role role, struct error *err) {
        int r = transfer_add_blob(transfer, manifest->config.digest, manifest->config.size, role,
                                  err);

        for (size_t i = 0; r == 0 && i < manifest->n_entries; i++)
                r = transfer_add_blob(transfer, manifest->entries[i].digest,
                                      manifest->entries[i].size, role, err);
        return r;
}

/* cosign's tag, and referrers. */
static int look_for_signatures(struct transfer *transfer, const struct task *root,
                               struct error *err) {
        struct task tag = {
                .kind = TASK_DOCUMENT, .role = ROLE_SIGNATURE, .fetch = FETCH_MANIFEST, .fd = -1
        };
        struct task referrers = {
                .kind = TASK_DOCUMENT, .role = ROLE_REFERRERS, .fetch = FETCH_REFERRERS, .fd = -1
        };
        int r;

        digest_tag(root->digest, ".sig", tag.reference, sizeof(tag.reference));
        snprintf(tag.tag, sizeof(tag.tag), "%.128s", tag.reference);
        snprintf(referrers.reference, sizeof(referrers.reference), "%s", root->digest);
        r = transfer_add(transfer, &tag, NULL, err);
        return r < 0 ? r : transfer_add(transfer, &referrers, NULL, err);
}

static int parse(const struct task *task, struct document *ret, struct error *err) {
        int r = document_parse(BYTES(task->text, task->size), task->media_type, ret, err);

        return r < 0 ? error_prefix(err, r, "%.140s", task->reference) : 0;
}

static int on_image_document(struct transfer *transfer, struct task *task, struct error *err) {
        cleanup_document struct document doc = { 0 };
        bool is_root = task == transfer->tasks[0];
        int r;

        r = parse(task, &doc, err);
        if (r == 0 && doc.kind == DOCUMENT_INDEX)
                r = is_root ? on_index(transfer, &doc, err)
                            : error_set(err, ERROR_INVALID, -EBADMSG, "an index in an index");
        else if (r == 0)
                r = add_blobs(transfer, &doc, ROLE_IMAGE, err);
        if (r == 0 && is_root)
                r = look_for_signatures(transfer, task, err);
        return r;
}

static bool is_small(const struct document *manifest) {
        if (manifest->n_entries > LIMIT_SIGNATURES_MAX ||
            manifest->config.size > SIGNATURE_PAYLOAD_MAX)
                return false;
        for (size_t i = 0; i < manifest->n_entries; i++)
                if (manifest->entries[i].size > SIGNATURE_PAYLOAD_MAX)
                        return false;
        return true;
}

static int on_signature_manifest(struct transfer *transfer, struct task *task, struct error *err) {
        cleanup_document struct document doc = { 0 };
        int r;

        r = parse(task, &doc, err);
        if (r < 0)
                return r;
        if (doc.kind != DOCUMENT_MANIFEST || !is_small(&doc))
                return error_set(err, ERROR_INVALID, -EBADMSG, "is no manifest of signatures");
        return add_blobs(transfer, &doc, task->role, err);
}

static bool is_signature_type(const char *type) {
        return type && (str_eq(type, ARTIFACT_TYPE_COSIGN_SIGNATURE) ||
                        str_after(type, "application/vnd.dev.sigstore.bundle."));
}

static int on_referrers(struct transfer *transfer, struct task *task, struct error *err) {
        cleanup_document struct document doc = { 0 };
        unsigned int n = 0;
        int r;

        if (task->is_missing) {
                struct task fallback = { .kind = TASK_DOCUMENT,
                                         .role = ROLE_REFERRERS,
                                         .fetch = FETCH_MANIFEST,
                                         .fd = -1 };

                if (task->fetch != FETCH_REFERRERS)
                        return 0;
                digest_tag(transfer->tasks[0]->digest, "", fallback.reference,
                           sizeof(fallback.reference));
                return transfer_add(transfer, &fallback, NULL, err);
        }
        r = parse(task, &doc, err);
        if (r < 0)
                return r;
        for (size_t i = 0; doc.kind == DOCUMENT_INDEX && i < doc.n_entries && r == 0; i++)
                if (is_signature_type(doc.entries[i].artifact_type) &&
                    media_type_is_manifest(doc.entries[i].media_type) && n++ < LIMIT_SIGNATURES_MAX)
                        r = add_manifest(transfer, &doc.entries[i], ROLE_ATTACHED, err);
        return r;
}

static int on_document(struct transfer *transfer, struct task *task, struct error *err) {
        struct error why = {};
        int r = 0;

        if (task->role == ROLE_IMAGE)
                return on_image_document(transfer, task, err);
        if (task->role == ROLE_REFERRERS)
                r = on_referrers(transfer, task, &why);
        else if (!task->is_missing)
                r = on_signature_manifest(transfer, task, &why);
        if (r < 0) {
                log_info("'%s': signatures not looked at: %s", transfer->name, error_text(&why));
                task->is_missing = true;
        }
        return 0;
}

/* --- into the store --- */

struct collection {
        struct intake_document documents[LIMIT_SIGNATURES_MAX + MANIFEST_ENTRIES_MAX + 1];
        struct intake_blob *blobs;
        size_t n_documents;
        size_t n_blobs;
};

static void add_document(struct collection *all, const struct task *task) {
        if (all->n_documents < ARRAY_SIZE(all->documents))
                all->documents[all->n_documents++] =
                        (struct intake_document){ task->digest, BYTES(task->text, task->size) };
}

static void add_blob(struct collection *all, const struct task *task) {
        all->blobs[all->n_blobs++] =
                (struct intake_blob){ task->digest, task->size,
                                      task->inflight->writer.fd >= 0 ? &task->inflight->writer
                                                                     : NULL };
}

static int take_in(struct transfer *transfer, const struct image_ref *ref, const struct task *root,
                   struct collection *all, bool *ret_replaced, struct error *err) {
        struct intake intake = {
                .ref = ref,
                .root = { .media_type = root->media_type,
                          .digest = root->digest,
                          .size = root->size },
                .origin = ORIGIN_PULLED,
                .documents = all->documents,
                .n_documents = all->n_documents,
                .blobs = all->blobs,
                .n_blobs = all->n_blobs,
        };

        return store_take_in(transfer->store, &intake, ret_replaced, err);
}

static int take_image(struct transfer *transfer, struct error *err) {
        cleanup_free struct collection *all = calloc(1, sizeof(*all));
        cleanup_free struct intake_blob *blobs = calloc(transfer->n_tasks, sizeof(*blobs));
        bool is_replaced;
        int r;

        if (!all || !blobs)
                return -ENOMEM;
        all->blobs = blobs;
        for (size_t i = 0; i < transfer->n_tasks; i++) {
                const struct task *task = transfer->tasks[i];

                if (task->role == ROLE_IMAGE && task->kind == TASK_DOCUMENT)
                        add_document(all, task);
                else if (task->role == ROLE_IMAGE)
                        add_blob(all, task);
        }
        r = take_in(transfer, &transfer->ref, transfer->tasks[0], all, &is_replaced, err);
        if (r == 0)
                transfer->was_present = !is_replaced;
        return r;
}

static struct task *find_blob(const struct transfer *transfer, const char *digest) {
        for (size_t i = 0; i < transfer->n_tasks; i++)
                if (transfer->tasks[i]->kind == TASK_BLOB && !transfer->tasks[i]->is_missing &&
                    str_eq(transfer->tasks[i]->digest, digest))
                        return transfer->tasks[i];
        return NULL;
}

/* False when one of its blobs could not be had. ret_type: its artifact type as OCI has it, may be
 * NULL. */
static bool collect_manifest(const struct transfer *transfer, const struct task *task,
                             struct collection *all, char ret_type[128]) {
        cleanup_document struct document doc = { 0 };
        struct task *blob;

        if (parse(task, &doc, NULL) < 0)
                return false;
        if (ret_type)
                snprintf(ret_type, 128, "%.127s", doc.artifact_type ?: doc.config.media_type);
        for (size_t i = 0; i <= doc.n_entries; i++) {
                blob = find_blob(transfer, i == 0 ? doc.config.digest : doc.entries[i - 1].digest);
                if (!blob)
                        return false;
                add_blob(all, blob);
        }
        add_document(all, task);
        return true;
}

static void take_signature(struct transfer *transfer, const struct task *task) {
        cleanup_free struct collection *all = calloc(1, sizeof(*all));
        cleanup_free struct intake_blob *blobs = calloc(MANIFEST_ENTRIES_MAX + 1, sizeof(*blobs));
        struct image_ref ref = transfer->ref;
        struct error err = {};

        if (!all || !blobs)
                return;
        all->blobs = blobs;
        ref.digest[0] = '\0';
        snprintf(ref.tag, sizeof(ref.tag), "%s", task->tag);
        if (!collect_manifest(transfer, task, all, NULL))
                return;
        if (take_in(transfer, &ref, task, all, NULL, &err) < 0)
                log_warning("'%s': a signature was not stored: %s", transfer->name,
                            error_text(&err));
}

/* The attached manifests under one index, as the tag of referrers has it. */
static void take_attached(struct transfer *transfer) {
        cleanup_free struct collection *all = calloc(1, sizeof(*all));
        cleanup_free struct intake_blob *blobs =
                calloc((size_t)LIMIT_SIGNATURES_MAX * (MANIFEST_ENTRIES_MAX + 1), sizeof(*blobs));
        cleanup_json json_t *list = json_array();
        cleanup_json json_t *root = NULL;
        struct task index = { .media_type = MEDIA_TYPE_INDEX, .fd = -1 };
        struct image_ref ref = transfer->ref;
        cleanup_free char *text = NULL;
        struct error err = {};
        size_t n;

        if (!all || !blobs || !list)
                return;
        all->blobs = blobs;
        for (size_t i = 0; i < transfer->n_tasks; i++) {
                const struct task *task = transfer->tasks[i];
                char type[128];

                if (task->role == ROLE_ATTACHED && task->kind == TASK_DOCUMENT &&
                    !task->is_missing && collect_manifest(transfer, task, all, type))
                        (void)json_array_append_new(
                                list, json_pack("{s:s,s:s,s:I,s:s}", "mediaType", task->media_type,
                                                "digest", task->digest, "size",
                                                (json_int_t)task->size, "artifactType", type));
        }
        if (json_array_size(list) == 0)
                return;
        root = json_pack("{s:i,s:s,s:O}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_INDEX,
                         "manifests", list);
        if (!root || json_print(root, &text, &n) < 0 || digest_of(text, n, index.digest) < 0)
                return;
        index.text = (uint8_t *)text;
        index.size = n;
        add_document(all, &index);
        ref.digest[0] = '\0';
        digest_tag(transfer->tasks[0]->digest, "", ref.tag, sizeof(ref.tag));
        if (take_in(transfer, &ref, &index, all, NULL, &err) < 0)
                log_warning("'%s': signatures were not stored: %s", transfer->name,
                            error_text(&err));
}

static void begin_again(struct transfer *transfer) {
        for (size_t i = 0; i < transfer->n_tasks; i++) {
                struct task *task = transfer->tasks[i];

                if (!task->inflight || task->inflight->state != INFLIGHT_READY ||
                    task->inflight->writer.temp[0] != '\0')
                        continue;
                inflight_reset(task->inflight);
                task->state = TASK_WAITING;
        }
}

static int on_tasks_done(struct transfer *transfer, struct error *err) {
        int r;

        r = take_image(transfer, err);
        if (r == -ENODATA && ++transfer->n_takes < TAKES_MAX) {
                begin_again(transfer);
                return 1;
        }
        if (r < 0)
                return r;
        snprintf(transfer->digest, sizeof(transfer->digest), "%s", transfer->tasks[0]->digest);
        for (size_t i = 0; i < transfer->n_tasks; i++)
                if (transfer->tasks[i]->role == ROLE_SIGNATURE &&
                    transfer->tasks[i]->kind == TASK_DOCUMENT && !transfer->tasks[i]->is_missing)
                        take_signature(transfer, transfer->tasks[i]);
        take_attached(transfer);
        return 0;
}

/* --- the method --- */

static int add_root(struct transfer *transfer, struct error *err) {
        const struct image_ref *ref = &transfer->ref;
        struct task what = {
                .kind = TASK_DOCUMENT, .role = ROLE_IMAGE, .fetch = FETCH_MANIFEST, .fd = -1
        };

        snprintf(what.reference, sizeof(what.reference), "%s",
                 ref->digest[0] ? ref->digest : ref->tag);
        snprintf(what.digest, sizeof(what.digest), "%s", ref->digest);
        return transfer_add(transfer, &what, NULL, err);
}

int on_image_pull(struct call *call, const union request *request, struct error *err) {
        cleanup(transfer_freep) struct transfer *transfer = NULL;
        int r;

        r = transfer_new(call, &request->image_transfer, false, &transfer, err);
        if (r < 0)
                return r;
        transfer->on_document = on_document;
        transfer->on_tasks_done = on_tasks_done;
        r = add_root(transfer, err);
        if (r == 0)
                r = transfer_start(transfer, call, err);
        if (r < 0)
                return r;
        TAKE_PTR(transfer);
        return 0;
}
