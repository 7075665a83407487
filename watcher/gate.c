/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes that start, and the first exec in a new container.
 *
 * A permission mark on the runtimes' executables tells of every start: by the second time that a
 * runtime executes itself, its command line can be read, and with it root, bundle and id. While a
 * gadget filters by container, the file system of the new container's root is marked as well: the
 * first exec on it by a process in a mount namespace that is not known yet is the container's
 * entrypoint. It waits there until the kernel's filters have the namespace, and no longer than the
 * deadline; then it goes on, known or not. Whatever goes wrong, everything is let pass, and when
 * this process dies the kernel lets pass what it held.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>

#include "base/clock.h"
#include "base/log.h"
#include "watcher/procfs.h"
#include "watcher/watch.h"

#define DEADLINE (100 * NSEC_PER_MSEC)
#define PARSE_TIMEOUT (40 * NSEC_PER_MSEC)
#define PENDING_TIMEOUT (15 * NSEC_PER_SEC)
#define PENDING_MAX 256

static const char *const runtimes[] = {
        "/usr/sbin/runc",         "/usr/bin/runc",        "/usr/local/sbin/runc",
        "/usr/local/bin/runc",    "/usr/bin/crun",        "/usr/local/bin/crun",
        "/usr/bin/youki",         "/usr/local/bin/youki", "/usr/libexec/crio/runc",
        "/usr/libexec/crio/crun",
};

/* A container that a runtime is making. */
struct pending {
        LIST_ENTRY(pending) link;
        pid_t pids[2];  /* of the runtime: the container's first process is a child of one */
        char dir[4096]; /* ROOT/ID */
        struct oci_info info;
        bool is_crun;
        uint64_t born_ns;
        /* While its first exec is held: */
        int held_fd;
        uint32_t serial;
        uint64_t held_until_ns;
};

static void allow(struct watch *watch, int fd) {
        struct fanotify_response response = { .fd = fd, .response = FAN_ALLOW };

        if (write(watch->fanotify_fd, &response, sizeof(response)) < 0)
                log_error_errno(-errno, "cannot let a process go on");
        close(fd);
}

static void pending_free(struct watch *watch, struct pending *p) {
        if (p->held_fd >= 0)
                allow(watch, p->held_fd);
        LIST_REMOVE(p, link);
        free(p);
}

/* --- a runtime starts --- */

/* Options of runc and crun that take a value in a word of its own. */
static bool takes_value(const char *option) {
        static const char *const with_value[] = {
                "--root",           "--bundle",       "-b",           "--pid-file",
                "--console-socket", "--log",          "--criu",       "-f",
                "--rootless",       "--preserve-fds", "--log-format", "--config",
                "--cgroup-manager",
        };

        for (size_t i = 0; i < ARRAY_SIZE(with_value); i++)
                if (str_eq(option, with_value[i]))
                        return true;
        return false;
}

struct command_line {
        const char *runtime;
        const char *root;
        const char *bundle;
        const char *id;
        bool makes_container; /* run or create */
};

static void parse_command_line(char *text, size_t len, struct command_line *ret) {
        const char *command = NULL, *option = NULL;

        ret->runtime = text;

        for (char *word = text + strlen(text) + 1; word < text + len; word += strlen(word) + 1) {
                const char *value = NULL;

                if (option) {
                        value = word;
                } else if (word[0] == '-') {
                        char *equals = strchr(word, '=');

                        option = word;
                        if (equals)
                                value = equals + 1;
                        else if (takes_value(word))
                                continue;
                        if (!value) {
                                option = NULL;
                                continue;
                        }
                }
                if (option && strncmp(option, "--root", 6) == 0)
                        ret->root = value;
                else if (option && (strncmp(option, "--bundle", 8) == 0 || str_eq(option, "-b")))
                        ret->bundle = value;
                else if (!option && !command)
                        command = word;
                else if (!option && !ret->id)
                        ret->id = word;
                option = NULL;
        }
        ret->makes_container = command && (str_eq(command, "run") || str_eq(command, "create"));
}

