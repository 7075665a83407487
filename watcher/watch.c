/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/watch.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/text.h"
#include "watcher/pending.h"
#include "watcher/procfs.h"

#define RETRY_FIRST (1 * NSEC_PER_MSEC)
#define RETRY_LAST (1 * NSEC_PER_SEC) /* after that a container stays without a name */
#define PIDS_MAX 4096

struct container *watch_find(struct watch *watch, uint64_t mntns) {
        struct container *c;

        LIST_FOREACH (c, &watch->containers, link)
                if (c->mntns == mntns)
                        return c;
        return NULL;
}

void container_end(struct container *c) {
        if (c->is_reported)
                (void)channel_send(c->watch->channel, MSG_CONTAINER_REMOVED,
                                   &(struct msg_container_removed){ .mntns = c->mntns }, NULL, 0);
        LIST_REMOVE(c, link);
        c->watch->n_containers--;
        loop_io_remove(&c->exit_io);
        close_fd(&c->pidfd);
        free(c->cgroup);
        free(c);
}

/* --- telling --- */

static const char *or_null(const char *text) {
        return text[0] ? text : NULL;
}

static bool is_inside(pid_t pid, uint64_t mntns) {
        uint64_t found;

        return proc_namespace(pid, "mnt", &found) == 0 && found == mntns;
}

static bool is_alive(const struct container *c) {
        struct pollfd poll_fd = { .fd = c->pidfd, .events = POLLIN };

        return poll(&poll_fd, 1, 0) == 0;
}

/* What leads into the container: its network namespace unless that is the host's, and its root, in
 * this order. The pid was its first process's all the while if that lives afterwards. */
static size_t open_fds(struct container *c, struct msg_container_added *msg, int *fds) {
        cleanup_close int netns_fd = proc_open_netns(c->pid, &c->netns);
        cleanup_close int root_fd = proc_open_root(c->pid);
        size_t n = 0;

        if (!is_alive(c) || !is_inside(c->pid, c->mntns))
                return 0;
        msg->netns = c->netns;
        msg->host_network = c->netns == c->watch->host_netns;
        msg->has_netns_fd = netns_fd >= 0 && !msg->host_network;
        msg->has_root_fd = root_fd >= 0;
        if (proc_root(c->pid, &c->root_dev, &c->root_ino) < 0)
                c->root_dev = c->root_ino = 0;
        if (msg->has_netns_fd)
                fds[n++] = TAKE_FD(netns_fd);
        if (msg->has_root_fd)
                fds[n++] = TAKE_FD(root_fd);
        return n;
}

void container_report(struct container *c) {
        struct watch *watch = c->watch;
        struct oci_info *info = &c->info;
        int fds[CONTAINER_FDS_MAX];
        size_t n_fds;
        struct msg_container_added msg = {
                .mntns = c->mntns,
                .netns = c->netns,
                .pid = (uint32_t)c->pid,
                .started_ns = c->started_ns,
                .cgroup_id = c->cgroup_id,
                .host_network = c->netns == c->watch->host_netns,
                .id = or_null(info->text[OCI_ID]),
                .name = or_null(info->text[OCI_NAME]),
                .runtime = or_null(c->runtime),
                .image = or_null(info->text[OCI_IMAGE]),
                .digest = or_null(info->text[OCI_DIGEST]),
                .cgroup = c->cgroup,
                .k8s_namespace = or_null(info->text[OCI_K8S_NAMESPACE]),
                .k8s_pod = or_null(info->text[OCI_K8S_POD]),
                .k8s_container = or_null(info->text[OCI_K8S_CONTAINER]),
                .k8s_labels = or_null(info->labels),
                .k8s_sandbox = or_null(info->text[OCI_SANDBOX]),
                .containerd_namespace = or_null(info->text[OCI_NAMESPACE]),
        };

        if (c->is_ignored)
                return;
        c->is_reported = true;
        c->serial = watch->holds ? (++watch->serial ?: ++watch->serial) : 0;
        msg.serial = c->serial;
        n_fds = open_fds(c, &msg, fds);
        (void)channel_send(watch->channel, MSG_CONTAINER_ADDED, &msg, fds, n_fds);
        for (size_t i = 0; i < n_fds; i++)
                close_fd(&fds[i]);
}

/* containerd keeps state in ROOT/NAMESPACE/ID. */
static void keep_namespace(struct oci_info *info, const char *dir) {
        const char *end = strrchr(dir, '/'), *begin = end;

        while (begin && begin > dir && begin[-1] != '/')
                begin--;
        if (begin && begin < end && oci_is_text(begin, (size_t)(end - begin)))
                snprintf(info->text[OCI_NAMESPACE], sizeof(info->text[0]), "%.*s",
                         (int)(end - begin), begin);
}

