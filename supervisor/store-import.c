/* SPDX-License-Identifier: Apache-2.0 */
/* The methods image.write and image.import. */
#include "supervisor/store-import.h"

#include <inttypes.h>
#include <stdio.h>

#include "image/layout.h"
#include "image/reach.h"
#include "image/store-maintain.h"
#include "image/store-signatures.h"
#include "supervisor/client-routes.h"
#include "supervisor/client.h"
#include "supervisor/pack.h"
#include "supervisor/supervisor.h"
#include "supervisor/trust.h"

struct import *import_free(struct import *import) {
        if (!import)
                return NULL;
        for (size_t i = 0; i < import->n; i++) {
                blob_writer_done(&import->blobs[i]->writer);
                free(import->blobs[i]);
        }
        free(import);
        return NULL;
}

static struct import_blob *find(struct import *import, const char *digest) {
        for (size_t i = 0; i < import->n; i++)
                if (str_eq(import->blobs[i]->digest, digest))
                        return import->blobs[i];
        return NULL;
}

static int begin(struct client *client, const struct req_image_write *write,
                 struct import_blob **ret, struct error *err) {
        struct import *import = client->import;
        struct import_blob *blob;
        struct store *store;
        int r;

        if (!digest_is_valid(write->digest))
                return error_set(err, ERROR_INVALID, -EINVAL, "'%.150s' is no digest",
                                 write->digest);
        if (!import)
                import = client->import = calloc(1, sizeof(*import));
        if (!import)
                return -ENOMEM;
        if (import->n == IMPORT_BLOBS_MAX || import->total + write->size > LIMIT_IMAGE_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG,
                                 "more than %d blobs or %d bytes in one import", IMPORT_BLOBS_MAX,
                                 LIMIT_IMAGE_SIZE_MAX);
        r = image_service_local(&client->sup->images, true, &store, err);
        blob = r == 0 ? calloc(1, sizeof(*blob)) : NULL;
        if (!blob)
                return r < 0 ? r : -ENOMEM;
        r = blob_writer_init(&blob->writer, store_root_fd(store), write->digest, err);
        if (r < 0) {
                free(blob);
                return r;
        }
        snprintf(blob->digest, sizeof(blob->digest), "%s", write->digest);
        blob->size = write->size;
        import->total += write->size;
        import->blobs[import->n++] = blob;
        *ret = blob;
        return 0;
}

int on_image_write(struct call *call, const union request *request, struct error *err) {
        const struct req_image_write *write = &request->image_write;
        struct client *client = call->client;
        struct import_blob *blob = client->import ? find(client->import, write->digest) : NULL;
        int r = 0;

        if (!blob)
                r = begin(client, write, &blob, err);
        if (r < 0)
                return r;
        if (blob->is_verified)
                return call_reply(call, NULL);
        if (write->offset != blob->writer.size || write->size != blob->size ||
            write->data.len > blob->size - blob->writer.size)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "image.write: blob %s goes on at %" PRIu64 " of %" PRIu64 " bytes",
                                 blob->digest, blob->writer.size, blob->size);
        r = blob_writer_add(&blob->writer, write->data.data, write->data.len, err);
        if (r == 0 && blob->writer.size == blob->size) {
                r = blob_writer_verify(&blob->writer, blob->digest, NULL, err);
                blob->is_verified = r == 0;
        }
        if (r < 0) /* the whole import is spoilt */
                client->import = import_free(client->import);
        return r < 0 ? r : call_reply(call, NULL);
}

/* --- import --- */

