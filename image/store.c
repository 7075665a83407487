/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "image/store-internal.h"

static const char *const origin_names[_ORIGIN_MAX] = {
        [ORIGIN_UNKNOWN] = "unknown",
        [ORIGIN_BUILT] = "built",
        [ORIGIN_PULLED] = "pulled",
        [ORIGIN_IMPORTED] = "imported",
};

const char *image_origin_name(enum image_origin origin) {
        return origin_names[origin];
}

enum image_origin image_origin_of(const json_t *annotations) {
        const char *name = annotation_get(annotations, ANNOTATION_ORIGIN);

        for (enum image_origin origin = 0; name && origin < _ORIGIN_MAX; origin++)
                if (str_eq(name, origin_names[origin]))
                        return origin;
        return ORIGIN_UNKNOWN;
}

int store_root_fd(const struct store *store) {
        return store->root_fd;
}

const char *store_path(const struct store *store) {
        return store->path;
}

int store_error(const struct store *store, int r, struct error *err) {
        return error_prefix(err, r, "store '%s'", store->path);
}

int store_lock(struct store *store, int *ret_fd, struct error *err) {
        int r;

        if (store->flags & STORE_READ_ONLY)
                return error_set(err, ERROR_DENIED, -EROFS,
                                 "store '%s' holds the bundled gadgets and cannot be changed",
                                 store->path);
        r = layout_lock(store->root_fd, ret_fd, err);
        return r < 0 ? store_error(store, r, err) : 0;
}

static int create(struct store *store, struct error *err) {
        cleanup_close int lock_fd = -1;
        int r;

        r = store_lock(store, &lock_fd, err);
        if (r < 0)
                return r;
        r = layout_create(store->root_fd, err);
        return r < 0 ? store_error(store, r, err) : 0;
}

int store_open(const char *path, int flags, struct store **ret, struct error *err) {
        cleanup(store_closep) struct store *store = calloc(1, sizeof(*store));
        int r = 0;

        if (!store)
                return error_prefix(err, -ENOMEM, "store '%s'", path);
        store->root_fd = -1;
        store->flags = flags;
        store->path = strdup(path);
        if (!store->path)
                return error_prefix(err, -ENOMEM, "store '%s'", path);

        if (flags & STORE_CREATE)
                r = make_dirs(AT_FDCWD, path, 0755, &store->root_fd);
        else
                store->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r == 0 && store->root_fd < 0)
                r = -errno;
        if (r < 0)
                return error_prefix(err, r, "cannot open store '%s'", path);

        if (flags & STORE_CREATE)
                r = create(store, err);
        if (r < 0)
                return r;
        r = layout_check(store->root_fd, err);
        if (r < 0)
                return store_error(store, r, err);
        *ret = TAKE_PTR(store);
        return 0;
}

struct store *store_close(struct store *store) {
        if (!store)
                return NULL;
        close_fd(&store->root_fd);
        free(store->path);
        free(store);
        return NULL;
}

int store_find(struct store *store, const struct layout *layout, const struct image_ref *ref,
               struct descriptor *ret, struct error *err) {
        char name[LIMIT_IMAGE_REF_MAX + 1];
        const char *ignored;
        size_t i;

        if (layout_find(layout, ref, &i) < 0) {
                image_ref_format(ref, name, sizeof(name));
                return error_set(err, ERROR_NOT_FOUND, -ENOENT,
                                 "there is no image '%s' in store '%s'", name, store->path);
        }
        layout_get(layout, i, ret, &ignored);
        return 0;
}

int store_check_target(const struct image_ref *ref, struct error *err) {
        if (ref->digest[0] == '\0')
                return 0;
        return error_set(err, ERROR_INVALID, -EINVAL,
                         "an image cannot be given the name '%s@%s'; use a tag", ref->path,
                         ref->digest);
}

int store_put_name(struct store *store, const struct image_ref *ref, const struct descriptor *d,
                   struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        char name[LIMIT_IMAGE_REF_MAX + 1];
        bool is_replaced;
        int r;

        if (ref->digest[0] != '\0' && !str_eq(ref->digest, d->digest))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "'%s' cannot be a new name because it has a digest; use a tag",
                                 ref->path);
        image_ref_format(ref, name, sizeof(name));

        r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);
        r = layout_put(&layout, name, d, &is_replaced);
        if (r < 0)
                return store_error(store, r, err);
        r = layout_write(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);

        /* The name is on disk; space that could not be freed now is freed the next time. */
        if (is_replaced && !store->skips_garbage)
                (void)store_collect_garbage(store);
        return 0;
}

int store_tag(struct store *store, const struct image_ref *source, const struct image_ref *target,
              struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        cleanup_close int lock_fd = -1;
        struct descriptor d;
        int r;

        r = store_check_target(target, err);
        if (r == 0)
                r = store_lock(store, &lock_fd, err);
        if (r < 0)
                return r;
        r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);
        r = store_find(store, &layout, source, &d, err);
        if (r < 0)
                return r;
        return store_put_name(store, target, &d, err);
}

int store_remove(struct store *store, const struct image_ref *ref, struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        cleanup_close int lock_fd = -1;
        struct descriptor ignored;
        size_t i;
        int r;

        r = store_lock(store, &lock_fd, err);
        if (r < 0)
                return r;
        r = layout_read(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);
        r = store_find(store, &layout, ref, &ignored, err);
        if (r < 0)
                return r;
        while (layout_find(&layout, ref, &i) == 0)
                layout_remove(&layout, i);
        r = layout_write(store->root_fd, &layout, err);
        if (r < 0)
                return store_error(store, r, err);

        /* Not a failure of the removal: what could not be freed now is freed the next time. */
        (void)store_collect_garbage(store);
        return 0;
}
