/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes that start, and the first exec in a new container.
 *
 * A permission mark on the runtimes' executables tells of every start, before it happens: the
 * process that is about to execute one sleeps in execve(), and what it executes can be read there
 * (pending.c). While a gadget filters by container, the file system of the new container's root is
 * marked as well: the first exec on it by a process in a mount namespace that is not known yet is
 * the container's entrypoint. It waits there until the kernel's filters have the namespace, and no
 * longer than the deadline; then it goes on, known or not. Whatever goes wrong, everything is let
 * pass, and when this process dies the kernel lets pass what it held.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/log.h"
#include "watcher/pending.h"
#include "watcher/procfs.h"

#define DEADLINE (100 * NSEC_PER_MSEC)
#define STUCK_AFTER (1 * NSEC_PER_SEC)

static const char *const usual_runtimes[] = {
        "/usr/sbin/runc",         "/usr/bin/runc",        "/usr/local/sbin/runc",
        "/usr/local/bin/runc",    "/usr/bin/crun",        "/usr/local/bin/crun",
        "/usr/bin/youki",         "/usr/local/bin/youki", "/usr/libexec/crio/runc",
        "/usr/libexec/crio/crun",
};

/* A process that waits in execve(). */
struct held {
        LIST_ENTRY(held) link;
        int fd;
        uint64_t mntns;
        uint64_t until_ns;
};

static void allow(struct watch *watch, int fd) {
        struct fanotify_response response = { .fd = fd, .response = FAN_ALLOW };

        if (write(watch->fanotify_fd, &response, sizeof(response)) < 0)
                log_error_errno(-errno, "cannot let a process go on");
        close(fd);
}

static void release(struct watch *watch, struct held *held) {
        allow(watch, held->fd);
        LIST_REMOVE(held, link);
        free(held);
}

/* --- the deadline --- */

static int on_deadline(struct loop_timer *timer);

static void set_deadline(struct watch *watch) {
        uint64_t next = pending_expire(watch), now = now_ns();
        struct held *held;

        LIST_FOREACH (held, &watch->held, link)
                next = MIN(next, held->until_ns);
        if (next == UINT64_MAX)
                loop_timer_clear(&watch->gate_deadline);
        else
                (void)loop_timer_set(watch->loop, &watch->gate_deadline,
                                     next > now ? next - now : 0, "gate", on_deadline);
}

static int on_deadline(struct loop_timer *timer) {
        struct watch *watch = container_of(timer, struct watch, gate_deadline);
        struct held *held, *next;
        uint64_t now = now_ns();

        for (held = LIST_FIRST(&watch->held); held; held = next) {
                const struct container *c = watch_find(watch, held->mntns);

                next = LIST_NEXT(held, link);
                if (now < held->until_ns)
                        continue;
                watch->n_timed_out++;
                log_warning("container '%s' was not known everywhere within %llu ms, going on "
                            "(%llu of %llu)",
                            c ? c->info.text[OCI_ID] : "",
                            (unsigned long long)(DEADLINE / NSEC_PER_MSEC),
                            (unsigned long long)watch->n_timed_out,
                            (unsigned long long)watch->n_held);
                release(watch, held);
        }
        set_deadline(watch);
        return 0;
}

/* --- the first exec --- */

static void release_all(struct watch *watch, const struct container *c) {
        struct held *held, *next;

        for (held = LIST_FIRST(&watch->held); held; held = next) {
                next = LIST_NEXT(held, link);
                if (!c || held->mntns == c->mntns)
                        release(watch, held);
        }
        set_deadline(watch);
}

void gate_pass(struct watch *watch, uint32_t serial) {
        struct container *c;

        LIST_FOREACH (c, &watch->containers, link)
                if (c->serial == serial) {
                        c->serial = 0;
                        release_all(watch, c);
                        return;
                }
}

/* The container of a process that executes something in it. */
static struct container *find_container(struct watch *watch, pid_t pid, uint64_t mntns) {
        struct container *c = watch_find_alive(watch, mntns);
        struct pending *p = pending_find(watch, pid);

        /* It may have been reported before it had its root. */
        if (!p)
                return c && c->pid == pid ? watch_consider(watch, pid) : c;
        if (c && c->is_named && !str_eq(c->info.text[OCI_ID], p->info.text[OCI_ID]))
                container_end(c); /* the id of its namespace has been given out again */
        c = watch_consider(watch, pid);
        if (c)
                container_set_first(c, pid);
        if (c && !c->is_ignored && !c->is_named)
                pending_name(p, c);
        pending_free(p);
        return c;
}

/* True = held, fd is taken. */
static bool on_exec(struct watch *watch, pid_t pid, int fd) {
        struct container *c;
        struct held *held;
        uint64_t mntns;

        if (!watch->holds || proc_namespace(pid, "mnt", &mntns) < 0 || mntns == watch->host_mntns)
                return false;
        c = find_container(watch, pid, mntns);
        if (!c || c->is_ignored || c->serial == 0)
                return false;
        held = malloc(sizeof(*held));
        if (!held)
                return false;
        *held = (struct held){ .fd = fd, .mntns = mntns, .until_ns = now_ns() + DEADLINE };
        LIST_INSERT_HEAD(&watch->held, held, link);
        watch->n_held++;
        return true;
}

