/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define READ_CHUNK ((size_t)64 << 10)
#define TREE_DEPTH_MAX 64
#define OPEN_TRIES_MAX 32

int open_beneath(int dir_fd, const char *path, int flags, mode_t mode) {
        struct open_how how = {
                .flags = (uint64_t)flags | O_CLOEXEC,
                .mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };

        for (unsigned int i = 0;; i++) {
                long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

                if (fd >= 0)
                        return (int)fd;
                /* EAGAIN: a rename somewhere on the machine raced with "..", and the kernel wants
                 * us to try again. */
                if (errno != EINTR && (errno != EAGAIN || i >= OPEN_TRIES_MAX))
                        return -errno;
        }
}

/* -EFBIG when the file goes on behind `offset`, else 0. */
static int expect_end(int fd, off_t offset) {
        uint8_t byte;
        ssize_t n;

        do
                n = pread(fd, &byte, 1, offset);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return n == 0 ? 0 : -EFBIG;
}

int read_fd(int fd, struct buf *b) {
        off_t offset = 0;
        struct stat st;
        size_t chunk;

        if (fstat(fd, &st) < 0)
                return -errno;
        /* One byte more than the size, so that a regular file takes two reads and no copy. Procfs
         * says 0. */
        chunk = st.st_size > 0 && (uint64_t)st.st_size < b->max ? (size_t)st.st_size + 1
                                                                : READ_CHUNK;

        for (;;) {
                size_t room = MIN(chunk, b->max - MIN(b->len, b->max));
                uint8_t *p;
                ssize_t n;

                if (room == 0)
                        return expect_end(fd, offset);
                p = buf_reserve(b, room);
                if (!p)
                        return buf_result(b);
                n = pread(fd, p, room, offset);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                b->len += (size_t)n;
                offset += n;
                chunk = READ_CHUNK;
        }
}

int read_file_at(int dir_fd, const char *path, struct buf *b) {
        cleanup_close int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return read_fd(fd, b);
}

int write_all(int fd, const void *data, size_t n) {
        const uint8_t *p = data;

        while (n > 0) {
                ssize_t written = write(fd, p, n);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -errno;
                if (written == 0)
                        return -EIO;
                p += written;
                n -= (size_t)written;
        }
        return 0;
}

/* The directory itself, for fsync: dir_fd may be O_PATH or AT_FDCWD. */
static int sync_dir(int dir_fd) {
        cleanup_close int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        /* Some file systems have nothing to do for a directory and say EINVAL. */
        return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int write_temp(int dir_fd, const char *temp, const void *data, size_t n, mode_t mode) {
        cleanup_close int fd = -1;
        int r;

        fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, n);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

int write_file_atomic(int dir_fd, const char *name, const void *data, size_t n, mode_t mode) {
        uint64_t random;
        char temp[32];
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        snprintf(temp, sizeof(temp), ".tmp-%016llx", (unsigned long long)random);

        r = write_temp(dir_fd, temp, data, n, mode);
        if (r == 0 && renameat(dir_fd, temp, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                if (r != -EEXIST)
                        unlinkat(dir_fd, temp, 0);
                return r;
        }
        return sync_dir(dir_fd);
}

int make_dirs(int dir_fd, const char *path, mode_t mode, int *ret_fd) {
        cleanup_free char *copy = strdup(path);
        cleanup_close int fd = -1;

        if (!copy)
                return -ENOMEM;
        if (*path == '\0')
                return -ENOENT;

        for (char *p = copy; *p;) {
                char *end = p + strspn(p, "/");

                end += strcspn(end, "/");
                char saved = *end;

                *end = '\0';
                if (mkdirat(dir_fd, copy, mode) < 0 && errno != EEXIST && errno != EISDIR) {
                        /* A read-only place above us is no reason to fail if the directory is
                         * there. */
                        int r = -errno;

                        if (faccessat(dir_fd, copy, F_OK, 0) < 0)
                                return r;
                }
                *end = saved;
                p = end;
        }

        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (ret_fd)
                *ret_fd = TAKE_FD(fd);
        return 0;
}

static DIR *closedir_null(DIR *dir) {
        closedir(dir);
        return NULL;
}
DEFINE_CLEANUP(DIR, closedir_null)

static int remove_below(int dir_fd, const char *name, unsigned int depth) {
        cleanup(closedir_nullp) DIR *dir = NULL;
        cleanup_close int fd = -1;
        const struct dirent *entry;

        if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
                return 0;
        /* unlink() of a directory is EISDIR on Linux and EPERM in POSIX and on some file systems.
         */
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        if (depth == 0)
                return -ELOOP;

        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        TAKE_FD(fd);

        while ((errno = 0, entry = readdir(dir))) {
                int r;

                if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
                        continue;
                r = remove_below(dirfd(dir), entry->d_name, depth - 1);
                if (r < 0)
                        return r;
        }
        if (errno != 0)
                return -errno;
        return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int remove_tree(int dir_fd, const char *name) {
        return remove_below(dir_fd, name, TREE_DEPTH_MAX);
}

int memfd_sealed(const char *name, const void *data, size_t n) {
        cleanup_close int fd = -1;
        int r;

        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, n);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int memfd_sized(const char *name, size_t n) {
        cleanup_close int fd = -1;

        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, (off_t)n) < 0)
                return -errno;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int socket_pair(int type, int *ret_a, int *ret_b) {
        int fds[2];

        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        *ret_a = fds[0];
        *ret_b = fds[1];
        return 0;
}
