/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a push sends: blobs first, then the manifests that name them, then the index under its tag,
 * then signatures. The registry must never hold a document whose parts are missing, so each kind
 * is a stage.
 */
#include <stdio.h>

#include "image/store-signatures.h"
#include "supervisor/client.h"
#include "supervisor/supervisor.h"
#include "supervisor/transfer.h"

enum stage { STAGE_BLOBS, STAGE_MANIFESTS, STAGE_IMAGE, STAGE_SIGNATURES };

static int need_blob(struct transfer *transfer, const struct descriptor *d, struct error *err) {
        if (store_has_blob(transfer->store, d->digest, d->size, NULL))
                return 0;
        return error_set(err, ERROR_NOT_FOUND, -ENOENT,
                         "push '%s': %s%s%s is not in the store; pull the image again with "
                         "--all-platforms, or tag what should be pushed",
                         transfer->name, d->architecture ?: "", d->architecture ? " " : "",
                         d->digest);
}

static int add_put(struct transfer *transfer, enum task_kind kind, enum stage stage,
                   const struct descriptor *d, const char *reference, struct error *err) {
        struct task what = {
                .kind = kind, .role = ROLE_IMAGE, .stage = stage, .fd = -1, .size = d->size
        };
        struct task *task;
        int r;

        for (size_t i = 0; kind == TASK_PUT_BLOB && i < transfer->n_tasks; i++)
                if (str_eq(transfer->tasks[i]->digest, d->digest))
                        return 0;
        if (strlen(d->media_type) >= sizeof(what.media_type))
                return error_set(err, ERROR_INVALID, -EBADMSG, "a media type is too long");
        r = need_blob(transfer, d, err);
        if (r < 0)
                return r;
        snprintf(what.digest, sizeof(what.digest), "%s", d->digest);
        snprintf(what.reference, sizeof(what.reference), "%s", reference ?: d->digest);
        if (kind == TASK_PUT_DOCUMENT)
                snprintf(what.media_type, sizeof(what.media_type), "%s", d->media_type);
        r = transfer_add(transfer, &what, &task, err);
        if (r == 0 && kind == TASK_PUT_BLOB)
                store_find_sibling(transfer->store, &transfer->ref, d->digest, task->tag,
                                   sizeof(task->tag));
        return r;
}

static int add_manifest(struct transfer *transfer, const struct descriptor *d, enum stage stage,
                        const char *reference, struct error *err) {
        cleanup_document struct document doc = { 0 };
        int r;

        r = need_blob(transfer, d, err);
        if (r == 0)
                r = blob_read_document(store_root_fd(transfer->store), d, &doc, err);
        if (r == 0)
                r = add_put(transfer, TASK_PUT_BLOB, STAGE_BLOBS, &doc.config, NULL, err);
        for (size_t i = 0; r == 0 && i < doc.n_entries; i++)
                r = add_put(transfer, TASK_PUT_BLOB, STAGE_BLOBS, &doc.entries[i], NULL, err);
        return r < 0 ? r : add_put(transfer, TASK_PUT_DOCUMENT, stage, d, reference, err);
}

static int add_document(struct transfer *transfer, const struct descriptor *d, enum stage below,
                        enum stage stage, const char *reference, struct error *err) {
        cleanup_document struct document doc = { 0 };
        int r;

        if (!media_type_is_index(d->media_type))
                return add_manifest(transfer, d, stage, reference, err);
        r = blob_read_document(store_root_fd(transfer->store), d, &doc, err);
        for (size_t i = 0; r == 0 && i < doc.n_entries; i++)
                r = add_manifest(transfer, &doc.entries[i], below, NULL, err);
        return r < 0 ? r : add_put(transfer, TASK_PUT_DOCUMENT, stage, d, reference, err);
}

/* The tags "sha256-HEX.sig" and "sha256-HEX" beside the image, where they exist; signatures of an
 * image that got another name since are still of it. */
static int add_signatures(struct transfer *transfer, struct error *err) {
        static const char *const suffixes[] = { SIGNATURE_TAG, REFERRERS_TAG };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(suffixes) && r == 0; i++) {
                struct resolved found;
                struct descriptor d;
                char tag[129];

                if (store_find_signatures(transfer->store, &transfer->ref, transfer->digest,
                                          suffixes[i], tag, &found) < 0)
                        continue;
                d = (struct descriptor){ .media_type = found.media_type,
                                         .digest = found.digest,
                                         .size = found.size };
                r = add_document(transfer, &d, STAGE_IMAGE, STAGE_SIGNATURES, tag, err);
        }
        return r;
}

static int add_all(struct transfer *transfer, struct error *err) {
        struct resolved found;
        struct descriptor d;
        int r = -ENOENT;

        if (transfer->store)
                r = store_resolve(transfer->store, &transfer->ref, &found, err);
        if (r == -ENOENT)
                return error_set(err, ERROR_NOT_FOUND, r,
                                 "there is no image '%s' here; name one so with 'gadgetctl tag "
                                 "IMAGE %s'",
                                 transfer->name, transfer->name);
        if (r < 0)
                return r;
        snprintf(transfer->digest, sizeof(transfer->digest), "%s", found.digest);
        d = (struct descriptor){ .media_type = found.media_type,
                                 .digest = found.digest,
                                 .size = found.size };
        r = add_document(transfer, &d, STAGE_MANIFESTS, STAGE_IMAGE,
                         transfer->ref.tag[0] ? transfer->ref.tag : NULL, err);
        return r < 0 ? r : add_signatures(transfer, err);
}

static int on_tasks_done(struct transfer *transfer, struct error *err) {
        (void)transfer;
        (void)err;
        return 0;
}

int on_image_push(struct call *call, const union request *request, struct error *err) {
        cleanup(transfer_freep) struct transfer *transfer = NULL;
        int r;

        r = transfer_new(call, &request->image_transfer, true, &transfer, err);
        if (r < 0)
                return r;
        transfer->on_tasks_done = on_tasks_done;
        r = add_all(transfer, err);
        if (r == 0)
                r = transfer_start(transfer, call, err);
        if (r < 0)
                return r;
        TAKE_PTR(transfer);
        return 0;
}
