/* SPDX-License-Identifier: Apache-2.0 */
/* The methods image.prune, image.fsck, image.export and image.read. */
#include <stdio.h>

#include "image/intake.h"
#include "image/store-maintain.h"
#include "supervisor/client-routes.h"
#include "supervisor/client.h"
#include "supervisor/fsck.h"
#include "supervisor/instance.h"
#include "supervisor/pack.h"
#include "supervisor/supervisor.h"

#define IMAGES_MAX 256

static int need_local(struct supervisor *sup, struct store **ret, struct error *err) {
        return image_service_local(&sup->images, true, ret, err);
}

/* --- prune --- */

/* An instance holds its image: what runs can be started again. */
static bool is_in_use(void *userdata, const char *digest) {
        const struct supervisor *sup = userdata;
        const struct instance *in;

        LIST_FOREACH (in, &sup->instances, link)
                if (!instance_state_is_final(in->state) && str_eq(in->digest, digest))
                        return true;
        return false;
}

int on_image_prune(struct call *call, const union request *request, struct error *err) {
        struct supervisor *sup = call->client->sup;
        struct prune_result result;
        struct store *store;
        int r;

        r = need_local(sup, &store, err);
        if (r == 0)
                r = store_prune(store, request->image_prune.all ? is_in_use : NULL, sup, &result,
                                err);
        if (r < 0)
                return r;
        return call_reply(call, &(struct rep_image_prune){ .bytes = result.bytes,
                                                           .blobs = result.blobs,
                                                           .images = result.images });
}

int on_image_fsck(struct call *call, const union request *request, struct error *err) {
        (void)request;
        return fsck_start(call, err);
}

/* --- export --- */

static int pack_blob(void *userdata, const char *digest, uint64_t size) {
        struct pack *array = userdata, map;

        pack_item(array);
        map = pack_map(array->buf);
        pack_map_str(&map, "digest", digest);
        pack_map_uint(&map, "size", size);
        pack_end(&map);
        return buf_result(array->buf);
}

static int read_refs(struct supervisor *sup, struct bytes images, struct image_ref *refs,
                     uint32_t *ret_n, struct error *err) {
        struct mp_reader reader = mp_reader_of(images);
        int r = 0;

        if (mp_read_array(&reader, ret_n) < 0 || *ret_n == 0 || *ret_n > IMAGES_MAX)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "image.export: 'images' is an array of 1 to %d references",
                                 IMAGES_MAX);
        for (uint32_t i = 0; i < *ret_n && r == 0; i++) {
                char text[LIMIT_IMAGE_REF_MAX + 1];
                struct bytes word;
                bool is_present;

                if (mp_read_str(&reader, &word) < 0 || word.len >= sizeof(text))
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "image.export: 'images' holds no reference");
                snprintf(text, sizeof(text), "%.*s", (int)word.len, (const char *)word.data);
                r = image_service_resolve(&sup->images, text, &refs[i], &is_present, err);
        }
        return r;
}

int on_image_export(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        cleanup_free struct image_ref *refs = calloc(IMAGES_MAX, sizeof(*refs));
        struct pack array = pack_array(&out);
        struct supervisor *sup = call->client->sup;
        cleanup_free char *index = NULL;
        struct store *stores[2] = { NULL, NULL };
        size_t n_index = 0;
        uint32_t n;
        int r;

        r = refs ? read_refs(sup, request->image_export.images, refs, &n, err) : -ENOMEM;
        if (r == 0)
                r = need_local(sup, &stores[1], err);
        stores[0] = sup->images.bundled; /* as a run does it: the bundled one first */
        if (r == 0)
                r = store_export(stores, ARRAY_SIZE(stores), refs, n, &index, &n_index, pack_blob,
                                 &array, err);
        pack_end(&array);
        if (r == 0)
                r = buf_result(&out);
        if (r < 0)
                return r;
        return call_reply(call, &(struct rep_image_export){ .index = BYTES(index, n_index),
                                                            .blobs = { out.data, out.len } });
}

int on_image_read(struct call *call, const union request *request, struct error *err) {
        cleanup_free uint8_t *data = malloc(LIMIT_BLOB_CHUNK_MAX);
        const struct req_image_read *want = &request->image_read;
        struct supervisor *sup = call->client->sup;
        struct store *stores[2] = { NULL, sup->images.bundled };
        cleanup_close int fd = -1;
        ssize_t n;
        int r;

        if (!data)
                return -ENOMEM;
        if (!digest_is_valid(want->digest))
                return error_set(err, ERROR_INVALID, -EINVAL, "'%.150s' is no digest",
                                 want->digest);
        r = need_local(sup, &stores[0], err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < 2 && fd < 0; i++)
                if (stores[i])
                        fd = blob_open(store_root_fd(stores[i]), want->digest);
        if (fd < 0)
                return error_set(err, ERROR_NOT_FOUND, -ENOENT, "there is no blob %.150s",
                                 want->digest);
        n = pread(fd, data, LIMIT_BLOB_CHUNK_MAX, (off_t)want->offset);
        if (n < 0)
                return -errno;
        return call_reply(call, &(struct rep_image_read){ .data = BYTES(data, (size_t)n) });
}
