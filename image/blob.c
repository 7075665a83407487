/* SPDX-License-Identifier: Apache-2.0 */
#include "image/blob.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"

#define TEMP_TRIES_MAX 8
#define WRITE_BACK_WINDOW (UINT64_C(4) << 20)

void blob_path(const char *digest, char out[BLOB_PATH_MAX]) {
        snprintf(out, BLOB_PATH_MAX, "blobs/%s", digest);
        *strchr(out, ':') = '/';
}

static int damaged(struct error *err, const char *digest, const char *how) {
        return error_set(err, ERROR_INVALID, -EBADMSG, "blob %s %s; pull or build the image again",
                         digest, how);
}

static int cannot(struct error *err, int r, const char *what, const char *digest) {
        return error_prefix(err, r, "cannot %s blob %s", what, digest);
}

static int open_blob(int root_fd, const struct descriptor *d, int *ret_fd, struct error *err) {
        char path[BLOB_PATH_MAX];
        cleanup_close int fd = -1;
        struct stat st;

        blob_path(d->digest, path);
        fd = open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK, 0);
        if (fd == -ENOENT)
                return damaged(err, d->digest, "is missing");
        if (fd < 0)
                return cannot(err, fd, "open", d->digest);
        if (fstat(fd, &st) < 0)
                return cannot(err, -errno, "open", d->digest);
        if (!S_ISREG(st.st_mode))
                return damaged(err, d->digest, "is not a file");
        if ((uint64_t)st.st_size != d->size)
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "blob %s has %" PRIu64 " bytes but should have %" PRIu64
                                 "; pull or build the image again",
                                 d->digest, (uint64_t)st.st_size, d->size);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int read_exactly(int fd, uint8_t *data, size_t n) {
        size_t done = 0;

        while (done < n) {
                ssize_t got = pread(fd, data + done, n - done, (off_t)done);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        return -EBADMSG;
                done += (size_t)got;
        }
        return 0;
}

int blob_read(int root_fd, const struct descriptor *d, uint64_t max, uint8_t **ret,
              struct error *err) {
        cleanup_free uint8_t *data = NULL;
        cleanup_close int fd = -1;
        int r;

        if (d->size > max)
                return error_set(err, ERROR_LIMIT, -EFBIG,
                                 "blob %s of %" PRIu64 " bytes is larger than %" PRIu64, d->digest,
                                 d->size, max);
        r = open_blob(root_fd, d, &fd, err);
        if (r < 0)
                return r;
        data = malloc(d->size + 1);
        if (!data)
                return cannot(err, -ENOMEM, "read", d->digest);
        r = read_exactly(fd, data, d->size);
        if (r < 0 && r != -EBADMSG)
                return cannot(err, r, "read", d->digest);
        if (r == 0)
                r = digest_check(d->digest, data, d->size);
        if (r == -EBADMSG)
                return damaged(err, d->digest, "is damaged: its content has another digest");
        if (r < 0)
                return cannot(err, r, "check", d->digest);
        data[d->size] = '\0';
        *ret = TAKE_PTR(data);
        return 0;
}

int blob_read_document(int root_fd, const struct descriptor *d, struct document *ret,
                       struct error *err) {
        cleanup_free uint8_t *text = NULL;
        int r;

        r = blob_read(root_fd, d, LIMIT_MANIFEST_SIZE_MAX, &text, err);
        if (r < 0)
                return r;
        r = document_parse(BYTES(text, d->size), d->media_type, ret, err);
        if (r < 0)
                return error_prefix(err, r, "%s %s",
                                    media_type_is_index(d->media_type) ? "index" : "manifest",
                                    d->digest);
        return 0;
}

static int create_temp(struct blob_writer *w) {
        struct stat st;
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        snprintf(w->temp, sizeof(w->temp), STORE_TEMP_PREFIX "%016" PRIx64, random);
        w->fd = openat(w->root_fd, w->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       0644);
        if (w->fd < 0)
                return -errno;
        /* Garbage collection removes what is not locked; it may have come between the two calls. */
        if (flock(w->fd, LOCK_EX | LOCK_NB) < 0 || fstat(w->fd, &st) < 0 || st.st_nlink == 0) {
                close_fd(&w->fd);
                return -EAGAIN;
        }
        return 0;
}

int blob_writer_init(struct blob_writer *w, int root_fd, const char *algorithm, struct error *err) {
        int r;

        *w = (struct blob_writer){ .root_fd = root_fd, .fd = -1 };
        for (unsigned int i = 0; i < TEMP_TRIES_MAX; i++) {
                r = create_temp(w);
                if (r != -EAGAIN)
                        break;
        }
        if (r < 0)
                return error_prefix(err, r, "cannot create a file in the store");
        r = hasher_init(&w->hasher, algorithm);
        if (r < 0) {
                blob_writer_done(w);
                return error_prefix(err, r, "cannot compute a '%s' digest", algorithm);
        }
        return 0;
}