static void find_rootfs(const struct oci_info *info, char *buf, size_t n) {
        const char *root = info->text[OCI_ROOTFS][0] ? info->text[OCI_ROOTFS] : "rootfs";

        if (root[0] == '/')
                snprintf(buf, n, "%s", root);
        else
                snprintf(buf, n, "%s/%s", info->text[OCI_BUNDLE], root);
}

/*
 * The mark stays until no gadget filters any more: the kernel (6.18) does not tell of opens on
 * other marks of a file system while one of its marks is being removed. No fd is kept, so that a
 * runtime can unmount it; the mark goes with the file system.
 */
static void mark_root(struct watch *watch, const struct pending *p) {
        char path[2 * LIMIT_CONTAINER_TEXT_MAX + 8];
        cleanup_close int fd = -1;

        find_rootfs(&p->info, path, sizeof(path));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || fanotify_mark(watch->fanotify_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
                                    FAN_OPEN_EXEC_PERM, fd, NULL) < 0)
                log_debug("cannot watch '%s': %s", path, strerror(errno));
}

static struct pending *find_pending(struct watch *watch, pid_t pid, pid_t parent) {
        struct pending *p;

        LIST_FOREACH (p, &watch->pending, link)
                for (size_t i = 0; i < ARRAY_SIZE(p->pids); i++)
                        if (p->pids[i] == pid || (parent > 1 && p->pids[i] == parent))
                                return p;
        return NULL;
}

/* runc's child is in the root file system already; paths are relative to where its parent is. */
static pid_t find_caller(pid_t pid, pid_t parent, const char *exe) {
        char parent_exe[4096];

        return proc_link(parent, "exe", parent_exe, sizeof(parent_exe)) == 0 &&
                               str_eq(parent_exe, exe)
                       ? parent
                       : pid;
}

static void fill_pending(struct watch *watch, struct pending *p, const struct command_line *line) {
        char cwd[4096], exe[4096] = "";
        const char *root = line->root;
        pid_t caller;

        (void)proc_link(p->pids[0], "exe", exe, sizeof(exe));
        caller = find_caller(p->pids[0], p->pids[1], exe);
        /* crun has no child yet, and its parent may make other containers too. */
        if (caller == p->pids[0])
                p->pids[1] = 0;
        if (proc_link(caller, "cwd", cwd, sizeof(cwd)) < 0)
                cwd[0] = '\0';
        p->is_crun = strstr(exe, "crun") || strstr(line->runtime, "crun");
        if (oci_is_text(line->id, strlen(line->id)))
                snprintf(p->info.text[OCI_ID], sizeof(p->info.text[0]), "%s", line->id);
        if (!line->bundle)
                snprintf(p->info.text[OCI_BUNDLE], sizeof(p->info.text[0]), "%.255s", cwd);
        else if (line->bundle[0] == '/')
                snprintf(p->info.text[OCI_BUNDLE], sizeof(p->info.text[0]), "%.255s", line->bundle);
        else
                snprintf(p->info.text[OCI_BUNDLE], sizeof(p->info.text[0]), "%.127s/%.127s", cwd,
                         line->bundle);
        if (!root)
                root = p->is_crun ? "/run/crun" : "/run/runc";
        if (root[0] == '/')
                snprintf(p->dir, sizeof(p->dir), "%s/%s", root, p->info.text[OCI_ID]);
        else
                snprintf(p->dir, sizeof(p->dir), "%.2000s/%.1800s/%s", cwd, root,
                         p->info.text[OCI_ID]);
        if (strrchr(p->dir, '/')) {
                cleanup_free char *parent =
                        strndup(p->dir, (size_t)(strrchr(p->dir, '/') - p->dir));

                if (parent)
                        states_add_root(watch, parent);
        }
}