/* --- events --- */

/* The name of the runtime that this is the executable of; NULL = of none. By inode, since the path
 * may lead over links or be one of another mount namespace. */
static const char *runtime_name(const struct watch *watch, int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return NULL;
        for (size_t i = 0; i < watch->n_executables; i++)
                if (watch->executables[i].inode == st.st_ino &&
                    watch->executables[i].device == st.st_dev)
                        return strrchr(watch->executables[i].path, '/') + 1;
        return NULL;
}

static void on_runtime(struct watch *watch, pid_t pid, int fd, const char *name) {
        struct pending *p = pending_on_runtime(watch, pid, name);

        allow(watch, fd);
        if (!p)
                return;
        pending_complete(watch, p);
        watch_look(watch, NULL);
}

/* SIGALRM ends it also while it sleeps in a file system that does not answer. */
static void set_alarm(uint64_t ns) {
        const struct itimerval value = {
                .it_value = { .tv_sec = (time_t)(ns / NSEC_PER_SEC) },
        };

        (void)setitimer(ITIMER_REAL, &value, NULL);
}

void gate_guard(struct watch *watch, bool begin) {
        watch->is_guarded = begin;
        set_alarm(begin ? STUCK_AFTER : 0);
}

void gate_serve(struct watch *watch) {
        char buf[4096] __attribute__((aligned(__alignof__(struct fanotify_event_metadata))));
        const struct fanotify_event_metadata *event;
        bool was_guarded;
        ssize_t n;

        if (watch->fanotify_fd < 0 || watch->is_busy_with_gate)
                return;
        was_guarded = watch->is_guarded;
        gate_guard(watch, true);
        watch->is_busy_with_gate = true;
        n = read(watch->fanotify_fd, buf, sizeof(buf));
        for (event = (void *)buf; n > 0 && FAN_EVENT_OK(event, n);
             event = FAN_EVENT_NEXT(event, n)) {
                const char *name = event->fd < 0 ? NULL : runtime_name(watch, event->fd);

                if (name)
                        on_runtime(watch, event->pid, event->fd, name);
                else if (event->fd >= 0 && !on_exec(watch, event->pid, event->fd))
                        allow(watch, event->fd);
        }
        if (n > 0)
                set_deadline(watch);
        /* Whoever takes long keeps the loop from this: that a gadget filters now, that everybody
         * knows of a container, that nobody does in time. */
        if (watch->channel)
                channel_drain(watch->channel);
        if (!LIST_EMPTY(&watch->held))
                (void)on_deadline(&watch->gate_deadline);
        watch->is_busy_with_gate = false;
        gate_guard(watch, was_guarded);
}

static int on_fanotify(struct loop_io *io, uint32_t events) {
        (void)events;
        gate_serve(container_of(io, struct watch, fanotify_io));
        return 0;
}

void gate_hold(struct watch *watch, bool hold) {
        watch->holds = hold;
        if (hold)
                return;
        if (watch->fanotify_fd >= 0)
                (void)fanotify_mark(watch->fanotify_fd, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0,
                                    AT_FDCWD, "/");
        release_all(watch, NULL);
}

void gate_add_runtime(struct watch *watch, const char *path) {
        if (path[0] == '/' && watch->n_executables < ARRAY_SIZE(watch->executables))
                watch->executables[watch->n_executables++] = (struct executable){ .path = path };
}

void gate_add_usual_runtimes(struct watch *watch) {
        for (size_t i = 0; i < ARRAY_SIZE(usual_runtimes); i++)
                gate_add_runtime(watch, usual_runtimes[i]);
}

void gate_mark_runtimes(struct watch *watch) {
        size_t n = 0;

        for (size_t i = 0; watch->fanotify_fd >= 0 && i < watch->n_executables; i++) {
                struct executable *exe = &watch->executables[i];
                struct stat st;

                exe->inode = 0;
                if (fanotify_mark(watch->fanotify_fd, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD,
                                  exe->path) < 0 ||
                    stat(exe->path, &st) < 0)
                        continue;
                exe->device = st.st_dev;
                exe->inode = st.st_ino;
                n++;
        }
        log_debug("watching %zu runtimes", n);
}

int gate_init(struct watch *watch) {
        watch->fanotify_fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
                                                   FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
                                           O_RDONLY | O_CLOEXEC);
        if (watch->fanotify_fd < 0) {
                log_warning_errno(-errno, "no fanotify permission events: a container's first "
                                          "moments may be missed by a filter");
                return 0;
        }
        gate_mark_runtimes(watch);
        return loop_io_add(watch->loop, &watch->fanotify_io, watch->fanotify_fd, EPOLLIN, "gate",
                           on_fanotify);
}

void gate_done(struct watch *watch) {
        release_all(watch, NULL);
        while (!LIST_EMPTY(&watch->pending))
                pending_free(LIST_FIRST(&watch->pending));
        loop_timer_clear(&watch->gate_deadline);
        loop_io_remove(&watch->fanotify_io);
        close_fd(&watch->fanotify_fd);
}
