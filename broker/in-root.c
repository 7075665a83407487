/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/in-root.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/util.h"

#define DEPTH_MAX 64
#define LINKS_MAX 40
#define ENTRIES_MAX 65536 /* of a directory that is looked through */

/* Where the dynamic linker looks without configuration, and where Debian keeps libraries. */
static const char *const library_dirs[] = {
#if defined(__x86_64__)
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
        "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
#endif
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
        "/usr/local/lib",
};

/* --- the walk --- */

struct walk {
        int fds[DEPTH_MAX]; /* directories from the root down to where we are; the first is borrowed
                             */
        size_t n;
        unsigned int n_links;
        char rest[PATH_MAX]; /* of the path */
};

static void go_up(struct walk *w) {
        if (w->n > 1)
                close_fd(&w->fds[--w->n]);
}

static void go_to_root(struct walk *w) {
        while (w->n > 1)
                go_up(w);
}

/* The next component; false at the end. */
static bool next(struct walk *w, char *name, size_t room) {
        size_t begin = strspn(w->rest, "/"), n = strcspn(w->rest + begin, "/");

        if (n == 0 || n >= room)
                return false;
        memcpy(name, w->rest + begin, n);
        name[n] = '\0';
        memmove(w->rest, w->rest + begin + n, strlen(w->rest + begin + n) + 1);
        return true;
}

static int follow(struct walk *w, int link_fd) {
        char target[PATH_MAX], rest[PATH_MAX];
        ssize_t n = readlinkat(link_fd, "", target, sizeof(target) - 1);
        int len;

        if (n < 0)
                return -errno;
        if (++w->n_links > LINKS_MAX)
                return -ELOOP;
        target[n] = '\0';
        memcpy(rest, w->rest, sizeof(rest));
        len = snprintf(w->rest, sizeof(w->rest), "%s%s", target, rest);
        if (len < 0 || (size_t)len >= sizeof(w->rest))
                return -ENAMETOOLONG;
        if (target[0] == '/')
                go_to_root(w);
        return 0;
}

/* One component: 0 = go on, 1 = *ret_fd is the end. */
static int step(struct walk *w, const char *name, int *ret_fd) {
        cleanup_close int fd = -1;
        struct stat st;

        if (str_eq(name, "."))
                return 0;
        if (str_eq(name, "..")) {
                go_up(w);
                return 0;
        }
        fd = openat(w->fds[w->n - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (S_ISLNK(st.st_mode))
                return follow(w, fd);
        if (!S_ISDIR(st.st_mode)) {
                if (w->rest[0] != '\0')
                        return -ENOTDIR;
                *ret_fd = TAKE_FD(fd);
                return 1;
        }
        if (w->n == DEPTH_MAX)
                return -ENAMETOOLONG;
        w->fds[w->n++] = TAKE_FD(fd);
        return 0;
}

int in_root_open(int root_fd, const char *path, int *ret_fd) {
        struct walk w = { .fds = { root_fd }, .n = 1 };
        char name[NAME_MAX + 1];
        int r = 0;

        if (strlen(path) >= sizeof(w.rest))
                return -ENAMETOOLONG;
        memcpy(w.rest, path, strlen(path) + 1);
        while (r == 0 && next(&w, name, sizeof(name)))
                r = step(&w, name, ret_fd);
        /* A name that is too long, not the end. */
        if (r == 0 && w.rest[strspn(w.rest, "/")] != '\0')
                r = -ENAMETOOLONG;
        if (r == 0) {
                *ret_fd = fcntl(w.fds[w.n - 1], F_DUPFD_CLOEXEC, 3);
                r = *ret_fd < 0 ? -errno : 0;
        }
        go_to_root(&w);
        return MIN(r, 0);
}

/* --- files --- */

/* Opened for reading only once it is known to be a file: opening a device does things. */
int in_root_open_file(int root_fd, const char *path, int *ret_fd) {
        cleanup_close int fd = -1;
        char self[64];
        struct stat st;
        int r;

        r = in_root_open(root_fd, path, &fd);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
                return -EACCES;
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        *ret_fd = openat(AT_FDCWD, self, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        return *ret_fd < 0 ? -errno : 0;
}

int in_root_open_elf(int root_fd, const char *path, int *ret_fd) {
        cleanup_close int fd = -1;
        Elf64_Ehdr header;
        int r;

        r = in_root_open_file(root_fd, path, &fd);
        if (r < 0)
                return r;
        if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
            memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
            (header.e_type != ET_EXEC && header.e_type != ET_DYN))
                return -ENOEXEC;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* "libc" is libc.so, libc.so.6; "libc.so.6" is itself. */
bool in_root_is_library(const char *file, const char *name) {
        const char *rest = str_after(file, name);

        return rest && (rest[0] == '\0' ? strstr(name, ".so") != NULL
                                        : (str_eq(rest, ".so") || str_after(rest, ".so.")));
}

static DIR *open_dir(int root_fd, const char *path) {
        cleanup_close int fd = -1;
        int dir_fd;
        DIR *dir;

        if (in_root_open(root_fd, path, &fd) < 0)
                return NULL;
        dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
        dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
        if (!dir && dir_fd >= 0)
                close(dir_fd);
        return dir;
}

/* The shortest name in the first directory that has one: libx.so.1 rather than libx.so.1.2. A
 * libx.so alone may be a linker script, which is no ELF. */
int in_root_open_library(int root_fd, const char *name, char *path, size_t room, int *ret_fd) {
        int found = -1;

        for (size_t i = 0; i < ARRAY_SIZE(library_dirs) && found < 0; i++) {
                DIR *dir = open_dir(root_fd, library_dirs[i]);
                size_t shortest = SIZE_MAX;
                unsigned int left = ENTRIES_MAX;

                for (struct dirent *e = dir ? readdir(dir) : NULL; e && left > 0;
                     e = readdir(dir), left--) {
                        char candidate[PATH_MAX];
                        int fd;

                        if (strlen(e->d_name) >= shortest || !in_root_is_library(e->d_name, name))
                                continue;
                        snprintf(candidate, sizeof(candidate), "%s/%s", library_dirs[i], e->d_name);
                        if (strlen(candidate) >= room ||
                            in_root_open_elf(root_fd, candidate, &fd) < 0)
                                continue;
                        close_fd(&found);
                        found = fd;
                        shortest = strlen(e->d_name);
                        memcpy(path, candidate, strlen(candidate) + 1);
                }
                if (dir)
                        closedir(dir);
        }
        *ret_fd = found;
        return found < 0 ? -ENOENT : 0;
}