/* The process is about to execute a runtime, or is one that executes itself. */
static void on_runtime(struct watch *watch, pid_t pid, bool is_retry) {
        struct command_line line = { 0 };
        char text[16384];
        struct pending *p;
        ssize_t len;
        pid_t parent;
        size_t n = 0;

        if (proc_parent(pid, &parent, NULL) < 0 || find_pending(watch, pid, parent))
                return;
        len = proc_arguments(pid, text, sizeof(text));
        if (len <= 0)
                return;
        parse_command_line(text, (size_t)len, &line);
        LIST_FOREACH (p, &watch->pending, link)
                n++;
        if (!line.makes_container || !line.id || n >= PENDING_MAX) {
                /* Its arguments are its caller's until it has executed. */
                if (!is_retry && watch->n_starting < ARRAY_SIZE(watch->starting)) {
                        watch->starting[watch->n_starting++] = pid;
                        watch_look(watch, NULL);
                }
                return;
        }
        p = calloc(1, sizeof(*p));
        if (!p)
                return;
        *p = (struct pending){ .pids = { pid, parent }, .held_fd = -1, .born_ns = now_ns() };
        LIST_INSERT_HEAD(&watch->pending, p, link);
        fill_pending(watch, p, &line);
        if (watch->holds) {
                states_read_bundle(watch, &p->info, PARSE_TIMEOUT);
                mark_root(watch, p);
        }
        watch_look(watch, NULL);
}

/* --- the first exec --- */

static int on_deadline(struct loop_timer *timer);

static void set_deadline(struct watch *watch) {
        uint64_t next = UINT64_MAX, now = now_ns();
        struct pending *p;

        LIST_FOREACH (p, &watch->pending, link)
                next = MIN(next, p->held_fd >= 0 ? p->held_until_ns : p->born_ns + PENDING_TIMEOUT);
        if (next == UINT64_MAX)
                loop_timer_clear(&watch->gate_deadline);
        else
                (void)loop_timer_set(watch->loop, &watch->gate_deadline,
                                     next > now ? next - now : 0, "gate", on_deadline);
}

static int on_deadline(struct loop_timer *timer) {
        struct watch *watch = container_of(timer, struct watch, gate_deadline);
        struct pending *p, *next;
        uint64_t now = now_ns();

        for (p = LIST_FIRST(&watch->pending); p; p = next) {
                next = LIST_NEXT(p, link);
                if (p->held_fd >= 0 ? now < p->held_until_ns : now < p->born_ns + PENDING_TIMEOUT)
                        continue;
                if (p->held_fd >= 0) {
                        watch->n_timed_out++;
                        log_warning("container '%s' was not known everywhere within %llu ms, going "
                                    "on (%llu of %llu)",
                                    p->info.text[OCI_ID],
                                    (unsigned long long)(DEADLINE / NSEC_PER_MSEC),
                                    (unsigned long long)watch->n_timed_out,
                                    (unsigned long long)watch->n_held);
                }
                pending_free(watch, p);
        }
        set_deadline(watch);
        return 0;
}

void gate_pass(struct watch *watch, uint32_t serial) {
        struct pending *p;

        LIST_FOREACH (p, &watch->pending, link)
                if (p->held_fd >= 0 && p->serial == serial) {
                        pending_free(watch, p);
                        break;
                }
        set_deadline(watch);
}

static const char *runtime_of(const struct pending *p) {
        const char *runtime = states_runtime_of(p->dir, &p->info);

        return p->is_crun && str_eq(runtime, "runc") ? "crun" : runtime;
}

