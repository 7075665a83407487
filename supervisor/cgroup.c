/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cgroup.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"

#define MOUNTINFO_SIZE_MAX (4u << 20)
#define PROCS_SIZE_MAX (1u << 20)

static const char *const leaves[] = { "worker", "broker" };

/* --- finding the hierarchies --- */

static bool option_listed(const char *options, const char *word) {
        size_t n = strlen(word);

        for (const char *p = options; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
                if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
                        return true;
        return false;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void unescape(char *text) {
        char *out = text;

        for (const char *p = text; *p; p++) {
                if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                    p[3] >= '0' && p[3] <= '7') {
                        *out++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
                        p += 3;
                        continue;
                }
                *out++ = *p;
        }
        *out = '\0';
}

/* "31 23 0:28 / /sys/fs/cgroup rw - TYPE SOURCE OPTIONS", optional fields before the dash. */
static bool parse_mount(char *line, char **ret_point, const char **ret_type,
                        const char **ret_options) {
        char *save = NULL, *point = NULL, *word;
        char *tail = strstr(line, " - ");

        if (!tail)
                return false;
        *tail = '\0';
        word = strtok_r(line, " ", &save);
        for (unsigned int i = 0; word && i < 4; i++)
                point = word = strtok_r(NULL, " ", &save);
        *ret_type = strtok_r(tail + 3, " ", &save);
        if (!point || !*ret_type || !strtok_r(NULL, " ", &save))
                return false;
        *ret_options = strtok_r(NULL, " ", &save);
        unescape(point);
        *ret_point = point;
        return true;
}

static void layout_add(struct cgroup_layout *layout, const char *mount, bool is_v2, bool memory,
                       bool pids) {
        struct cgroup_hierarchy *h = &layout->hierarchies[layout->n];

        *h = (struct cgroup_hierarchy){
                .is_v2 = is_v2, .has_memory = memory, .has_pids = pids, .fd = -1
        };
        snprintf(h->mount, sizeof(h->mount), "%s", mount);
        layout->n++;
}

static void v2_controllers(const char *mount, bool *ret_memory, bool *ret_pids) {
        cleanup_buf struct buf text = BUF_INIT(4096);
        char path[PATH_MAX + 32];

        *ret_memory = *ret_pids = false;
        snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
        if (read_file_at(AT_FDCWD, path, &text) < 0 || buf_append(&text, "", 1) < 0)
                return;
        for (char *p = (char *)text.data; *p; p++)
                if (*p == ' ' || *p == '\n')
                        *p = ',';
        *ret_memory = option_listed((char *)text.data, "memory");
        *ret_pids = option_listed((char *)text.data, "pids");
}

int cgroup_layout_read(const char *mountinfo, struct cgroup_layout *ret) {
        cleanup_buf struct buf text = BUF_INIT(MOUNTINFO_SIZE_MAX);
        char v2_mount[PATH_MAX] = "";
        bool memory, pids;
        char *save = NULL;
        int r;

        *ret = (struct cgroup_layout){};
        r = read_file_at(AT_FDCWD, mountinfo, &text);
        if (r >= 0)
                r = buf_append(&text, "", 1);
        if (r < 0)
                return r;
        for (char *line = strtok_r((char *)text.data, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save)) {
                const char *type, *options;
                char *point;

                if (!parse_mount(line, &point, &type, &options))
                        continue;
                if (str_eq(type, "cgroup2") && v2_mount[0] == '\0')
                        snprintf(v2_mount, sizeof(v2_mount), "%s", point);
                if (!str_eq(type, "cgroup") || ret->n == CGROUP_HIERARCHIES_MAX)
                        continue;
                memory = option_listed(options, "memory");
                pids = option_listed(options, "pids");
                for (size_t i = 0; i < ret->n; i++) { /* the same hierarchy mounted twice */
                        memory = memory && !ret->hierarchies[i].has_memory;
                        pids = pids && !ret->hierarchies[i].has_pids;
                }
                if (memory || pids)
                        layout_add(ret, point, false, memory, pids);
        }
        /* v2 alone, or v2 because no v1 hierarchy has what we need: it can at least kill everything
         * in a cgroup. */
        if (v2_mount[0] != '\0') {
                v2_controllers(v2_mount, &memory, &pids);
                if (ret->n == 0 || (memory && pids)) {
                        ret->n = 0;
                        layout_add(ret, v2_mount, true, memory, pids);
                }
        }
        return 0;
}

static int write_at(int dir_fd, const char *name, const char *text) {
        cleanup_close int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);

        return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

/* Children get a controller only when every level above hands it down. */
static void hand_down(struct cgroup_hierarchy *h, int dir_fd) {
        if (h->has_memory && write_at(dir_fd, "cgroup.subtree_control", "+memory") < 0)
                h->has_memory = false;
        if (h->has_pids && write_at(dir_fd, "cgroup.subtree_control", "+pids") < 0)
                h->has_pids = false;
}

static int hierarchy_open(struct cgroup_hierarchy *h) {
        cleanup_close int mount_fd = -1;
        int r;

        mount_fd = open(h->mount, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (mount_fd < 0)
                return -errno;
        if (h->is_v2)
                hand_down(h, mount_fd);
        r = make_dirs(mount_fd, "gadgetd", 0755, &h->fd);
        if (r < 0)
                return r;
        if (h->is_v2)
                hand_down(h, h->fd);
        return 0;
}

void cgroup_layout_open(struct cgroup_layout *layout) {
        bool has_memory = false, has_pids = false;
        size_t kept = 0;

        for (size_t i = 0; i < layout->n; i++) {
                struct cgroup_hierarchy *h = &layout->hierarchies[i];
                int r = hierarchy_open(h);

                if (r < 0) {
                        log_warning_errno(r, "cannot use cgroups below '%s', going on without",
                                          h->mount);
                        continue;
                }
                has_memory |= h->has_memory;
                has_pids |= h->has_pids;
                if (kept != i)
                        layout->hierarchies[kept] = *h;
                kept++;
        }
        layout->n = kept;
        if (!has_memory || !has_pids)
                log_warning("no cgroup limit of %s on this host, workers run without it",
                            has_memory ? "processes"
                            : has_pids ? "memory"
                                       : "memory and processes");
}

void cgroup_layout_done(struct cgroup_layout *layout) {
        for (size_t i = 0; i < layout->n; i++) {
                char path[PATH_MAX + 16];

                close_fd(&layout->hierarchies[i].fd);
                /* Goes when no other gadgetd has an instance in it. */
                snprintf(path, sizeof(path), "%s/gadgetd", layout->hierarchies[i].mount);
                (void)rmdir(path);
        }
        layout->n = 0;
}

/* --- one instance --- */

static int write_limit(int dir_fd, const char *name, uint64_t value) {
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, value);
        return write_at(dir_fd, name, text);
}

static int apply_limits(const struct cgroup_hierarchy *h, int worker_fd,
                        const struct cgroup_limits *limits) {
        int r = 0;

        if (h->has_memory)
                r = write_limit(worker_fd, h->is_v2 ? "memory.max" : "memory.limit_in_bytes",
                                limits->memory_bytes);
        if (r == 0 && h->has_memory && h->is_v2)
                (void)write_limit(worker_fd, "memory.swap.max",
                                  0); /* absent without swap accounting */
        if (r == 0 && h->has_pids)
                r = write_limit(worker_fd, "pids.max", limits->pids);
        return r;
}

/* MOUNT/gadgetd may have been removed by another gadgetd that ended just now: then it is made
 * again. */
static int make_instance_dir(const struct cgroup_hierarchy *h, const char *id, int *ret_fd) {
        char path[16 + CGROUP_ID_MAX];
        cleanup_close int mount_fd = -1;
        int r;

        mount_fd = open(h->mount, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (mount_fd < 0)
                return -errno;
        snprintf(path, sizeof(path), "gadgetd/%s", id);
        for (unsigned int attempt = 0;; attempt++) {
                r = make_dirs(mount_fd, path, 0755, ret_fd);
                if ((r != -ENOENT && r != -ENODEV) || attempt == 10)
                        return r;
        }
}

static int hierarchy_create(const struct cgroup_hierarchy *h, struct cgroup *cgroup,
                            const struct cgroup_limits *limits) {
        cleanup_close int worker_fd = -1;
        struct cgroup_hierarchy copy = *h;
        size_t i = cgroup->n;
        int r;

        r = make_instance_dir(h, cgroup->id, &cgroup->fds[i]);
        if (r < 0)
                return r;
        cgroup->n++;
        if (h->is_v2) {
                cleanup_close int top_fd =
                        openat(cgroup->fds[i], "..", O_DIRECTORY | O_RDONLY | O_CLOEXEC);

                hand_down(&copy, top_fd); /* again, in case it was made anew */
                hand_down(&copy, cgroup->fds[i]);
        }
        r = make_dirs(cgroup->fds[i], "worker", 0755, &worker_fd);
        if (r == 0)
                r = make_dirs(cgroup->fds[i], "broker", 0755, NULL);
        if (r == 0)
                r = apply_limits(&copy, worker_fd, limits);
        return r;
}

int cgroup_create(const struct cgroup_layout *layout, const char *id,
                  const struct cgroup_limits *limits, struct cgroup *ret, struct error *err) {
        struct cgroup cgroup = CGROUP_NONE;
        int r;

        assert(strlen(id) < sizeof(cgroup.id));
        cgroup.layout = layout;
        memcpy(cgroup.id, id, strlen(id) + 1);
        for (size_t i = 0; i < layout->n; i++) {
                r = hierarchy_create(&layout->hierarchies[i], &cgroup, limits);
                if (r < 0) {
                        (void)cgroup_remove(&cgroup);
                        cgroup_done(&cgroup);
                        return error_set(err, ERROR_UNAVAILABLE, r,
                                         "cannot make cgroup '%s/gadgetd/%s': %s",
                                         layout->hierarchies[i].mount, id, strerror(-r));
                }
        }
        *ret = cgroup;
        return 0;
}

int cgroup_limit(const struct cgroup *cgroup, const struct cgroup_limits *limits,
                 struct error *err) {
        for (size_t i = 0; i < cgroup->n; i++) {
                const struct cgroup_hierarchy *h = &cgroup->layout->hierarchies[i];
                cleanup_close int fd =
                        openat(cgroup->fds[i], "worker", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
                int r = fd < 0 ? -errno : apply_limits(h, fd, limits);

                if (r < 0)
                        return error_set(err, ERROR_UNAVAILABLE, r,
                                         "cannot set the limits of cgroup '%s/gadgetd/%s': %s",
                                         h->mount, cgroup->id, strerror(-r));
        }
        return 0;
}

void cgroup_adopt(const struct cgroup_layout *layout, const char *id, struct cgroup *ret) {
        *ret = CGROUP_NONE;
        ret->layout = layout;
        snprintf(ret->id, sizeof(ret->id), "%s", id);
        ret->n = layout->n;
        for (size_t i = 0; i < layout->n; i++)
                ret->fds[i] =
                        openat(layout->hierarchies[i].fd, id, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

static void kill_listed(int dir_fd, const char *leaf) {
        cleanup_buf struct buf text = BUF_INIT(PROCS_SIZE_MAX);
        char path[32], *save = NULL;

        snprintf(path, sizeof(path), "%s/cgroup.procs", leaf);
        if (read_file_at(dir_fd, path, &text) < 0 || buf_append(&text, "", 1) < 0)
                return;
        for (char *line = strtok_r((char *)text.data, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save)) {
                uint32_t pid;

                /* 0 stands for a process outside our pid namespace: not ours to signal. */
                if (parse_u32(line, 1, INT32_MAX, &pid) == 0)
                        (void)kill((pid_t)pid, SIGKILL);
        }
}

void cgroup_kill(const struct cgroup *cgroup) {
        for (size_t i = 0; i < cgroup->n; i++) {
                if (cgroup->fds[i] < 0 || write_at(cgroup->fds[i], "cgroup.kill", "1") == 0)
                        continue;
                for (size_t l = 0; l < ARRAY_SIZE(leaves); l++)
                        kill_listed(cgroup->fds[i], leaves[l]);
        }
}

int cgroup_remove(struct cgroup *cgroup) {
        int r = 0;

        for (size_t i = 0; i < cgroup->n; i++) {
                char path[PATH_MAX + CGROUP_ID_MAX + 16];

                if (cgroup->fds[i] < 0)
                        continue;
                for (size_t l = 0; l < ARRAY_SIZE(leaves); l++)
                        if (unlinkat(cgroup->fds[i], leaves[l], AT_REMOVEDIR) < 0 &&
                            errno != ENOENT)
                                r = -errno;
                snprintf(path, sizeof(path), "%s/gadgetd/%s", cgroup->layout->hierarchies[i].mount,
                         cgroup->id);
                if (rmdir(path) < 0 && errno != ENOENT) {
                        r = -errno;
                        continue;
                }
                close_fd(&cgroup->fds[i]);
        }
        return r;
}

void cgroup_done(struct cgroup *cgroup) {
        for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++) {
                close_fd(&cgroup->fds[i]);
        }
        cgroup->n = 0;
}