/*
 * Sends what was written on its way to the disk, and waits for what was sent a window ago: so the
 * fsync() at the end, which nobody can interrupt, has two windows left to do and not 256 MiB. A
 * failed write shows here and then not again, so it counts. File systems that cannot do it have
 * fsync() alone.
 */
static int write_back(struct blob_writer *w) {
        uint64_t sent = w->flushed;

        if (w->size - sent < WRITE_BACK_WINDOW)
                return 0;
        if (sync_file_range(w->fd, (off_t)sent, (off_t)(w->size - sent), SYNC_FILE_RANGE_WRITE) < 0)
                return errno == EIO || errno == ENOSPC || errno == EDQUOT ? -errno : 0;
        if (sent > w->settled &&
            sync_file_range(w->fd, (off_t)w->settled, (off_t)(sent - w->settled),
                            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                    SYNC_FILE_RANGE_WAIT_AFTER) < 0)
                return errno == EIO || errno == ENOSPC || errno == EDQUOT ? -errno : 0;
        w->settled = sent;
        w->flushed = w->size;
        return 0;
}

int blob_writer_add(struct blob_writer *w, const void *data, size_t n, struct error *err) {
        int r;

        r = write_all(w->fd, data, n);
        if (r == 0)
                r = hasher_add(&w->hasher, data, n);
        if (r == 0) {
                w->size += n;
                r = write_back(w);
        }
        if (r < 0)
                return error_prefix(err, r, "cannot write a blob of the store");
        return 0;
}

/* The directory entry must be on disk before index.json names the blob. */
static int sync_directory_of(int root_fd, const char *path) {
        char dir[BLOB_PATH_MAX];
        cleanup_close int fd = -1;

        snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
        fd = open_beneath(root_fd, dir, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return fd;
        return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int rename_blob(struct blob_writer *w, const char *digest) {
        char path[BLOB_PATH_MAX];

        blob_path(digest, path);
        if (fsync(w->fd) < 0)
                return -errno;
        if (mkdirat(w->root_fd, str_after(digest, "sha512:") ? "blobs/sha512" : "blobs/sha256",
                    0755) < 0 &&
            errno != EEXIST)
                return -errno;
        if (renameat(w->root_fd, w->temp, w->root_fd, path) < 0)
                return -errno;
        w->temp[0] = '\0';
        return sync_directory_of(w->root_fd, path);
}

int blob_writer_verify(struct blob_writer *w, const char *want, char *ret_digest,
                       struct error *err) {
        char digest[DIGEST_TEXT_MAX];
        int r;

        r = hasher_finish(&w->hasher, digest);
        if (r < 0)
                return error_prefix(err, r, "cannot compute a digest");
        if (want && !str_eq(want, digest))
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "content has digest %s but should have %s", digest, want);
        if (ret_digest)
                memcpy(ret_digest, digest, sizeof(digest));
        return 0;
}

int blob_writer_place(struct blob_writer *w, const char *digest, struct error *err) {
        int r = rename_blob(w, digest);

        return r < 0 ? cannot(err, r, "write", digest) : 0;
}

int blob_writer_commit(struct blob_writer *w, const char *want, char *ret_digest,
                       struct error *err) {
        char digest[DIGEST_TEXT_MAX];
        int r;

        r = blob_writer_verify(w, want, digest, err);
        if (r == 0)
                r = blob_writer_place(w, digest, err);
        if (r == 0 && ret_digest)
                memcpy(ret_digest, digest, sizeof(digest));
        return r;
}

void blob_writer_done(struct blob_writer *w) {
        if (w->temp[0] != '\0' && w->fd >= 0)
                unlinkat(w->root_fd, w->temp, 0);
        w->temp[0] = '\0';
        close_fd(&w->fd);
        hasher_done(&w->hasher);
}

int blob_put_as(int root_fd, const char *want, struct bytes content, struct error *err) {
        cleanup_blob_writer struct blob_writer w = { .fd = -1 };
        cleanup_free uint8_t *present = NULL;
        int r;

        /* A damaged blob of this name is replaced, so building or pulling an image again repairs
         * it. */
        r = blob_read(root_fd, &(struct descriptor){ .digest = want, .size = content.len },
                      content.len, &present, NULL);
        if (r == 0)
                return 0;
        r = blob_writer_init(&w, root_fd, want, err);
        if (r < 0)
                return r;
        r = blob_writer_add(&w, content.data, content.len, err);
        if (r < 0)
                return r;
        return blob_writer_commit(&w, want, NULL, err);
}

int blob_put(int root_fd, struct bytes content, char ret_digest[DIGEST_TEXT_MAX],
             struct error *err) {
        char digest[DIGEST_TEXT_MAX];
        int r;

        r = digest_of(content.data, content.len, digest);
        if (r < 0)
                return error_prefix(err, r, "cannot compute a digest");
        r = blob_put_as(root_fd, digest, content, err);
        if (r < 0)
                return r;
        memcpy(ret_digest, digest, sizeof(digest));
        return 0;
}

int blob_open(int root_fd, const char *digest) {
        char path[BLOB_PATH_MAX];

        blob_path(digest, path);
        return open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK, 0);
}