/* True = held, fd is taken. */
static bool on_exec(struct watch *watch, pid_t pid, int fd) {
        struct pending *p;
        struct container *c;
        uint64_t mntns;
        pid_t parent;

        if (!watch->holds || proc_namespace(pid, "mnt", &mntns) < 0 || mntns == watch->host_mntns ||
            proc_parent(pid, &parent, NULL) < 0)
                return false;
        p = find_pending(watch, pid, parent);
        if (!p || p->held_fd >= 0)
                return false;
        c = watch_consider(watch, pid);
        if (!c || c->is_ignored) {
                pending_free(watch, p);
                return false;
        }
        if (!c->is_named)
                container_name(c, runtime_of(p), &p->info);
        watch->n_held++;
        p->held_fd = fd;
        p->serial = ++watch->serial ?: ++watch->serial;
        p->held_until_ns = now_ns() + DEADLINE;
        container_report(c, p->serial);
        return true;
}

static bool is_runtime(int fd) {
        char path[64], target[4096];
        const char *base;
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return false;
        target[n] = '\0';
        base = strrchr(target, '/');
        /* A runtime that has cloned itself executes "/", a mount of its own that has one file. */
        return base && (str_eq(base + 1, "runc") || str_eq(base + 1, "crun") || n == 1);
}

void gate_serve(struct watch *watch) {
        char buf[4096] __attribute__((aligned(__alignof__(struct fanotify_event_metadata))));
        const struct fanotify_event_metadata *event;
        ssize_t n;

        if (watch->fanotify_fd < 0 || watch->is_busy_with_gate)
                return;
        watch->is_busy_with_gate = true;
        n = read(watch->fanotify_fd, buf, sizeof(buf));
        for (event = (void *)buf; n > 0 && FAN_EVENT_OK(event, n);
             event = FAN_EVENT_NEXT(event, n)) {
                bool is_held = false;

                if (event->fd < 0)
                        continue;
                if (is_runtime(event->fd))
                        on_runtime(watch, event->pid, false);
                else
                        is_held = on_exec(watch, event->pid, event->fd);
                if (!is_held)
                        allow(watch, event->fd);
        }
        if (n > 0)
                set_deadline(watch);
        watch->is_busy_with_gate = false;
}

/* crun does not execute itself a second time, as runc does; its file system is marked now. */
void gate_look(struct watch *watch) {
        pid_t starting[ARRAY_SIZE(watch->starting)];
        size_t n = watch->n_starting;

        memcpy(starting, watch->starting, sizeof(starting));
        watch->n_starting = 0;
        for (size_t i = 0; i < n; i++)
                on_runtime(watch, starting[i], true);
}

static int on_fanotify(struct loop_io *io, uint32_t events) {
        (void)events;
        gate_serve(container_of(io, struct watch, fanotify_io));
        return 0;
}

void gate_hold(struct watch *watch, bool hold) {
        struct pending *p, *next;

        watch->holds = hold;
        if (!hold && watch->fanotify_fd >= 0)
                (void)fanotify_mark(watch->fanotify_fd, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0,
                                    AT_FDCWD, "/");
        for (p = LIST_FIRST(&watch->pending); p && !hold; p = next) {
                next = LIST_NEXT(p, link);
                pending_free(watch, p);
        }
        set_deadline(watch);
}

int gate_init(struct watch *watch) {
        size_t n = 0;

        watch->fanotify_fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
                                                   FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
                                           O_RDONLY | O_CLOEXEC);
        if (watch->fanotify_fd < 0) {
                log_warning_errno(-errno, "no fanotify permission events: a container's first "
                                          "moments may be missed by a filter");
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
                if (fanotify_mark(watch->fanotify_fd, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD,
                                  runtimes[i]) == 0)
                        n++;
        log_debug("watching %zu runtimes", n);
        return loop_io_add(watch->loop, &watch->fanotify_io, watch->fanotify_fd, EPOLLIN, "gate",
                           on_fanotify);
}

void gate_done(struct watch *watch) {
        while (!LIST_EMPTY(&watch->pending))
                pending_free(watch, LIST_FIRST(&watch->pending));
        loop_timer_clear(&watch->gate_deadline);
        loop_io_remove(&watch->fanotify_io);
        close_fd(&watch->fanotify_fd);
}
