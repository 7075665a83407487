/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/pending.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/fanotify.h>

#include "base/clock.h"
#include "base/log.h"
#include "watcher/command-line.h"
#include "watcher/procfs.h"

#define PARSE_TIMEOUT (40 * NSEC_PER_MSEC)
#define PENDING_TIMEOUT (15 * NSEC_PER_SEC)
#define PENDING_MAX 256
#define ANCESTORS_MAX 4
/* A process that has made an event sleeps a moment later, not at once. */
#define SLEEPS_WITHIN (50 * NSEC_PER_MSEC)
#define TRIES_AWAKE 16

void pending_free(struct pending *p) {
        LIST_REMOVE(p, link);
        free(p);
}

uint64_t pending_expire(struct watch *watch) {
        uint64_t next_ns = UINT64_MAX, now = now_ns();
        struct pending *p, *next;

        for (p = LIST_FIRST(&watch->pending); p; p = next) {
                next = LIST_NEXT(p, link);
                if (now >= p->born_ns + PENDING_TIMEOUT)
                        pending_free(p);
                else
                        next_ns = MIN(next_ns, p->born_ns + PENDING_TIMEOUT);
        }
        return next_ns;
}

static struct pending *find_descendant(struct watch *watch, pid_t pid) {
        struct pending *p;

        for (unsigned int i = 0; i <= ANCESTORS_MAX && pid > 1; i++) {
                LIST_FOREACH (p, &watch->pending, link)
                        if (p->runtime == pid)
                                return p;
                if (proc_parent(pid, &pid, NULL) < 0)
                        break;
        }
        return NULL;
}

struct pending *pending_find(struct watch *watch, pid_t pid) {
        struct pending *p = find_descendant(watch, pid);

        if (p)
                return p;
        /* Started later than created, when its runtime is gone. */
        LIST_FOREACH (p, &watch->pending, link) {
                if (p->init == 0)
                        p->init = (pid_t)states_pid(watch, p->dir);
                if (p->init == pid)
                        return p;
        }
        return NULL;
}

void pending_name(struct pending *p, struct container *c) {
        if (p->info.is_partial) {
                p->info.is_partial = false;
                states_read_bundle(c->watch, &p->info, PARSE_TIMEOUT);
                states_read_records(c->watch, &p->info, PARSE_TIMEOUT);
        }
        container_name(c, p->dir, &p->info);
}

/* --- what a command line says --- */

/* Of a process that is about to execute it. */
static ssize_t read_exec_arguments(pid_t pid, char *buf, size_t n) {
        uint64_t until = now_ns() + SLEEPS_WITHIN;
        ssize_t len;

        for (unsigned int i = 0;; i++) {
                len = proc_exec_arguments(pid, buf, n);
                if (len != -EAGAIN || now_ns() >= until)
                        return len;
                if (i >= TRIES_AWAKE)
                        (void)poll(NULL, 0, 1);
        }
}

/* Finds the command line that makes a container, and whose it is. */
static bool read_command_line(pid_t *pid, char *text, size_t n, struct command_line *ret) {
        ssize_t len = read_exec_arguments(*pid, text, n);

        if (len > 0) {
                command_line_parse(text, (size_t)len, ret);
                if (ret->makes_container)
                        return true;
        }
        /* runc's child, which executes runc again, has the command line of its parent till then. */
        len = proc_arguments(*pid, text, n);
        if (len <= 0 || proc_parent(*pid, pid, NULL) < 0)
                return false;
        command_line_parse(text, (size_t)len, ret);
        return ret->makes_container;
}

static void set_path(char *buf, size_t n, const char *cwd, const char *path) {
        if (path[0] == '/')
                snprintf(buf, n, "%s", path);
        else
                snprintf(buf, n, "%s/%s", cwd, path);
}

static void find_places(struct pending *p, pid_t pid, const char *runtime,
                        const struct command_line *line) {
        bool is_crun = strstr(runtime, "crun") != NULL;
        char cwd[4096], path[sizeof(cwd) * 2 + 2];

        if (proc_link(pid, "cwd", cwd, sizeof(cwd)) < 0)
                cwd[0] = '\0';
        snprintf(p->info.text[OCI_ID], sizeof(p->info.text[0]), "%s", line->id);
        set_path(path, sizeof(path), cwd, line->bundle ?: cwd);
        if (oci_is_text(path, strlen(path)))
                snprintf(p->info.text[OCI_BUNDLE], sizeof(p->info.text[0]), "%.255s", path);
        set_path(path, sizeof(path), cwd, line->root ?: is_crun ? "/run/crun" : "/run/runc");
        if (strlen(path) + strlen(line->id) + 2 <= sizeof(p->dir))
                snprintf(p->dir, sizeof(p->dir), "%.3800s/%s", path, p->info.text[OCI_ID]);
}

static void learn_root(struct watch *watch, const char *dir) {
        char root[4096];
        char *slash;

        snprintf(root, sizeof(root), "%s", dir);
        slash = strrchr(root, '/');
        if (!slash)
                return;
        *slash = '\0';
        states_add_root(watch, root);
}

/*
 * The path is that of the runtime's own mount namespace. The mark stays until no gadget filters any
 * more: the kernel (6.18) does not tell of opens on other marks of a file system while one of its
 * marks is being removed. No fd is kept, so that a runtime can unmount it; the mark goes with the
 * file system.
 */
