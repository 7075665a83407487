/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layout.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "image/store.h"

#define INDEX_FILE "index.json"
#define LOCK_FILE "index.json.lock"
#define LAYOUT_FILE "oci-layout"
#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define INDEX_TEXT "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_INDEX "\",\"manifests\":[]}"
#define LAYOUT_FILE_MAX 4096
#define LOCK_RETRY_MS 2

static int read_json(int root_fd, const char *name, size_t max, json_t **ret, struct error *err) {
        cleanup_buf struct buf text = BUF_INIT(max);
        cleanup_close int fd = -1;
        int r;

        fd = open_beneath(root_fd, name, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0)
                return error_prefix(err, fd, "cannot open %s", name);
        r = read_fd(fd, &text);
        if (r < 0)
                return error_prefix(err, r, "cannot read %s", name);
        r = json_parse(BYTES(text.data, text.len), LAYOUT_VALUES_MAX, ret, err);
        if (r < 0)
                return error_prefix(err, r, "%s", name);
        return 0;
}

static int write_if_missing(int root_fd, const char *name, const char *text, struct error *err) {
        int r;

        if (faccessat(root_fd, name, F_OK, 0) == 0)
                return 0;
        r = write_file_atomic(root_fd, name, text, strlen(text), 0644);
        if (r < 0)
                return error_prefix(err, r, "cannot write %s", name);
        return 0;
}

int layout_create(int root_fd, struct error *err) {
        int r;

        r = make_dirs(root_fd, "blobs/sha256", 0755, NULL);
        if (r < 0)
                return error_prefix(err, r, "cannot make blobs/sha256");
        r = write_if_missing(root_fd, INDEX_FILE, INDEX_TEXT, err);
        if (r < 0)
                return r;
        return write_if_missing(root_fd, LAYOUT_FILE, LAYOUT_TEXT, err);
}

int layout_check(int root_fd, struct error *err) {
        cleanup_json json_t *root = NULL;
        const char *version;
        int r;

        r = read_json(root_fd, LAYOUT_FILE, LAYOUT_FILE_MAX, &root, err);
        if (r == -ENOENT)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "has no file '" LAYOUT_FILE "', so it is no OCI image layout");
        if (r < 0)
                return r;
        r = json_get_text(root, "imageLayoutVersion", &version);
        if (r < 0 || !str_after(version, "1."))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 LAYOUT_FILE ": 'imageLayoutVersion' is not 1.x");
        return 0;
}

int layout_read(int root_fd, struct layout *ret, struct error *err) {
        cleanup_layout struct layout layout = { 0 };
        struct descriptor ignored;
        uint64_t version;
        json_t *entry;
        size_t i;
        int r;

        r = read_json(root_fd, INDEX_FILE, LIMIT_MANIFEST_SIZE_MAX, &layout.root, err);
        if (r == -ENOENT) /* which would mean to our callers that an image is missing */
                return error_set(err, ERROR_INVALID, -EBADMSG, "has no file '" INDEX_FILE "'");
        if (r < 0)
                return r;
        r = json_get_u64(layout.root, "schemaVersion", &version);
        if (r < 0 || version != 2)
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 INDEX_FILE ": 'schemaVersion' is not 2");
        layout.manifests = json_object_get(layout.root, "manifests");
        if (!json_is_array(layout.manifests))
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 INDEX_FILE ": 'manifests' is not an array");
        json_array_foreach(layout.manifests, i, entry) {
                r = descriptor_parse(entry, &ignored, err);
                if (r < 0)
                        return error_prefix(err, r, INDEX_FILE ": manifests[%zu]", i);
        }
        *ret = layout;
        layout.root = NULL;
        return 0;
}

int layout_write(int root_fd, const struct layout *layout, struct error *err) {
        cleanup_free char *text = NULL;
        size_t n;
        int r;

        r = json_print(layout->root, &text, &n);
        if (r < 0)
                return error_prefix(err, r, "cannot print " INDEX_FILE);
        /* What could not be read again must not be written. */
        if (n > LIMIT_MANIFEST_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG,
                                 INDEX_FILE
                                 " would have %zu bytes, more than %d; remove images first",
                                 n, LIMIT_MANIFEST_SIZE_MAX);
        r = write_file_atomic(root_fd, INDEX_FILE, text, n, 0644);
        if (r < 0)
                return error_prefix(err, r, "cannot write " INDEX_FILE);
        return 0;
}

void layout_done(struct layout *layout) {
        json_decref(layout->root);
        *layout = (struct layout){ 0 };
}