void container_name(struct container *c, const char *dir, const struct oci_info *info) {
        const char *runtime = states_runtime_of(dir, info);
        char *name = c->info.text[OCI_NAME];
        const char *from;

        c->info = *info;
        c->is_named = !info->is_partial;
        c->is_ignored |= str_eq(info->text[OCI_K8S_KIND], "sandbox");
        snprintf(c->runtime, sizeof(c->runtime), "%s", runtime);
        if (str_eq(runtime, "containerd"))
                keep_namespace(&c->info, dir);
        from = info->text[OCI_K8S_CONTAINER][0] ? info->text[OCI_K8S_CONTAINER]
                                                : info->text[OCI_ID];
        if (!name[0])
                memcpy(name, from, sizeof(c->info.text[0]));
        container_report(c);
}

/* --- finding --- */

static int on_exit_of_first(struct loop_io *io, uint32_t events);

/* An init process of a runtime may be replaced by its child before the container starts. */
static int follow(struct container *c, pid_t pid) {
        loop_io_remove(&c->exit_io);
        close_fd(&c->pidfd);
        c->pid = pid;
        c->pidfd = pidfd_open(pid, 0);
        if (c->pidfd < 0)
                return -errno;
        return loop_io_add(c->watch->loop, &c->exit_io, c->pidfd, EPOLLIN, "container",
                           on_exit_of_first);
}

static void read_places(struct container *c) {
        char cgroup[4096];
        pid_t parent;

        if (proc_cgroup(c->pid, cgroup, sizeof(cgroup)) == 0 &&
            utf8_is_valid((uint8_t *)cgroup, strlen(cgroup))) {
                free(c->cgroup);
                c->cgroup = strdup(cgroup);
                c->cgroup_id = cgroups_id(c->watch, cgroup);
        }
        (void)proc_namespace(c->pid, "net", &c->netns);
        (void)proc_parent(c->pid, &parent, &c->started_ns);
}

void container_set_first(struct container *c, pid_t pid) {
        if (c->pid == pid || follow(c, pid) < 0)
                return;
        read_places(c);
        if (c->is_reported)
                container_report(c);
}

static int on_exit_of_first(struct loop_io *io, uint32_t events) {
        struct container *c = container_of(io, struct container, exit_io);
        cleanup_free pid_t *pids = calloc(PIDS_MAX, sizeof(*pids));
        size_t n = pids && c->cgroup ? cgroups_pids(c->watch, c->cgroup, pids, PIDS_MAX) : 0;

        (void)events;
        for (size_t i = 0; i < n; i++)
                if (is_inside(pids[i], c->mntns) && follow(c, pids[i]) == 0) {
                        if (c->is_reported)
                                container_report(c);
                        return 0;
                }
        container_end(c);
        return 0;
}

struct container *watch_find_alive(struct watch *watch, uint64_t mntns) {
        struct container *c = watch_find(watch, mntns);

        if (!c || is_alive(c))
                return c;
        (void)on_exit_of_first(&c->exit_io, EPOLLIN);
        return watch_find(watch, mntns);
}

/* The topmost process that is in the namespace. */
static pid_t first_process(pid_t pid, uint64_t mntns) {
        pid_t parent;

        for (unsigned int i = 0; i < 64; i++) {
                if (proc_parent(pid, &parent, NULL) < 0 || parent <= 1 || !is_inside(parent, mntns))
                        break;
                pid = parent;
        }
        return pid;
}

/* "/docker/<64 hex>", "/.../cri-containerd-<64 hex>.scope": ids stand in cgroups' names. */
static void id_from_cgroup(struct oci_info *info, const char *cgroup) {
        const char *p = strrchr(cgroup, '/');

        for (; p && *p; p++) {
                size_t n = strspn(p, "0123456789abcdef");

                if (n == 64) {
                        snprintf(info->text[OCI_ID], sizeof(info->text[0]), "%.64s", p);
                        snprintf(info->text[OCI_NAME], sizeof(info->text[0]), "%.12s", p);
                        return;
                }
                p += n > 0 ? n - 1 : 0;
        }
}

/* gadgetd's workers have namespaces of their own as well. */
static bool is_ours(const char *cgroup) {
        const char *p = strstr(cgroup, "/gadgetd");

        return p && (p[8] == '/' || p[8] == '\0' || p[8] == '-' || p[8] == '.');
}

/* A mount namespace alone is no container: services of the host have them too. */
static bool is_container(const struct watch *watch, pid_t pid, const struct oci_info *info,
                         const char *cgroup) {
        uint64_t pidns;

        if (is_ours(cgroup))
                return false;
        if (info->text[OCI_ID][0])
                return true;
        return proc_namespace(pid, "pid", &pidns) == 0 && pidns != watch->host_pidns;
}

static void tell_full(struct watch *watch, bool is_full) {
        if (watch->is_full == is_full)
                return;
        watch->is_full = is_full;
        (void)channel_send(watch->channel, MSG_WATCH_FULL,
                           &(struct msg_watch_full){ .is_full = is_full }, NULL, 0);
}

