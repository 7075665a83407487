/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/parse.h"

#define HIERARCHY_DEPTH_MAX 64

/* What a directory is called in the one above it. */
static int name_of(int fd, char *buf, size_t n) {
        char link[64], path[4096];
        const char *name;
        ssize_t len;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        len = readlink(link, path, sizeof(path) - 1);
        if (len < 0)
                return -errno;
        path[len] = '\0';
        name = strrchr(path, '/');
        if (!name || name[1] == '\0' || strlen(name) > n)
                return -EINVAL;
        memcpy(buf, name + 1, strlen(name));
        return 0;
}

/* Walks up to the topmost directory that is still of this mount: the hierarchy's root, or as much
 * of it as this host shows us. */
static int open_root_procs(int dir_fd) {
        cleanup_close int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        struct stat here, above;
        int root_fd;

        if (fd < 0 || fstat(fd, &here) < 0)
                return -errno;
        for (int i = 0; i < HIERARCHY_DEPTH_MAX; i++) {
                cleanup_close int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

                if (up < 0 || fstat(up, &above) < 0)
                        return -errno;
                if (above.st_dev != here.st_dev)
                        break;
                close(fd);
                fd = TAKE_FD(up);
        }
        root_fd = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        return root_fd < 0 ? -errno : root_fd;
}

int cgroups_init(struct cgroups *c, int *take_fds, size_t n) {
        int r;

        *c = (struct cgroups){ 0 };
        for (size_t i = 0; i < n; i++) {
                c->dir_fds[i] = TAKE_FD(take_fds[i]);
                c->parent_fds[i] = c->root_fds[i] = -1;
                c->n++;
        }
        for (size_t i = 0; i < n; i++) {
                r = name_of(c->dir_fds[i], c->names[i], sizeof(c->names[i]));
                if (r < 0)
                        return r;
                c->parent_fds[i] = openat(c->dir_fds[i], "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (c->parent_fds[i] < 0)
                        return -errno;
                c->root_fds[i] = open_root_procs(c->dir_fds[i]);
                if (c->root_fds[i] < 0)
                        log_debug("no way out of cgroup '%s'", c->names[i]);
        }
        return 0;
}

void cgroups_done(struct cgroups *c) {
        for (size_t i = 0; i < c->n; i++) {
                close_fd(&c->dir_fds[i]);
                close_fd(&c->parent_fds[i]);
                close_fd(&c->root_fds[i]);
        }
        c->n = 0;
}

static int put_pid(int dir_fd, const char *procs, pid_t pid) {
        cleanup_close int fd = openat(dir_fd, procs, O_WRONLY | O_CLOEXEC);
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", pid);

        if (fd < 0)
                return -errno;
        return write(fd, text, (size_t)n) < 0 ? -errno : 0;
}

/* Runs in the child. A worker that is dead already (ESRCH) is somebody else's news. */
static int join(const struct cgroups *c, pid_t broker, pid_t worker) {
        int r = 0;

        for (size_t i = 0; i < c->n && r == 0; i++) {
                r = put_pid(c->dir_fds[i], "worker/cgroup.procs", worker);
                if (r == 0 || r == -ESRCH)
                        r = put_pid(c->dir_fds[i], "broker/cgroup.procs", broker);
        }
        return r;
}

int cgroups_join(const struct cgroups *c, pid_t broker, pid_t worker, pid_t *ret_pid,
                 int *ret_pidfd) {
        pid_t pid = fork();
        int pidfd;

        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(-join(c, broker, worker));
        /* No race: an unwaited child keeps its pid. */
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return -errno;
        *ret_pid = pid;
        *ret_pidfd = pidfd;
        return 0;
}

uint32_t cgroups_oom_kills(const struct cgroups *c) {
        static const char *const files[] = { "worker/memory.oom_control", "worker/memory.events" };
        uint32_t sum = 0;

        for (size_t i = 0; i < c->n * ARRAY_SIZE(files); i++) {
                cleanup_close int fd = openat(c->dir_fds[i / ARRAY_SIZE(files)],
                                              files[i % ARRAY_SIZE(files)], O_RDONLY | O_CLOEXEC);
                char text[512] = "";
                const char *count;
                uint32_t n;

                if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
                        continue;
                count = strstr(text, "\noom_kill ");
                if (!count)
                        continue;
                count += strlen("\noom_kill ");
                text[count - text + (ptrdiff_t)strcspn(count, "\n")] = '\0';
                if (parse_u32(count, 0, UINT32_MAX, &n) == 0)
                        sum += n;
        }
        return sum;
}

void cgroups_remove(struct cgroups *c) {
        for (size_t i = 0; i < c->n; i++) {
                if (c->root_fds[i] < 0 || write(c->root_fds[i], "0", 1) < 0)
                        continue;
                if (unlinkat(c->dir_fds[i], "worker", AT_REMOVEDIR) < 0 ||
                    unlinkat(c->dir_fds[i], "broker", AT_REMOVEDIR) < 0 ||
                    unlinkat(c->parent_fds[i], c->names[i], AT_REMOVEDIR) < 0)
                        log_warning_errno(-errno, "cgroup '%s' stays", c->names[i]);
        }
}
