/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroups that appear: every runtime makes one for a container, and inotify tells of it. One
 * hierarchy is watched, cgroup2 where there is one. The kernel has no recursive watch, so each
 * directory has one of its own; what was made between the directory and its watch is found by
 * looking into it afterwards.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/log.h"
#include "watcher/watch.h"

#define WATCHES_MAX 16384
#define DEPTH_MAX 16

static bool is_cgroup_mount(const char *path) {
        char procs[256];

        snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
        return access(procs, F_OK) == 0;
}

static const char *find_mount(void) {
        static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified",
                                              "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/pids",
                                              "/sys/fs/cgroup/memory" };

        for (size_t i = 0; i < ARRAY_SIZE(places); i++)
                if (is_cgroup_mount(places[i]))
                        return places[i];
        return NULL;
}

static void remember(struct watch *watch, int wd, const char *path) {
        if (wd < 0)
                return;
        if ((size_t)wd >= watch->n_cgroup_paths) {
                size_t n = (size_t)wd + 64;
                char **paths = reallocarray(watch->cgroup_paths, n, sizeof(*paths));

                if (!paths)
                        return;
                memset(paths + watch->n_cgroup_paths, 0,
                       (n - watch->n_cgroup_paths) * sizeof(*paths));
                watch->cgroup_paths = paths;
                watch->n_cgroup_paths = n;
        }
        free(watch->cgroup_paths[wd]);
        watch->cgroup_paths[wd] = strdup(path);
}

/* path: below the mount, "" = its root. */
static void add_tree(struct watch *watch, const char *path, unsigned int depth) {
        cleanup_free char *full = NULL;
        struct dirent *entry;
        DIR *dir;
        int wd;

        if (depth > DEPTH_MAX || asprintf(&full, "%s%s", watch->cgroup_root, path) < 0)
                return;
        wd = inotify_add_watch(watch->inotify_fd, full, IN_CREATE | IN_ONLYDIR);
        if (wd >= WATCHES_MAX || (wd < 0 && errno == ENOSPC))
                log_debug("too many cgroups to watch: '%s' is left to the next look at all", path);
        remember(watch, wd, path);
        dir = opendir(full);
        while (dir && (entry = readdir(dir))) {
                cleanup_free char *below = NULL;

                gate_serve(watch);
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
                    asprintf(&below, "%s/%s", path, entry->d_name) > 0)
                        add_tree(watch, below, depth + 1);
        }
        if (dir)
                closedir(dir);
}

static void on_event(struct watch *watch, const struct inotify_event *event) {
        cleanup_free char *path = NULL;
        const char *parent = NULL;

        if (event->wd >= 0 && (size_t)event->wd < watch->n_cgroup_paths)
                parent = watch->cgroup_paths[event->wd];
        if (event->mask & IN_IGNORED && parent) {
                free(watch->cgroup_paths[event->wd]);
                watch->cgroup_paths[event->wd] = NULL;
                return;
        }
        if (event->mask & IN_Q_OVERFLOW) {
                watch_scan(watch);
                return;
        }
        if (!(event->mask & IN_ISDIR) || !parent || event->len == 0 ||
            asprintf(&path, "%s/%s", parent, event->name) < 0)
                return;
        add_tree(watch, path, 0);
        watch_look(watch, path);
}

static int on_inotify(struct loop_io *io, uint32_t events) {
        struct watch *watch = container_of(io, struct watch, inotify_io);
        char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(watch->inotify_fd, buf, sizeof(buf));

        (void)events;
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
                const struct inotify_event *event = (const void *)(buf + at);

                on_event(watch, event);
                at += (ssize_t)(sizeof(*event) + event->len);
        }
        return 0;
}

int cgroups_init(struct watch *watch) {
        const char *mount = find_mount();
        int r;

        if (!mount) {
                log_warning("no cgroups are mounted: new containers are found when a runtime "
                            "starts, and by looking at all processes now and then");
                return 0;
        }
        watch->cgroup_root = strdup(mount);
        watch->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (!watch->cgroup_root || watch->inotify_fd < 0)
                return watch->cgroup_root ? -errno : -ENOMEM;
        r = loop_io_add(watch->loop, &watch->inotify_io, watch->inotify_fd, EPOLLIN, "cgroups",
                        on_inotify);
        if (r == 0)
                add_tree(watch, "", 0);
        return r;
}

size_t cgroups_pids(const struct watch *watch, const char *path, pid_t *pids, size_t n) {
        cleanup_free char *full = NULL;
        size_t count = 0;
        FILE *file;
        int pid;

        if (!watch->cgroup_root || strstr(path, "/..") ||
            asprintf(&full, "%s%s/cgroup.procs", watch->cgroup_root, path) < 0)
                return 0;
        file = fopen(full, "re");
        while (file && count < n && fscanf(file, "%d", &pid) == 1)
                if (pid > 0)
                        pids[count++] = pid;
        if (file)
                fclose(file);
        return count;
}

uint64_t cgroups_id(const struct watch *watch, const char *path) {
        cleanup_free char *full = NULL;
        struct stat st;

        if (!watch->cgroup_root || strstr(path, "/..") ||
            asprintf(&full, "%s%s", watch->cgroup_root, path) < 0 || stat(full, &st) < 0)
                return 0;
        return st.st_ino;
}

void cgroups_done(struct watch *watch) {
        loop_io_remove(&watch->inotify_io);
        close_fd(&watch->inotify_fd);
        for (size_t i = 0; i < watch->n_cgroup_paths; i++)
                free(watch->cgroup_paths[i]);
        free(watch->cgroup_paths);
        free(watch->cgroup_root);
}
