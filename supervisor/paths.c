/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/paths.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/parse.h"
#include "supervisor/options.h"

#define LOCK_NAME "gadgetd.lock"

static char *join(const char *root, const char *path) {
        char *joined;

        return asprintf(&joined, "%s%s", root, path) < 0 ? NULL : joined;
}

static pid_t read_lock_pid(int fd) {
        char text[16] = {};
        uint32_t pid;

        if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
                return 0;
        text[strcspn(text, "\n")] = '\0';
        return parse_u32(text, 1, INT32_MAX, &pid) < 0 ? 0 : (pid_t)pid;
}

int paths_lock(int dir_fd, pid_t *ret_pid) {
        cleanup_close int fd = -1;

        *ret_pid = 0;
        fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                *ret_pid = read_lock_pid(fd);
                return -errno;
        }
        if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* A name of its own below RUN; mkdtemp() cannot be told a directory fd, so the attempts are made
 * here. */
static int make_private_dir(struct paths *paths, const char *top, struct error *err) {
        for (unsigned int attempt = 0; attempt < 100; attempt++) {
                char name[48];

                snprintf(name, sizeof(name), "private-%d-%u", getpid(), attempt);
                if (mkdirat(paths->top_fd, name, 0700) < 0) {
                        if (errno == EEXIST)
                                continue;
                        return error_set(err, ERROR_UNAVAILABLE, -errno, "cannot make '%s/%s': %s",
                                         top, name, strerror(errno));
                }
                paths->private_name = strdup(name);
                if (!paths->private_name || asprintf(&paths->run, "%s/%s", top, name) < 0)
                        return -ENOMEM;
                return 0;
        }
        return error_set(err, ERROR_UNAVAILABLE, -EEXIST,
                         "no free name for a private directory in '%s'", top);
}

static int open_run_dir(struct paths *paths, const struct options *options, struct error *err) {
        cleanup_free char *top = join(options->root, GADGET_RUNDIR);
        pid_t holder;
        int r;

        if (!top)
                return -ENOMEM;
        r = make_dirs(AT_FDCWD, top, 0755, &paths->top_fd);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "cannot make '%s': %s", top,
                                 strerror(-r));
        if (options->is_private)
                r = make_private_dir(paths, top, err);
        else if (!(paths->run = TAKE_PTR(top)))
                r = -ENOMEM;
        if (r < 0)
                return r;
        paths->run_fd = open(paths->run, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (paths->run_fd < 0)
                return error_set(err, ERROR_UNAVAILABLE, -errno, "cannot open '%s': %s", paths->run,
                                 strerror(errno));
        paths->lock_fd = paths_lock(paths->run_fd, &holder);
        if (paths->lock_fd == -EWOULDBLOCK)
                return error_set(err, ERROR_UNAVAILABLE, -EBUSY,
                                 "another gadgetd (pid %d) runs on '%s'; stop it, or use --root",
                                 holder, paths->run);
        if (paths->lock_fd < 0)
                return error_set(err, ERROR_UNAVAILABLE, paths->lock_fd, "cannot lock '%s/%s': %s",
                                 paths->run, LOCK_NAME, strerror(-paths->lock_fd));
        r = make_dirs(paths->run_fd, "instances", 0700, &paths->instances_fd);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "cannot make '%s/instances': %s",
                                 paths->run, strerror(-r));
        return 0;
}

int paths_init(struct paths *paths, const struct options *options, struct error *err) {
        const char *root = options->root;
        int r;

        *paths = (struct paths){ .run_fd = -1, .instances_fd = -1, .top_fd = -1, .lock_fd = -1 };
        r = open_run_dir(paths, options, err);
        if (r < 0)
                return r;
        paths->broker = options->broker ? strdup(options->broker)
                                        : join(root, GADGET_LIBEXECDIR "/gadget-broker");
        paths->worker = options->worker ? strdup(options->worker)
                                        : join(root, GADGET_LIBEXECDIR "/gadget-worker");
        paths->fetcher = join(root, GADGET_LIBEXECDIR "/gadget-fetch");
        paths->watcher = options->watcher ? strdup(options->watcher)
                                          : join(root, GADGET_LIBEXECDIR "/gadget-watch");
        paths->asker = join(root, GADGET_LIBEXECDIR "/gadget-ask");
        paths->config = join(root, GADGET_CONFDIR "/gadgetd.yaml");
        paths->policy = join(root, GADGET_CONFDIR "/policy.yaml");
        paths->bundled_store = join(root, GADGET_DATADIR "/store");
        paths->local_store = join(root, GADGET_STATEDIR "/store");
        paths->socket = join(paths->run, "/gadgetd.sock");
        if (!paths->fetcher || !paths->watcher || !paths->asker || !paths->config || !paths->policy)
                return -ENOMEM;
        if (!paths->broker || !paths->worker || !paths->bundled_store || !paths->local_store ||
            !paths->socket)
                return -ENOMEM;
        return 0;
}

void paths_done(struct paths *paths) {
        if (paths->private_name)
                (void)remove_tree(paths->top_fd, paths->private_name);
        close_fd(&paths->run_fd);
        close_fd(&paths->instances_fd);
        close_fd(&paths->top_fd);
        close_fd(&paths->lock_fd);
        free(paths->run);
        free(paths->socket);
        free(paths->broker);
        free(paths->worker);
        free(paths->fetcher);
        free(paths->watcher);
        free(paths->asker);
        free(paths->config);
        free(paths->policy);
        free(paths->bundled_store);
        free(paths->local_store);
        free(paths->private_name);
        *paths = (struct paths){ .run_fd = -1, .instances_fd = -1, .top_fd = -1, .lock_fd = -1 };
}
