/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "supervisor/instance-names.h"
#include "supervisor/supervisor.h"

#define REMAINS_DEADLINE (3 * NSEC_PER_SEC)
#define PRIVATE_PREFIX "private-"

static int connect_to(int instance_fd, int type) {
        cleanup_close int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (fd < 0)
                return -errno;
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/broker.sock",
                 instance_fd);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* Whoever listens on the instance's socket is its broker, and the kernel says which process that
 * is. */
static void kill_listener(int instance_fd) {
        cleanup_close int fd = -1, pidfd = -1;
        struct ucred cred;
        socklen_t size = sizeof(cred);

        fd = connect_to(instance_fd, SOCK_SEQPACKET);
        if (fd == -EPROTOTYPE)
                fd = connect_to(instance_fd, SOCK_STREAM);
        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 || cred.pid <= 0)
                return;
        pidfd = pidfd_open(cred.pid, 0);
        if (pidfd >= 0)
                (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

static void sweep_instance(struct supervisor *sup, int instances_fd, const char *id) {
        uint64_t deadline = now_ns() + REMAINS_DEADLINE;
        cleanup_close int instance_fd = -1;
        struct cgroup cgroup;
        int r;

        log_info("instance %.12s: removing what is left of it", id);
        instance_fd = openat(instances_fd, id, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (instance_fd >= 0)
                kill_listener(instance_fd);
        cgroup_adopt(&sup->cgroups, id, &cgroup);
        for (;;) {
                cgroup_kill(&cgroup);
                r = cgroup_remove(&cgroup);
                if (r != -EBUSY || now_ns() > deadline)
                        break;
                /* Start-up is the one time when gadgetd may wait: nobody is served yet. */
                nanosleep(&(struct timespec){ .tv_nsec = (long)NSEC_PER_MSEC }, NULL);
        }
        cgroup_done(&cgroup);
        if (r < 0)
                log_warning_errno(r, "instance %.12s: cannot remove its cgroup, leaving it", id);
        r = remove_tree(instances_fd, id);
        if (r < 0)
                log_warning_errno(r, "instance %.12s: cannot remove its directory, leaving it", id);
}

typedef void (*entry_func)(struct supervisor *sup, int dir_fd, const char *name);

static void for_each_entry(struct supervisor *sup, int dir_fd, entry_func func) {
        int fd = openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;

        if (!dir) {
                close_fd(&fd);
                return;
        }
        while ((entry = readdir(dir)))
                func(sup, dir_fd, entry->d_name);
        closedir(dir);
}

static void on_instance_entry(struct supervisor *sup, int dir_fd, const char *name) {
        if (instance_id_is_valid(name))
                sweep_instance(sup, dir_fd, name);
}

/* "private-PID-N" of a process that is no more. The pid alone may have a new owner, hence the lock.
 */
static void on_private_entry(struct supervisor *sup, int dir_fd, const char *name) {
        const char *text = str_after(name, PRIVATE_PREFIX);
        cleanup_close int fd = -1, lock_fd = -1, instances_fd = -1;
        char pid_text[16];
        uint32_t pid;
        pid_t holder;

        if (!text || (sup->paths.private_name && str_eq(name, sup->paths.private_name)))
                return;
        snprintf(pid_text, sizeof(pid_text), "%.*s", (int)strcspn(text, "-"), text);
        if (parse_u32(pid_text, 1, INT32_MAX, &pid) < 0 || kill((pid_t)pid, 0) == 0)
                return;
        fd = openat(dir_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        lock_fd = fd < 0 ? -1 : paths_lock(fd, &holder);
        if (lock_fd < 0)
                return;
        instances_fd = openat(fd, "instances", O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (instances_fd >= 0)
                for_each_entry(sup, instances_fd, on_instance_entry);
        if (remove_tree(dir_fd, name) < 0)
                log_warning("cannot remove '%s' of a killed private gadgetd, leaving it", name);
}

void sweep_own(struct supervisor *sup) {
        for_each_entry(sup, sup->paths.instances_fd, on_instance_entry);
}

void sweep(struct supervisor *sup) {
        if (!sup->options.is_private)
                sweep_own(sup);
        for_each_entry(sup, sup->paths.top_fd, on_private_entry);
}
