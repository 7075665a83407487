/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and libraries that uprobes go into. The worker has to read one to find a symbol in it;
 * it gets nothing that is not a program or library which every user of the host may read.
 */
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "broker/broker.h"

#define TARGET_PATH_MAX 255 /* of the request for the probe itself */

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

bool broker_is_target(const struct broker *b, struct bytes path) {
        for (size_t i = 0; i < b->n_targets; i++)
                if (strlen(b->targets[i]) == path.len &&
                    memcmp(b->targets[i], path.data, path.len) == 0)
                        return true;
        return false;
}

static int remember(struct broker *b, const char *path) {
        char **grown;

        if (broker_is_target(b, BYTES(path, strlen(path))))
                return 0;
        if (b->n_targets == LIMIT_BROKER_OBJECTS_MAX)
                return -ENOSPC;
        grown = reallocarray(b->targets, b->n_targets + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        b->targets = grown;
        grown[b->n_targets] = strdup(path);
        if (!grown[b->n_targets])
                return -ENOMEM;
        b->n_targets++;
        return 0;
}

/* O_NONBLOCK: opening a fifo must not wait. */
static int open_elf(const char *path, int *ret_fd) {
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        Elf64_Ehdr header;
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
                return -EACCES;
        if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
            memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
            (header.e_type != ET_EXEC && header.e_type != ET_DYN))
                return -ENOEXEC;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* "libc" is libc.so, libc.so.6; "libc.so.6" is itself. */
static bool is_library(const char *file, const char *name) {
        const char *rest = str_after(file, name);

        return rest && (rest[0] == '\0' ? strstr(name, ".so") != NULL
                                        : (str_eq(rest, ".so") || str_after(rest, ".so.")));
}

/* The shortest name in the first directory that has one: libx.so.1 rather than libx.so.1.2. A
 * libx.so alone may be a linker script, which open_elf() does not take. */
static int open_library(const char *name, char *path, int *ret_fd) {
        for (size_t i = 0; i < ARRAY_SIZE(library_dirs); i++) {
                DIR *dir = opendir(library_dirs[i]);
                size_t shortest = SIZE_MAX;

                for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
                        char candidate[PATH_MAX];
                        int fd;

                        if (strlen(e->d_name) >= shortest || !is_library(e->d_name, name))
                                continue;
                        snprintf(candidate, sizeof(candidate), "%s/%s", library_dirs[i], e->d_name);
                        if (strlen(candidate) > TARGET_PATH_MAX || open_elf(candidate, &fd) < 0)
                                continue;
                        close_fd(ret_fd);
                        *ret_fd = fd;
                        shortest = strlen(e->d_name);
                        snprintf(path, TARGET_PATH_MAX + 1, "%s", candidate);
                }
                if (dir)
                        closedir(dir);
                if (*ret_fd >= 0)
                        return 0;
        }
        return -ENOENT;
}

int on_target(struct broker *b, const struct request *request, struct reply *reply,
              struct error *err) {
        char name[TARGET_PATH_MAX + 1], path[TARGET_PATH_MAX + 1];
        cleanup_close int fd = -1;

        if (request->payload_len == 0 || request->payload_len > TARGET_PATH_MAX ||
            memchr(request->payload, 0, request->payload_len))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'target' does not name a file");
        memcpy(name, request->payload, request->payload_len);
        name[request->payload_len] = '\0';
        snprintf(path, sizeof(path), "%s", name);
        if (name[0] == '/')
                reply->result = open_elf(path, &fd);
        else
                reply->result = strchr(name, '/') ? -ENOENT : open_library(name, path, &fd);
        if (reply->result == 0)
                reply->result = remember(b, path);
        if (reply->result < 0)
                return 0;
        buf_append(&reply->payload, path, strlen(path));
        reply->fd = TAKE_FD(fd);
        reply->is_fd_ours = true;
        return 0;
}
