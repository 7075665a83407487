/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gadgetctl image export` and `image import`: OCI layouts as a directory or a tar archive. Files
 * are read and written here, as the user; gadgetd sees blobs and an index, and checks every digest.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/object.h"
#include "gadgetctl/session.h"
#include "gadgetctl/tar.h"
#include "image/digest.h"
#include "ipc/mp.h"

#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define CHUNK ((size_t)512 << 10)

/* --- export --- */

/* Where files go: a directory, or an archive (dir_fd < 0). */
struct sink {
        int dir_fd;
        int tar_fd;
        int file_fd;
};

static int sink_begin(struct sink *sink, const char *name, uint64_t size) {
        if (sink->tar_fd >= 0)
                return tar_put_header(sink->tar_fd, name, size);
        sink->file_fd = openat(sink->dir_fd, name,
                               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        return sink->file_fd < 0 ? -errno : 0;
}

static int sink_write(struct sink *sink, const void *data, size_t n) {
        return write_all(sink->tar_fd >= 0 ? sink->tar_fd : sink->file_fd, data, n);
}

static int sink_end(struct sink *sink, uint64_t size) {
        close_fd(&sink->file_fd);
        return sink->tar_fd >= 0 ? tar_put_padding(sink->tar_fd, size) : 0;
}

static int put_file(struct sink *sink, const char *name, const void *data, size_t n) {
        return sink_begin(sink, name, n) ?: sink_write(sink, data, n) ?: sink_end(sink, n);
}

/* "sha256:HEX" as "blobs/sha256/HEX". */
static void blob_name(const char *digest, char *out, size_t n) {
        snprintf(out, n, "blobs/%.6s/%s", digest, digest + 7);
}

static int export_blob(struct session *session, struct sink *sink, const char *digest,
                       uint64_t size, struct error *err) {
        struct req_image_read request = { .digest = digest };
        char name[DIGEST_TEXT_MAX + 16];
        int r;

        if (!digest_is_valid(digest))
                return error_set(err, ERROR_INTERNAL, -EBADMSG, "gadgetd named no digest");
        blob_name(digest, name, sizeof(name));
        r = sink_begin(sink, name, size);
        while (r == 0 && request.offset < size) {
                struct rep_image_read reply;

                r = connection_call(session->connection, METHOD_IMAGE_READ, &request, &reply, err);
                if (r < 0)
                        return r;
                if (reply.data.len == 0 || reply.data.len > size - request.offset)
                        return error_set(err, ERROR_UNAVAILABLE, -EIO, "blob %s was cut", digest);
                r = sink_write(sink, reply.data.data, reply.data.len);
                request.offset += reply.data.len;
        }
        return r < 0 ? r : sink_end(sink, size);
}

static int encode_images(const struct args *args, size_t n, struct buf *out) {
        uint8_t *p = buf_reserve(out, MP_HEADER_MAX);

        if (p)
                out->len = (size_t)(mp_put_array(p, (uint32_t)n) - out->data);
        for (size_t i = 0; i < n; i++) {
                size_t len = strlen(args->words.items[i]);

                p = buf_reserve(out, len + MP_HEADER_MAX);
                if (p)
                        out->len = (size_t)(mp_put_str(p, args->words.items[i], (uint32_t)len) -
                                            out->data);
        }
        return buf_result(out);
}

static int open_sink(const struct args *args, const char *path, struct sink *sink,
                     struct error *err) {
        bool is_dir = args->format && str_eq(args->format, "oci-dir");
        int r = 0;

        if (is_dir) {
                r = make_dirs(AT_FDCWD, path, 0755, &sink->dir_fd);
                if (r == 0)
                        r = make_dirs(sink->dir_fd, "blobs/sha256", 0755, NULL);
                if (r == 0)
                        r = make_dirs(sink->dir_fd, "blobs/sha512", 0755, NULL);
        } else {
                sink->tar_fd = str_eq(path, "-")
                                       ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                                       : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
                if (sink->tar_fd < 0)
                        r = -errno;
        }
        return r < 0 ? error_set(err, ERROR_DENIED, r, "cannot write '%s': %s", path, strerror(-r))
                     : 0;
}

static int export_all(struct session *session, struct sink *sink, struct bytes index,
                      struct bytes blobs, struct error *err) {
        cleanup_buf struct buf list = BUF_INIT(LIMIT_CLIENT_FRAME_MAX);
        struct object_iter iter;
        struct bytes item;
        int r;

        /* The reply lives until the next call only. */
        r = buf_append(&list, blobs.data, blobs.len);
        if (r == 0)
                r = put_file(sink, "oci-layout", LAYOUT_TEXT, strlen(LAYOUT_TEXT));
        if (r == 0)
                r = put_file(sink, "index.json", index.data, index.len);
        iter = object_iter_of(BYTES(list.data, list.len));
        while (r == 0 && object_next(&iter, &item)) {
                char digest[DIGEST_TEXT_MAX];

                object_text(item, "digest", digest, sizeof(digest));
                r = export_blob(session, sink, digest, object_uint(item, "size"), err);
        }
        return r == 0 && sink->tar_fd >= 0 ? tar_put_end(sink->tar_fd) : r;
}

int cmd_image_export(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        cleanup_buf struct buf images = BUF_INIT(LIMIT_CLIENT_FRAME_MAX);
        struct sink sink = { .dir_fd = -1, .tar_fd = -1, .file_fd = -1 };
        const char *path = args->words.items[args->words.n - 1];
        struct req_image_export request;
        struct rep_image_export reply;
        struct error err = { 0 };
        int r;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = encode_images(args, args->words.n - 1, &images);
        request.images = BYTES(images.data, images.len);
        if (r == 0)
                r = connection_call(session.connection, METHOD_IMAGE_EXPORT, &request, &reply,
                                    &err);
        if (r == 0)
                r = open_sink(args, path, &sink, &err);
        if (r == 0)
                r = export_all(&session, &sink, reply.index, reply.blobs, &err);
        close_fd(&sink.dir_fd);
        close_fd(&sink.tar_fd);
        close_fd(&sink.file_fd);
        if (r < 0 && err.code == ERROR_NONE)
                error_set(&err, ERROR_UNAVAILABLE, r, "cannot write '%s': %s", path, strerror(-r));
        return r < 0 ? diag_failure(&err, r, session.connection) : EXIT_OK;
}

/* --- import --- */

static bool blob_digest(const char *name, char *out, size_t n) {
        const char *rest = str_after(name, "blobs/");

        if (!rest || strlen(rest) >= n)
                return false;
        snprintf(out, n, "%s", rest);
        if (!strchr(out, '/'))
                return false;
        *strchr(out, '/') = ':';
        return digest_is_valid(out);
}

static int send_blob(struct session *session, int fd, uint64_t at, const char *digest,
                     uint64_t size, struct error *err) {
        cleanup_free uint8_t *chunk = malloc(CHUNK);
        struct req_image_write request = { .digest = digest, .size = size };
        int r = 0;

        if (!chunk)
                return -ENOMEM;
        do {
                ssize_t n = pread(fd, chunk, (size_t)MIN((uint64_t)CHUNK, size - request.offset),
                                  (off_t)(at + request.offset));

                if (n < 0 || (n == 0 && request.offset < size))
                        return error_set(err, ERROR_INVALID, -EIO, "blob %s is cut", digest);
                request.data = BYTES(chunk, (size_t)n);
                r = connection_call(session->connection, METHOD_IMAGE_WRITE, &request, NULL, err);
                request.offset += (uint64_t)n;
        } while (r == 0 && request.offset < size);
        return r;
}

static int read_index(int fd, uint64_t at, uint64_t size, struct buf *index, struct error *err) {
        uint8_t *room;

        buf_reset(index);
        if (size > LIMIT_MANIFEST_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG, "index.json has more than %d bytes",
                                 LIMIT_MANIFEST_SIZE_MAX);
        room = buf_reserve(index, (size_t)size);
        if (!room || pread(fd, room, (size_t)size, (off_t)at) != (ssize_t)size)
                return error_set(err, ERROR_INVALID, -EIO, "index.json cannot be read");
        index->len = (size_t)size;
        return 0;
}

static int import_tar(struct session *session, int fd, struct buf *index, struct error *err) {
        struct tar_entry entry;
        uint64_t position = 0;
        int r;

        while ((r = tar_next(fd, &position, &entry, err)) > 0) {
                char digest[DIGEST_TEXT_MAX];

                if (str_eq(entry.name, "index.json"))
                        r = read_index(fd, entry.offset, entry.size, index, err);
                else if (blob_digest(entry.name, digest, sizeof(digest)))
                        r = send_blob(session, fd, entry.offset, digest, entry.size, err);
                if (r < 0)
                        break;
        }
        return r;
}

static int import_algorithm(struct session *session, int dir_fd, const char *algorithm,
                            struct error *err) {
        char path[32], name[DIGEST_TEXT_MAX + 300], digest[DIGEST_TEXT_MAX];
        const struct dirent *entry;
        DIR *dir;
        int fd, r = 0;

        snprintf(path, sizeof(path), "blobs/%s", algorithm);
        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        while (dir && r == 0 && (entry = readdir(dir))) {
                cleanup_close int blob_fd = -1;
                struct stat st;

                snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
                if (!blob_digest(name, digest, sizeof(digest)))
                        continue;
                blob_fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
                if (blob_fd < 0 || fstat(blob_fd, &st) < 0)
                        r = error_set(err, ERROR_DENIED, -EIO, "cannot read '%s'", name);
                else
                        r = send_blob(session, blob_fd, 0, digest, (uint64_t)st.st_size, err);
        }
        if (dir)
                closedir(dir);
        return r;
}

static int import_dir(struct session *session, int fd, struct buf *index, struct error *err) {
        int r;

        r = read_file_at(fd, "index.json", index);
        if (r < 0)
                return error_set(err, ERROR_INVALID, r, "is no OCI layout: index.json: %s",
                                 strerror(-r));
        return import_algorithm(session, fd, "sha256", err)
                       ?: import_algorithm(session, fd, "sha512", err);
}

int cmd_image_import(struct args *args) {
        cleanup_buf struct buf index = BUF_INIT(LIMIT_MANIFEST_SIZE_MAX);
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        const char *path = args->words.items[0];
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct req_image_import request;
        struct error err = { 0 };
        struct rep_list reply;
        struct object_iter iter;
        struct bytes item;
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0) {
                diag("cannot open '%s': %m", path);
                return EXIT_FAILED;
        }
        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = S_ISDIR(st.st_mode) ? import_dir(&session, fd, &index, &err)
                                : import_tar(&session, fd, &index, &err);
        if (r == 0 && index.len == 0)
                r = error_set(&err, ERROR_INVALID, -EINVAL, "has no index.json: no OCI archive");
        if (r < 0 && r != -EREMOTEIO)
                error_prefix(&err, r, "'%s'", path);
        request.index = BYTES(index.data, index.len);
        if (r == 0)
                r = connection_call(session.connection, METHOD_IMAGE_IMPORT, &request, &reply,
                                    &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        iter = object_iter_of(reply.items);
        while (object_next(&iter, &item)) {
                char name[1024], digest[DIGEST_TEXT_MAX], note[1024];

                printf("Imported %s@%s\n", object_text(item, "name", name, sizeof(name)),
                       object_text(item, "digest", digest, sizeof(digest)));
                if (object_text(item, "note", note, sizeof(note))[0])
                        diag("note: %s", note);
        }
        return EXIT_OK;
}
