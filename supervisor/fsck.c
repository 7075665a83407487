/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/fsck.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "image/intake.h"
#include "image/partial.h"
#include "image/store-maintain.h"
#include "supervisor/client.h"
#include "supervisor/pack.h"
#include "supervisor/supervisor.h"

#define SLICE ((size_t)1 << 20) /* hashed in about a millisecond */

struct fsck_blob {
        char digest[DIGEST_TEXT_MAX];
        uint64_t size; /* when the check began */
        bool is_bad;
};

struct fsck {
        struct supervisor *sup;
        struct client *client; /* NULL = no check runs */
        uint32_t call_id;
        struct store *store;
        struct fsck_blob *blobs; /* that were there at the beginning */
        size_t n;
        size_t at;
        uint64_t n_bytes;
        /* of the blob that is being hashed */
        int fd;
        uint64_t position;
        struct hasher hasher;
        struct loop_timer slice;
};

/* The object stays for the next check: this may be its own timer that calls. */
static void finish(struct fsck *fsck) {
        loop_timer_clear(&fsck->slice);
        hasher_done(&fsck->hasher);
        close_fd(&fsck->fd);
        free(TAKE_PTR(fsck->blobs));
        fsck->client = NULL;
}

struct fsck *fsck_free(struct fsck *fsck) {
        if (!fsck)
                return NULL;
        finish(fsck);
        free(fsck);
        return NULL;
}

static void fail(struct fsck *fsck, int r, struct error *err) {
        if (err->code == ERROR_NONE)
                error_set(err, ERROR_INTERNAL, r, "cannot check the store: %s", strerror(-r));
        client_error(fsck->client, fsck->call_id, err, NULL, NULL);
        finish(fsck);
}

static void answer(struct fsck *fsck) {
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        struct pack map = pack_map(&out), array;

        pack_map_uint(&map, "blobs", fsck->n);
        pack_map_uint(&map, "bytes", fsck->n_bytes);
        pack_key(&map, "quarantined");
        array = pack_array(&out);
        for (size_t i = 0; i < fsck->n; i++) {
                if (!fsck->blobs[i].is_bad)
                        continue;
                pack_item(&array);
                pack_str(&out, fsck->blobs[i].digest);
        }
        pack_end(&array);
        pack_end(&map);
        if (buf_result(&out) < 0) {
                fail(fsck, buf_result(&out), &(struct error){});
                return;
        }
        client_reply(fsck->client, fsck->call_id, METHOD_IMAGE_FSCK,
                     &(struct rep_object){ .object = { out.data, out.len } });
        finish(fsck);
}

/* --- blob by blob --- */

/* The file of that name is still the one that was hashed: a pull may have replaced it. */
static bool is_still_there(const struct fsck *fsck, const struct fsck_blob *blob) {
        char path[BLOB_PATH_MAX];
        struct stat hashed, named;

        blob_path(blob->digest, path);
        return fstatat(store_root_fd(fsck->store), path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               (fsck->fd < 0 || (fstat(fsck->fd, &hashed) == 0 && hashed.st_ino == named.st_ino));
}

static int quarantine(struct fsck *fsck, struct fsck_blob *blob, struct error *err) {
        if (!is_still_there(fsck, blob))
                return 0;
        log_warning("blob %s is damaged, moved to quarantine", blob->digest);
        blob->is_bad = true;
        return store_quarantine(fsck->store, blob->digest, err);
}

static int open_next(struct fsck *fsck, struct error *err) {
        struct fsck_blob *blob = &fsck->blobs[fsck->at];
        struct stat st;

        fsck->position = 0;
        fsck->fd = blob_open(store_root_fd(fsck->store), blob->digest);
        if (fsck->fd == -ENOENT) {
                fsck->at++; /* removed meanwhile */
                return 0;
        }
        /* What is no file of an acceptable size need not be read. */
        if (fsck->fd < 0 || fstat(fsck->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
            (uint64_t)st.st_size > LIMIT_BLOB_SIZE_MAX) {
                int r = quarantine(fsck, blob, err);

                close_fd(&fsck->fd);
                fsck->at++;
                return r;
        }
        return hasher_init(&fsck->hasher, blob->digest);
}

static int close_blob(struct fsck *fsck, struct error *err) {
        struct fsck_blob *blob = &fsck->blobs[fsck->at++];
        char digest[DIGEST_TEXT_MAX] = "";
        int r;

        r = hasher_finish(&fsck->hasher, digest);
        if (r == 0 && !str_eq(digest, blob->digest))
                r = quarantine(fsck, blob, err);
        hasher_done(&fsck->hasher);
        close_fd(&fsck->fd);
        return r;
}

static int on_slice(struct loop_timer *timer) {
        struct fsck *fsck = container_of(timer, struct fsck, slice);
        struct error err = {};
        int r = 0;

        if (fsck->at == fsck->n) {
                answer(fsck);
                return 0;
        }
        if (fsck->fd < 0)
                r = open_next(fsck, &err);
        if (r == 0 && fsck->fd >= 0) {
                r = partial_copy(fsck->fd, &fsck->position, SLICE, NULL, &fsck->hasher, &err);
                if (r == -EIO) /* the disk has lost it */
                        r = 1;
                if (r > 0)
                        r = close_blob(fsck, &err);
        }
        if (r == 0)
                r = loop_timer_set(fsck->sup->loop, timer, 0, "fsck slice", on_slice);
        if (r < 0)
                fail(fsck, r, &err);
        return 0;
}

/* --- life --- */

static int add_blob(void *userdata, const char *digest, uint64_t size) {
        struct fsck *fsck = userdata;
        struct fsck_blob *longer;

        longer = reallocarray(fsck->blobs, fsck->n + 1, sizeof(*longer));
        if (!longer)
                return -ENOMEM;
        fsck->blobs = longer;
        longer[fsck->n] = (struct fsck_blob){ .size = size };
        snprintf(longer[fsck->n++].digest, DIGEST_TEXT_MAX, "%s", digest);
        fsck->n_bytes += size;
        return 0;
}

int fsck_start(struct call *call, struct error *err) {
        struct supervisor *sup = call->client->sup;
        struct fsck *fsck = sup->fsck;
        int r;

        if (fsck && fsck->client)
                return error_set(err, ERROR_UNAVAILABLE, -EBUSY,
                                 "somebody else is checking the store; try again later");
        if (!fsck)
                fsck = sup->fsck = calloc(1, sizeof(*fsck));
        if (!fsck)
                return -ENOMEM;
        *fsck = (struct fsck){ .sup = sup, .client = call->client, .call_id = call->id, .fd = -1 };
        r = image_service_local(&sup->images, true, &fsck->store, err);
        if (r == 0)
                r = store_each_blob(fsck->store, add_blob, fsck);
        if (r == 0)
                r = loop_timer_set(sup->loop, &fsck->slice, 0, "fsck slice", on_slice);
        if (r < 0)
                finish(fsck);
        else
                call->is_answered = true;
        return r;
}

void fsck_on_client_gone(struct client *client) {
        struct fsck *fsck = client->sup->fsck;

        if (fsck && fsck->client == client)
                finish(fsck);
}

void fsck_stop(struct supervisor *sup) {
        struct error err = {};

        if (!sup->fsck || !sup->fsck->client)
                return;
        error_set(&err, ERROR_UNAVAILABLE, -ECANCELED, "gadgetd is ending");
        fail(sup->fsck, -ECANCELED, &err);
}