static void mark(struct watch *watch, pid_t pid, const char *dir, const char *path) {
        char full[2 * LIMIT_CONTAINER_TEXT_MAX + 64];

        snprintf(full, sizeof(full), "/proc/%d/root%s/%s", pid, path[0] == '/' ? "" : dir, path);
        if (fanotify_mark(watch->fanotify_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM | FAN_MARK_ONLYDIR,
                          FAN_OPEN_EXEC_PERM, AT_FDCWD, full) < 0)
                log_debug("cannot watch '%s': %s", full, strerror(errno));
}

static void mark_root(struct watch *watch, const struct pending *p) {
        const char *bundle = p->info.text[OCI_BUNDLE], *root = p->info.text[OCI_ROOTFS];

        if (watch->fanotify_fd < 0)
                return;
        mark(watch, p->runtime, bundle, root[0] ? root : "rootfs");
        /* A bundle that is not read: its root is most likely where itself is. */
        if (!root[0])
                mark(watch, p->runtime, bundle, ".");
}

struct pending *pending_on_runtime(struct watch *watch, pid_t pid, const char *runtime) {
        struct command_line line;
        char text[16384];
        struct pending *p;
        size_t n = 0;

        if (find_descendant(watch, pid))
                return NULL; /* runc executes itself */
        LIST_FOREACH (p, &watch->pending, link)
                n++;
        if (!read_command_line(&pid, text, sizeof(text), &line) || !line.id ||
            !oci_is_text(line.id, strlen(line.id)) || n >= PENDING_MAX)
                return NULL;
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        *p = (struct pending){ .runtime = pid, .born_ns = now_ns() };
        LIST_INSERT_HEAD(&watch->pending, p, link);
        find_places(p, pid, runtime, &line);
        if (watch->holds) {
                states_read_bundle(watch, &p->info, PARSE_TIMEOUT);
                mark_root(watch, p);
        }
        return p;
}

void pending_complete(struct watch *watch, struct pending *p) {
        learn_root(watch, p->dir);
        if (watch->holds)
                states_read_records(watch, &p->info, PARSE_TIMEOUT);
}

/* --- what runs already --- */

/* The word behind this option; NULL = there is none. */
static const char *option_value(const char *text, size_t len, const char *option) {
        const char *before = "";

        for (const char *word = text; word < text + len; word += strlen(word) + 1) {
                if (str_eq(before, option))
                        return word;
                before = word;
        }
        return NULL;
}

static void name_by_bundle(struct container *c, const char *id, const char *bundle,
                           const char *dir) {
        struct watch *watch = c->watch;
        struct oci_info info = { 0 };

        if (!oci_is_text(id, strlen(id)) || !oci_is_text(bundle, strlen(bundle)))
                return;
        snprintf(info.text[OCI_ID], sizeof(info.text[0]), "%s", id);
        snprintf(info.text[OCI_BUNDLE], sizeof(info.text[0]), "%s", bundle);
        states_read_bundle(watch, &info, PARSE_TIMEOUT);
        states_read_records(watch, &info, PARSE_TIMEOUT);
        container_name(c, dir, &info);
}

/* conmon -c ID -b BUNDLE: of podman and cri-o, one above each container. */
static void learn_conmon(struct container *c, pid_t pid, const char *text, size_t len) {
        const char *id = option_value(text, len, "-c"), *bundle = option_value(text, len, "-b");

        (void)pid;
        if (id && bundle)
                name_by_bundle(c, id, bundle, "");
}

/* containerd-shim-runc-v2 -namespace NAMESPACE -id ID, in the directory of its bundle; one of them
 * is above all containers of a pod, whose bundles lie side by side. */
static void learn_shim(struct container *c, pid_t pid, const char *text, size_t len) {
        const char *namespace = option_value(text, len, "-namespace");
        const char *id = option_value(text, len, "-id");
        char bundle[4096], path[4096 + LIMIT_CONTAINER_TEXT_MAX + 2];
        char *slash;

        if (!namespace || !id || proc_link(pid, "cwd", bundle, sizeof(bundle)) < 0)
                return;
        slash = strrchr(bundle, '/');
        if (!slash)
                return;
        *slash = '\0';
        if (c->info.text[OCI_ID][0])
                id = c->info.text[OCI_ID]; /* as its cgroup has it */
        snprintf(path, sizeof(path), "%s/%.255s", bundle, id);
        /* Its state is somewhere below such a directory. */
        snprintf(bundle, sizeof(bundle), "/containerd/runc/%.255s/%.255s", namespace, id);
        name_by_bundle(c, id, path, bundle);
}

static void learn_runtime(struct container *c, pid_t pid, char *text, size_t len,
                          const char *name) {
        struct pending p = { .runtime = pid };
        struct command_line line;

        command_line_parse(text, len, &line);
        if (!line.makes_container || !line.id || !oci_is_text(line.id, strlen(line.id)))
                return;
        find_places(&p, pid, name, &line);
        learn_root(c->watch, p.dir);
}

void pending_learn(struct container *c) {
        char text[16384], exe[4096];
        const char *name;
        ssize_t len;
        pid_t pid;

        if (proc_parent(c->pid, &pid, NULL) < 0 || pid <= 1 ||
            proc_link(pid, "exe", exe, sizeof(exe)) < 0)
                return;
        name = strrchr(exe, '/') ? strrchr(exe, '/') + 1 : exe;
        len = proc_arguments(pid, text, sizeof(text));
        if (len <= 0)
                return;
        if (str_eq(name, "conmon"))
                learn_conmon(c, pid, text, (size_t)len);
        else if (strncmp(name, "containerd-shim", 15) == 0)
                learn_shim(c, pid, text, (size_t)len);
        else if (str_eq(name, "runc") || str_eq(name, "crun") || str_eq(name, "youki"))
                learn_runtime(c, pid, text, (size_t)len, name);
}