/* One named entry of the foreign index.json, as the store will have it. */
static int take_entry(struct client *client, struct store *store, const json_t *entry,
                      const struct image_ref *ref, const struct descriptor *d, struct error *err) {
        struct intake_blob *blobs = calloc(IMPORT_BLOBS_MAX, sizeof(*blobs));
        struct import *import = client->import;
        struct intake intake = { .ref = ref,
                                 .root = *d,
                                 .origin = ORIGIN_IMPORTED,
                                 .blobs = blobs,
                                 .is_one_of_many = true };
        int r;

        (void)entry;
        if (!blobs)
                return -ENOMEM;
        /* All that was sent: what this entry does not need goes as garbage with the next that does
         * not either. */
        for (size_t i = 0; import && i < import->n; i++)
                if (import->blobs[i]->is_verified)
                        blobs[intake.n_blobs++] = (struct intake_blob){ import->blobs[i]->digest,
                                                                        import->blobs[i]->size,
                                                                        &import->blobs[i]->writer };
        if (!(import && find(import, d->digest)) &&
            !store_has_blob(store, d->digest, d->size, NULL))
                r = error_set(err, ERROR_INVALID, -EINVAL,
                              "index.json names %s, which the archive does not hold", d->digest);
        else
                r = store_take_in(store, &intake, NULL, err);
        free(blobs);
        return r;
}

static int import_entry(struct client *client, struct store *store, const json_t *entry,
                        struct pack *out, struct error *err) {
        struct trust trust = { .why = "" };
        char name[LIMIT_IMAGE_REF_MAX + 1];
        struct error why = {};
        const char *text;
        struct descriptor d;
        struct image_ref ref;
        struct pack map;
        int r;

        r = descriptor_parse(entry, &d, err);
        if (r < 0)
                return error_prefix(err, r, "index.json");
        text = annotation_get(d.annotations, ANNOTATION_REF_NAME);
        if (!text)
                return 0;
        r = image_ref_parse(text, &ref, err);
        if (r < 0)
                return error_prefix(err, r, "index.json");
        if (!media_type_is_index(d.media_type) && !media_type_is_manifest(d.media_type))
                return error_set(err, ERROR_INVALID, -EINVAL, "'%.200s' is of type '%.100s'", text,
                                 d.media_type);
        r = take_entry(client, store, entry, &ref, &d, err);
        if (r < 0)
                return r;
        image_ref_format(&ref, name, sizeof(name));
        if (is_signature_name(name))
                return 0;
        pack_item(out);
        map = pack_map(out->buf);
        pack_map_str(&map, "name", name);
        pack_map_str(&map, "digest", d.digest);
        r = trust_check(client->sup, name, d.digest, false, ORIGIN_IMPORTED, &trust, &why);
        pack_map_str(&map, "note", r < 0 ? error_text(&why) : "");
        pack_end(&map);
        return 0;
}

/* Signatures first, so that what policy says of the images is true at once. */
static bool is_signature_entry(const json_t *entry) {
        const char *name =
                annotation_get(json_object_get(entry, "annotations"), ANNOTATION_REF_NAME);

        return name && is_signature_name(name);
}

int on_image_import(struct call *call, const union request *request, struct error *err) {
        struct bytes text = request->image_import.index;
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        struct pack array = pack_array(&out);
        struct client *client = call->client;
        cleanup_json json_t *root = NULL;
        struct store *store;
        struct prune_result pruned;
        json_t *list, *entry;
        size_t i;
        int r;

        r = json_parse(text, LAYOUT_VALUES_MAX, &root, err);
        if (r == 0)
                r = image_service_local(&client->sup->images, true, &store, err);
        if (r < 0)
                return error_prefix(err, r, "index.json");
        list = json_object_get(root, "manifests");
        for (int pass = 0; pass < 2 && r == 0; pass++)
                json_array_foreach(list, i, entry) {
                        if (r == 0 && is_signature_entry(entry) == (pass == 0))
                                r = import_entry(client, store, entry, &array, err);
                }
        client->import = import_free(client->import);
        (void)store_prune(store, NULL, NULL, &pruned, NULL);
        pack_end(&array);
        if (r == 0 && array.n == 0)
                r = error_set(err, ERROR_INVALID, -EINVAL,
                              "no image of the archive has a name (" ANNOTATION_REF_NAME ")");
        if (r == 0)
                r = buf_result(&out);
        return r < 0 ? r : call_reply(call, &(struct rep_list){ .items = { out.data, out.len } });
}
