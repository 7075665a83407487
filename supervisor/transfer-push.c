/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a push sends: blobs first, then the manifests that name them, then the index under its tag,
 * then signatures, then the list of what refers to it. The registry must never hold a document
 * whose parts are missing, so each kind is a stage.
 */
#include <stdio.h>

#include "image/store-signatures.h"
#include "supervisor/client.h"
#include "supervisor/supervisor.h"
#include "supervisor/transfer.h"

enum stage { STAGE_BLOBS, STAGE_MANIFESTS, STAGE_IMAGE, STAGE_SIGNATURES, STAGE_REFERRERS };

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

static int find_signatures(const struct transfer *transfer, const char *suffix, char tag[129],
                           struct resolved *found, struct descriptor *ret) {
        int r = store_find_signatures(transfer->store, &transfer->ref, transfer->digest, suffix,
                                      tag, found);

        *ret = (struct descriptor){ .media_type = found->media_type,
                                    .digest = found->digest,
                                    .size = found->size };
        return r;
}

/* The tag "sha256-HEX.sig" beside the image; signatures of an image that got another name since are
 * still of it. */
static int add_simple_signatures(struct transfer *transfer, struct error *err) {
        struct resolved found;
        struct descriptor d;
        char tag[129];

        if (find_signatures(transfer, SIGNATURE_TAG, tag, &found, &d) < 0)
                return 0;
        return add_document(transfer, &d, STAGE_IMAGE, STAGE_SIGNATURES, tag, err);
}

/* --- referrers --- */

/* The tag "sha256-HEX" is an index to which anybody may have added: it is asked for, and what is
 * missing in it is added. */
static int add_referrers(struct transfer *transfer, struct error *err) {
        cleanup_document struct document doc = { 0 };
        struct task ask = { .kind = TASK_DOCUMENT,
                            .role = ROLE_REFERRERS,
                            .stage = STAGE_SIGNATURES,
                            .fetch = FETCH_MANIFEST,
                            .fd = -1 };
        struct resolved found;
        struct descriptor d;
        int r;

        if (find_signatures(transfer, REFERRERS_TAG, ask.reference, &found, &d) < 0 ||
            !media_type_is_index(d.media_type))
                return 0;
        r = blob_read_document(store_root_fd(transfer->store), &d, &doc, err);
        for (size_t i = 0; r == 0 && i < doc.n_entries; i++)
                r = add_manifest(transfer, &doc.entries[i], STAGE_SIGNATURES, NULL, err);
        return r < 0 ? r : transfer_add(transfer, &ask, NULL, err);
}

/* 1 = something of `ours` was not in `theirs`. */
static int merge(const struct document *ours, const struct document *theirs) {
        json_t *list = json_object_get(theirs->root, "manifests");
        bool is_changed = false;

        for (size_t i = 0; i < ours->n_entries; i++) {
                bool found = false;

                for (size_t k = 0; k < theirs->n_entries; k++)
                        found |= str_eq(ours->entries[i].digest, theirs->entries[k].digest);
                if (found)
                        continue;
                is_changed = true;
                if (json_array_append(
                            list, json_array_get(json_object_get(ours->root, "manifests"), i)) < 0)
                        return -ENOMEM;
        }
        return is_changed;
}

static int put_merged(struct transfer *transfer, const char *tag, const struct document *merged,
                      struct error *err) {
        struct task what = {
                .kind = TASK_PUT_DOCUMENT, .role = ROLE_IMAGE, .stage = STAGE_REFERRERS, .fd = -1
        };
        char *text;
        size_t n;
        int r;

        r = json_print(merged->root, &text, &n);
        if (r < 0)
                return r;
        what.text = (uint8_t *)text;
        what.size = n;
        snprintf(what.reference, sizeof(what.reference), "%s", tag);
        snprintf(what.media_type, sizeof(what.media_type), "%s", merged->media_type);
        r = digest_of(text, n, what.digest);
        if (r == 0)
                r = transfer_add(transfer, &what, NULL, err);
        if (r < 0)
                free(text);
        return r;
}

static int on_document(struct transfer *transfer, struct task *task, struct error *err) {
        cleanup_document struct document ours = { 0 }, theirs = { 0 };
        struct resolved found;
        struct descriptor d;
        char tag[129];
        int r;

        if (task->is_missing && !task->is_absent)
                return error_set(err, ERROR_UNAVAILABLE, -EREMOTEIO,
                                 "what refers to the image could not be read, and is not "
                                 "overwritten unread");
        r = find_signatures(transfer, REFERRERS_TAG, tag, &found, &d);
        if (r < 0)
                return error_set(err, ERROR_NOT_FOUND, r,
                                 "its signatures were removed from the store meanwhile");
        if (task->is_missing)
                return add_put(transfer, TASK_PUT_DOCUMENT, STAGE_REFERRERS, &d, tag, err);
        r = blob_read_document(store_root_fd(transfer->store), &d, &ours, err);
        if (r == 0)
                r = document_parse(BYTES(task->text, task->size), task->media_type, &theirs, err);
        if (r == 0 && theirs.kind != DOCUMENT_INDEX)
                r = error_set(err, ERROR_INVALID, -EBADMSG, "is no index");
        if (r < 0)
                return error_prefix(err, r, "the registry's tag %s", task->reference);
        r = merge(&ours, &theirs);
        return r <= 0 ? r : put_merged(transfer, tag, &theirs, err);
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
        if (r == 0)
                r = add_simple_signatures(transfer, err);
        return r < 0 ? r : add_referrers(transfer, err);
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
        transfer->on_document = on_document;
        transfer->on_tasks_done = on_tasks_done;
        r = add_all(transfer, err);
        if (r == 0)
                r = transfer_start(transfer, call, err);
        if (r < 0)
                return r;
        TAKE_PTR(transfer);
        return 0;
}
