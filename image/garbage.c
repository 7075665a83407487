/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting garbage: mark what index.json leads to, remove the other blobs. Marking does not
 * interpret documents: whatever a document calls a "digest", at any depth, is kept. So it cannot
 * lose a blob through a kind of reference that is not known here (subject, referrers, layers of
 * images that are no gadgets).
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "base/file.h"
#include "image/store-internal.h"

/* Digests in order of strcmp(). */
struct digest_set {
        char (*items)[DIGEST_TEXT_MAX];
        size_t n;
        size_t cap;
};

static void digest_set_done(struct digest_set *set) {
        free(set->items);
        *set = (struct digest_set){ 0 };
}

/* Where digest is or belongs. */
static size_t find_place(const struct digest_set *set, const char *digest) {
        size_t low = 0, high = set->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(set->items[middle], digest) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool digest_set_has(const struct digest_set *set, const char *digest) {
        size_t i = find_place(set, digest);

        return i < set->n && str_eq(set->items[i], digest);
}

/* 1 when it is new in the set. */
static int digest_set_add(struct digest_set *set, const char *digest) {
        size_t i = find_place(set, digest);

        if (i < set->n && str_eq(set->items[i], digest))
                return 0;
        if (set->n == set->cap) {
                size_t cap = set->cap ? set->cap * 2 : 64;
                void *items = reallocarray(set->items, cap, sizeof(*set->items));

                if (!items)
                        return -ENOMEM;
                set->items = items;
                set->cap = cap;
        }
        memmove(set->items + i + 1, set->items + i, (set->n - i) * sizeof(*set->items));
        snprintf(set->items[i], sizeof(set->items[i]), "%s", digest);
        set->n++;
        return 1;
}

/* A manifest or index that is in use and has yet to be read. A list and no recursion: chains of
 * documents may be long. */
struct pending {
        char digest[DIGEST_TEXT_MAX];
        uint64_t size;
};

struct mark {
        struct digest_set live;
        struct pending *pending;
        size_t n_pending;
        size_t cap;
};

static void mark_done(struct mark *mark) {
        digest_set_done(&mark->live);
        free(mark->pending);
        *mark = (struct mark){ 0 };
}

static int push_pending(struct mark *mark, const struct descriptor *d) {
        struct pending *next;

        if (mark->n_pending == mark->cap) {
                size_t cap = mark->cap ? mark->cap * 2 : 64;
                void *pending = reallocarray(mark->pending, cap, sizeof(*mark->pending));

                if (!pending)
                        return -ENOMEM;
                mark->pending = pending;
                mark->cap = cap;
        }
        next = &mark->pending[mark->n_pending++];
        snprintf(next->digest, sizeof(next->digest), "%s", d->digest);
        next->size = d->size;
        return 0;
}

static int mark_object(struct mark *mark, const json_t *object) {
        const char *digest = json_string_value(json_object_get(object, "digest"));
        struct descriptor d;
        int r;

        if (!digest || !digest_is_valid(digest))
                return 0;
        r = digest_set_add(&mark->live, digest);
        if (r <= 0)
                return r;
        if (descriptor_parse(object, &d, NULL) < 0)
                return 0;
        if (!media_type_is_index(d.media_type) && !media_type_is_manifest(d.media_type))
                return 0;
        return push_pending(mark, &d);
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

/* A document that is not here names nothing: an index lists platforms that nobody has pulled. One
 * that is here but cannot be read may name anything. */
static int mark_pending(struct mark *mark, int root_fd, const struct pending *pending) {
        struct descriptor d = { .digest = pending->digest, .size = pending->size };
        cleanup_json json_t *root = NULL;
        cleanup_free uint8_t *text = NULL;
        char path[BLOB_PATH_MAX];
        int r;

        blob_path(d.digest, path);
        if (faccessat(root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                return 0;
        r = blob_read(root_fd, &d, LIMIT_MANIFEST_SIZE_MAX, &text, NULL);
        if (r < 0)
                return r;
        r = json_parse(BYTES(text, d.size), LAYOUT_VALUES_MAX, &root, NULL);
        if (r < 0)
                return r;
        return mark_value(mark, root);
}

static int mark_all(struct mark *mark, int root_fd, const struct layout *layout) {
        int r;

        r = mark_value(mark, layout->root);
        while (r == 0 && mark->n_pending > 0) {
                struct pending pending = mark->pending[--mark->n_pending];

                r = mark_pending(mark, root_fd, &pending);
        }
        return r;
}

/* Calls func for each name in the directory. */
static int each_file(int root_fd, const char *path,
                     int (*func)(int dir_fd, const char *name, void *userdata), void *userdata) {
        cleanup_close int fd = open_beneath(root_fd, path, O_RDONLY | O_DIRECTORY, 0);
        const struct dirent *entry;
        DIR *dir;
        int r = 0;

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        TAKE_FD(fd);
        while (r == 0 && (entry = readdir(dir)))
                r = func(dirfd(dir), entry->d_name, userdata);
        closedir(dir);
        return r;
}

struct sweep {
        const char *algorithm;
        const struct digest_set *live;
};

static int sweep_blob(int dir_fd, const char *name, void *userdata) {
        const struct sweep *sweep = userdata;
        char digest[DIGEST_TEXT_MAX + 256];

        snprintf(digest, sizeof(digest), "%s:%s", sweep->algorithm, name);
        if (!digest_is_valid(digest) || digest_set_has(sweep->live, digest))
                return 0;
        return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A temporary file is locked as long as its writer lives. */
static int sweep_temp(int dir_fd, const char *name, void *userdata) {
        cleanup_close int fd = -1;

        (void)userdata;
        if (!str_after(name, STORE_TEMP_PREFIX))
                return 0;
        fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return 0;
        return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int store_collect_garbage(struct store *store) {
        static const char *const algorithms[] = { "sha256", "sha512" };
        cleanup_layout struct layout layout = { 0 };
        cleanup(mark_done) struct mark mark = { 0 };
        int r;

        r = each_file(store->root_fd, ".", sweep_temp, NULL);
        if (r < 0)
                return r;
        r = layout_read(store->root_fd, &layout, NULL);
        if (r < 0)
                return r;
        r = mark_all(&mark, store->root_fd, &layout);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
                struct sweep sweep = { algorithms[i], &mark.live };
                char dir[BLOB_PATH_MAX];

                snprintf(dir, sizeof(dir), "blobs/%s", algorithms[i]);
                r = each_file(store->root_fd, dir, sweep_blob, &sweep);
                if (r < 0)
                        return r;
        }
        return 0;
}
