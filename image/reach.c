/* SPDX-License-Identifier: Apache-2.0 */
#include "image/reach.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gadget/api.h"
#include "image/blob.h"
#include "image/layout.h"

void reach_done(struct reach *reach) {
        free(reach->digests);
        *reach = (struct reach){ 0 };
}

/* Where digest is or belongs. */
static size_t find_place(const struct reach *reach, const char *digest) {
        size_t low = 0, high = reach->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(reach->digests[middle], digest) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

bool reach_has(const struct reach *reach, const char *digest) {
        size_t i = find_place(reach, digest);

        return i < reach->n && str_eq(reach->digests[i], digest);
}

/* 1 when it is new in the set. */
static int add_digest(struct reach *reach, const char *digest) {
        size_t i = find_place(reach, digest);

        if (i < reach->n && str_eq(reach->digests[i], digest))
                return 0;
        if (reach->n == reach->cap) {
                size_t cap = reach->cap ? reach->cap * 2 : 64;
                void *items = reallocarray(reach->digests, cap, sizeof(*reach->digests));

                if (!items)
                        return -ENOMEM;
                reach->digests = items;
                reach->cap = cap;
        }
        memmove(reach->digests + i + 1, reach->digests + i,
                (reach->n - i) * sizeof(*reach->digests));
        snprintf(reach->digests[i], sizeof(reach->digests[i]), "%s", digest);
        reach->n++;
        return 1;
}

/* Manifests and indexes that have yet to be read are a list, not a recursion: chains of them may be
 * long. */
struct mark {
        struct reach live;
        struct reach followed; /* documents that were put on the list */
        char (*pending)[DIGEST_TEXT_MAX];
        size_t n_pending;
        size_t cap;
};

static void mark_done(struct mark *mark) {
        reach_done(&mark->live);
        reach_done(&mark->followed);
        free(mark->pending);
        *mark = (struct mark){ 0 };
}

static int push_pending(struct mark *mark, const char *digest) {
        if (mark->n_pending == mark->cap) {
                size_t cap = mark->cap ? mark->cap * 2 : 64;
                void *pending = reallocarray(mark->pending, cap, sizeof(*mark->pending));

                if (!pending)
                        return -ENOMEM;
                mark->pending = pending;
                mark->cap = cap;
        }
        snprintf(mark->pending[mark->n_pending++], sizeof(*mark->pending), "%s", digest);
        return 0;
}

/*
 * Whether a blob is a document is decided by each object that names it, not by the first: else an
 * image could hide another's manifest by naming it as something plain.
 */
static int mark_object(struct mark *mark, const json_t *object) {
        const char *digest = json_string_value(json_object_get(object, "digest"));
        const char *media_type = json_string_value(json_object_get(object, "mediaType"));
        int r;

        if (!digest || !digest_is_valid(digest))
                return 0;
        r = add_digest(&mark->live, digest);
        if (r < 0)
                return r;
        if (!media_type ||
            (!media_type_is_index(media_type) && !media_type_is_manifest(media_type)))
                return 0;
        r = add_digest(&mark->followed, digest);
        return r == 1 ? push_pending(mark, digest) : r;
}

/* Recursion is as deep as the JSON, JSON_NESTING_MAX. */
static int mark_value(struct mark *mark, const json_t *value) {
        const char *key;
        json_t *child;
        size_t i;
        int r;

        if (json_is_object(value)) {
                r = mark_object(mark, value);
                if (r < 0)
                        return r;
                json_object_foreach((json_t *)value, key, child) {
                        r = mark_value(mark, child);
                        if (r < 0)
                                return r;
                }
        }
        json_array_foreach(value, i, child) {
                r = mark_value(mark, child);
                if (r < 0)
                        return r;
        }
        return 0;
}

/*
 * What is not here, is too large or is no JSON leads nowhere: nobody can use it as a document,
 * whatever some image calls it. What is damaged was a document, and led who knows where.
 */
static int mark_pending(struct mark *mark, int root_fd, const char *digest) {
        struct descriptor d = { .digest = digest };
        cleanup_json json_t *root = NULL;
        cleanup_free uint8_t *text = NULL;
        char path[BLOB_PATH_MAX];
        struct stat st;
        int r;

        blob_path(digest, path);
        if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        d.size = (uint64_t)st.st_size;
        if (d.size > LIMIT_MANIFEST_SIZE_MAX)
                return 0;
        r = blob_read(root_fd, &d, LIMIT_MANIFEST_SIZE_MAX, &text, NULL);
        if (r < 0)
                return r;
        r = json_parse(BYTES(text, d.size), LAYOUT_VALUES_MAX, &root, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        return mark_value(mark, root);
}

int reach_from(int root_fd, const json_t *value, struct reach *ret) {
        cleanup(mark_done) struct mark mark = { 0 };
        char digest[DIGEST_TEXT_MAX];
        int r;

        r = mark_value(&mark, value);
        while (r == 0 && mark.n_pending > 0) {
                memcpy(digest, mark.pending[--mark.n_pending], sizeof(digest));
                r = mark_pending(&mark, root_fd, digest);
        }
        if (r < 0)
                return r;
        *ret = mark.live;
        mark.live = (struct reach){ 0 };
        return 0;
}