int layout_lock(int root_fd, int *ret_fd, struct error *err) {
        uint64_t deadline = now_ns() + LAYOUT_LOCK_WAIT_MS * NSEC_PER_MSEC;
        cleanup_close int fd = -1;

        fd = open_beneath(root_fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
        if (fd < 0)
                return error_prefix(err, fd, "cannot open " LOCK_FILE);
        /*
         * Others hold it for some fsync()s. flock() has no time-out, and waiting in it for ever
         * would hang us beside a writer that somebody has stopped, so it is asked again and again
         * for a bounded time.
         */
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return error_prefix(err, -errno, "cannot lock " LOCK_FILE);
                if (now_ns() > deadline)
                        return error_set(
                                err, ERROR_UNAVAILABLE, -EBUSY,
                                "another process has been writing to the store for %d s; try again",
                                LAYOUT_LOCK_WAIT_MS / 1000);
                poll(NULL, 0, LOCK_RETRY_MS);
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

size_t layout_count(const struct layout *layout) {
        return json_array_size(layout->manifests);
}

void layout_get(const struct layout *layout, size_t i, struct descriptor *ret,
                const char **ret_name) {
        int r = descriptor_parse(json_array_get(layout->manifests, i), ret, NULL);

        assert(r == 0); /* layout_read() has seen it, layout_put() has made it */
        *ret_name = annotation_get(ret->annotations, ANNOTATION_REF_NAME);
}

void layout_name(const struct layout *layout, size_t i, char *out, size_t n) {
        struct image_ref ref;
        struct descriptor d;
        const char *name;

        layout_get(layout, i, &d, &name);
        if (name && image_ref_parse(name, &ref, NULL) == 0)
                image_ref_format(&ref, out, n);
        else
                snprintf(out, n, "%s", name ?: "");
}

static bool is_of_repository(const char *name, const struct image_ref *ref) {
        char want[LIMIT_IMAGE_REF_MAX + 1], got[LIMIT_IMAGE_REF_MAX + 1];
        struct image_ref parsed;

        if (image_ref_parse(name, &parsed, NULL) < 0)
                return false;
        image_ref_repository(ref, want, sizeof(want));
        image_ref_repository(&parsed, got, sizeof(got));
        return str_eq(want, got);
}

int layout_find(const struct layout *layout, const struct image_ref *ref, size_t *ret) {
        char want[LIMIT_IMAGE_REF_MAX + 1], got[LIMIT_IMAGE_REF_MAX + 1];

        image_ref_format(ref, want, sizeof(want));
        for (size_t i = 0; i < layout_count(layout); i++) {
                struct descriptor d;
                const char *name;

                layout_get(layout, i, &d, &name);
                if (!name)
                        continue;
                layout_name(layout, i, got, sizeof(got));
                if (ref->digest[0] == '\0'
                            ? str_eq(got, want)
                            : str_eq(d.digest, ref->digest) && is_of_repository(name, ref)) {
                        *ret = i;
                        return 0;
                }
        }
        return -ENOENT;
}

static json_t *make_annotations(const char *name, const struct descriptor *d) {
        json_t *annotations = json_pack("{s:s}", ANNOTATION_REF_NAME, name);
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)d->annotations, key, value) {
                if (str_after(key, ANNOTATION_OURS) &&
                    json_object_set(annotations, key, value) < 0) {
                        json_decref(annotations);
                        return NULL;
                }
        }
        return annotations;
}

static json_t *make_entry(const char *name, const struct descriptor *d) {
        cleanup_json json_t *annotations = make_annotations(name, d);
        cleanup_json json_t *platform = NULL;

        if (!annotations)
                return NULL;

        if (d->architecture) {
                platform = json_pack("{s:s,s:s,s:s*}", "architecture", d->architecture, "os", d->os,
                                     "variant", d->variant);
                if (!platform)
                        return NULL;
        }
        return json_pack("{s:s,s:s,s:I,s:s*,s:O*,s:O}", "mediaType", d->media_type, "digest",
                         d->digest, "size", (json_int_t)d->size, "artifactType", d->artifact_type,
                         "platform", platform, "annotations", annotations);
}

/* Where a name belongs among the sorted ones; entries without a name stand first. */
static size_t find_place(const struct layout *layout, const char *name) {
        char other[LIMIT_IMAGE_REF_MAX + 1];
        size_t i;

        for (i = 0; i < layout_count(layout); i++) {
                layout_name(layout, i, other, sizeof(other));
                if (strcmp(other, name) > 0)
                        break;
        }
        return i;
}

int layout_put(struct layout *layout, const char *name, const struct descriptor *d,
               bool *ret_replaced) {
        cleanup_json json_t *entry =
                make_entry(name, d); /* d may point into an entry that goes now */
        char other[LIMIT_IMAGE_REF_MAX + 1];
        bool is_replaced = false;

        if (!entry)
                return -ENOMEM;
        for (size_t i = layout_count(layout); i-- > 0;) {
                struct descriptor old;
                const char *digest, *ignored;

                layout_name(layout, i, other, sizeof(other));
                if (!str_eq(other, name))
                        continue;
                layout_get(layout, i, &old, &ignored);
                digest = json_string_value(json_object_get(entry, "digest"));
                if (!str_eq(old.digest, digest))
                        is_replaced = true;
                layout_remove(layout, i);
        }
        if (json_array_insert(layout->manifests, find_place(layout, name), entry) < 0)
                return -ENOMEM;
        *ret_replaced = is_replaced;
        return 0;
}

void layout_remove(struct layout *layout, size_t i) {
        json_array_remove(layout->manifests, i);
}