/* Whoever is turned away is found by a later scan, when others have ended. */
static bool has_room(struct watch *watch) {
        if (watch->n_containers < LIMIT_CONTAINERS_MAX)
                return true;
        watch->has_room = false;
        tell_full(watch, true);
        return false;
}

static struct container *container_new(struct watch *watch, pid_t pid, uint64_t mntns) {
        struct oci_info info = { 0 };
        struct container *c;
        char cgroup[4096];
        pid_t parent;

        if (proc_cgroup(pid, cgroup, sizeof(cgroup)) < 0)
                return NULL;
        id_from_cgroup(&info, cgroup);
        if (!is_container(watch, pid, &info, cgroup) || !has_room(watch))
                return NULL;
        c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        *c = (struct container){ .watch = watch, .mntns = mntns, .pidfd = -1, .info = info };
        LIST_INSERT_HEAD(&watch->containers, c, link);
        watch->n_containers++;
        c->cgroup = utf8_is_valid((uint8_t *)cgroup, strlen(cgroup)) ? strdup(cgroup) : NULL;
        c->cgroup_id = cgroups_id(watch, cgroup);
        (void)proc_namespace(pid, "net", &c->netns);
        (void)proc_parent(pid, &parent, &c->started_ns);
        if (follow(c, first_process(pid, mntns)) < 0) {
                container_end(c);
                return NULL;
        }
        return c;
}

static bool has_moved(const struct container *c) {
        uint64_t netns, dev, ino;

        return (proc_namespace(c->pid, "net", &netns) == 0 && netns != c->netns) ||
               (proc_root(c->pid, &dev, &ino) == 0 && (dev != c->root_dev || ino != c->root_ino));
}

struct container *watch_consider(struct watch *watch, pid_t pid) {
        struct container *c;
        uint64_t mntns, netns;

        if (proc_namespace(pid, "mnt", &mntns) < 0 || mntns == watch->host_mntns)
                return NULL;
        c = watch_find_alive(watch, mntns);
        if (!c)
                return container_new(watch, pid, mntns);
        /* It may have been seen between two unshare()s, or before it had a root of its own. */
        if (!c->is_named && proc_namespace(pid, "net", &netns) == 0)
                c->netns = netns;
        if (pid == c->pid && c->is_reported && has_moved(c))
                container_report(c);
        return c;
}

static void look_at_all(struct watch *watch) {
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        uint32_t pid;

        while (proc && (entry = readdir(proc))) {
                gate_serve(watch);
                if (parse_u32(entry->d_name, 1, INT32_MAX, &pid) == 0)
                        (void)watch_consider(watch, (pid_t)pid);
        }
        if (proc)
                closedir(proc);
}

static void report_nameless(struct watch *watch) {
        struct container *c;

        LIST_FOREACH (c, &watch->containers, link)
                if (!c->is_reported)
                        container_report(c);
}

void watch_scan(struct watch *watch) {
        struct container *c;

        gate_guard(watch, true);
        watch->has_room = true;
        look_at_all(watch);
        tell_full(watch, !watch->has_room);
        states_refresh(watch);
        LIST_FOREACH (c, &watch->containers, link)
                if (!c->is_named)
                        pending_learn(c);
        states_refresh(watch);
        report_nameless(watch);
        gate_guard(watch, false);
}

static void look(struct watch *watch) {
        pid_t pids[64];

        for (size_t i = 0; i < watch->n_fresh; i++) {
                size_t n = cgroups_pids(watch, watch->fresh[i], pids, ARRAY_SIZE(pids));

                for (size_t k = 0; k < n; k++)
                        (void)watch_consider(watch, pids[k]);
        }
        states_refresh(watch);
}

static int on_retry(struct loop_timer *timer) {
        struct watch *watch = container_of(timer, struct watch, retry);

        gate_guard(watch, true);
        look(watch);
        gate_guard(watch, false);
        watch->retry_delay_ns *= 2;
        if (watch->retry_delay_ns <= RETRY_LAST)
                return loop_timer_set(watch->loop, timer, watch->retry_delay_ns, "look", on_retry);
        for (size_t i = 0; i < watch->n_fresh; i++)
                free(watch->fresh[i]);
        watch->n_fresh = 0;
        report_nameless(watch);
        return 0;
}

void watch_look(struct watch *watch, const char *fresh_cgroup) {
        if (fresh_cgroup && watch->n_fresh < FRESH_MAX)
                watch->fresh[watch->n_fresh++] = strdup(fresh_cgroup) ?: strdup("");
        watch->retry_delay_ns = RETRY_FIRST;
        (void)loop_timer_set(watch->loop, &watch->retry, RETRY_FIRST, "look", on_retry);
}

void watch_done(struct watch *watch) {
        loop_timer_clear(&watch->retry);
        loop_timer_clear(&watch->rescan);
        while (!LIST_EMPTY(&watch->containers))
                container_end(LIST_FIRST(&watch->containers));
        for (size_t i = 0; i < watch->n_fresh; i++)
                free(watch->fresh[i]);
}
