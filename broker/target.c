/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker has to read a program to find a symbol in it; it gets nothing that is not a program or
 * library which everybody may read, and a container's list of libraries. What is in a container is
 * looked for by a child, with a deadline: its file systems may answer late, or never.
 */
#include "broker/target.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/in-root.h"

#define TARGET_PATH_MAX 255
#define LD_CACHE "/etc/ld.so.cache"
#define LOOK_MS 250

/* --- one file --- */

struct found {
        int32_t result;
        char path[TARGET_PATH_MAX + 1];
};

/* In the container's own process, or in ours for the host. */
static void look(int root_fd, uint32_t what, const char *name, struct found *found, int *ret_fd) {
        size_t room = sizeof(found->path);

        snprintf(found->path, room, "%s", name);
        if (what == BROKER_TARGET_LD_CACHE)
                found->result = in_root_open_file(root_fd, LD_CACHE, ret_fd);
        else if (name[0] == '/')
                found->result = in_root_open_elf(root_fd, name, ret_fd);
        else if (strchr(name, '/'))
                found->result = -ENOENT;
        else
                found->result = in_root_open_library(root_fd, name, found->path, room, ret_fd);
}

/* Whoever serves such a file system decides how long a read takes. */
static bool may_hang(int fd) {
        struct statfs fs;

        return fstatfs(fd, &fs) < 0 || fs.f_type == FUSE_SUPER_MAGIC;
}

union fd_control {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
};

static void child(int socket, int root_fd, uint32_t what, const char *name) {
        struct found found = { 0 };
        struct iovec iov = { .iov_base = &found, .iov_len = sizeof(found) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        union fd_control control = { .header = { .cmsg_level = SOL_SOCKET,
                                                 .cmsg_type = SCM_RIGHTS,
                                                 .cmsg_len = CMSG_LEN(sizeof(int)) } };
        int fd = -1;

        look(root_fd, what, name, &found, &fd);
        if (found.result == 0 && may_hang(fd))
                found.result = -EMEDIUMTYPE;
        if (found.result == 0) {
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control);
        }
        _exit(sendmsg(socket, &msg, MSG_NOSIGNAL) < 0);
}

static int receive_found(int socket, struct found *found, int *ret_fd) {
        union fd_control control;
        struct iovec iov = { .iov_base = found, .iov_len = sizeof(*found) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        struct pollfd pfd = { .fd = socket, .events = POLLIN };
        struct cmsghdr *c;

        if (poll(&pfd, 1, LOOK_MS) != 1)
                return -ETIMEDOUT;
        if (recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(*found))
                return -EIO;
        c = CMSG_FIRSTHDR(&msg);
        if (c && c->cmsg_type == SCM_RIGHTS)
                memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
        return found->result == 0 && *ret_fd < 0 ? -EIO : found->result;
}

static int look_in_child(int root_fd, uint32_t what, const char *name, struct found *found,
                         int *ret_fd) {
        cleanup_close int ours = -1, theirs = -1;
        int fds[2], r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        ours = fds[0];
        theirs = fds[1];
        pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child(theirs, root_fd, what, name);
        close_fd(&theirs);
        r = receive_found(ours, found, ret_fd);
        if (r == -ETIMEDOUT || r == -EIO)
                kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return r;
}

/* --- the table --- */

static uint64_t ns_of(const struct timespec *ts) {
        return (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
}

static int read_key(int fd, struct target_key *ret) {
        struct statfs fs;
        struct stat st;

        if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
                return -errno;
        *ret = (struct target_key){ .dev = st.st_dev, .ino = st.st_ino };
        if (fs.f_type == OVERLAYFS_SUPER_MAGIC)
                *ret = (struct target_key){
                        .ino = st.st_ino,
                        .size = (uint64_t)st.st_size,
                        .mtime_ns = ns_of(&st.st_mtim),
                        .ctime_ns = ns_of(&st.st_ctim),
                };
        return 0;
}

const struct target *target_find(const struct broker *b, uint32_t id) {
        for (size_t i = 0; i < b->targets.n; i++)
                if (b->targets.items[i].id == id)
                        return &b->targets.items[i];
        return NULL;
}

static struct target *find_key(const struct target_table *table, const struct target_key *key) {
        for (size_t i = 0; i < table->n; i++)
                if (memcmp(&table->items[i].key, key, sizeof(*key)) == 0)
                        return &table->items[i];
        return NULL;
}

static int add_user(struct target *t, uint64_t mntns) {
        uint64_t *grown;

        for (size_t i = 0; i < t->n_users; i++)
                if (t->users[i] == mntns)
                        return 0;
        grown = reallocarray(t->users, t->n_users + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        t->users = grown;
        grown[t->n_users++] = mntns;
        return 0;
}

static int add_target(struct target_table *table, const struct target_key *key, const char *path,
                      int fd, struct target **ret) {
        struct target *items;
        struct target t = { .key = *key, .fd = -1 };

        if (table->n >= LIMIT_PROBE_FILES_MAX)
                return -ENOSPC;
        items = reallocarray(table->items, table->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        table->items = items;
        t.path = strdup(path);
        t.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (!t.path || t.fd < 0) {
                free(t.path);
                close_fd(&t.fd);
                return -ENOMEM;
        }
        t.id = ++table->last_id;
        items[table->n] = t;
        *ret = &items[table->n++];
        return 0;
}

static int remember(struct broker *b, uint64_t mntns, const char *path, int fd, uint32_t *ret_id) {
        struct target_key key;
        struct target *t;
        int r;

        r = read_key(fd, &key);
        if (r < 0)
                return r;
        t = find_key(&b->targets, &key);
        if (!t)
                r = add_target(&b->targets, &key, path, fd, &t);
        if (r == 0)
                r = add_user(t, mntns);
        if (r == 0)
                *ret_id = t->id;
        return r;
}

static void target_done(struct target *t) {
        free(t->path);
        free(t->users);
        close_fd(&t->fd);
}

void targets_leave(struct broker *b, uint64_t mntns) {
        struct target_table *table = &b->targets;

        for (size_t i = 0; i < table->n;) {
                struct target *t = &table->items[i];

                for (size_t k = 0; k < t->n_users; k++)
                        if (t->users[k] == mntns) {
                                t->users[k] = t->users[--t->n_users];
                                break;
                        }
                if (t->n_users > 0) {
                        i++;
                        continue;
                }
                broker_detach_target(b, t->id);
                target_done(t);
                *t = table->items[--table->n];
        }
}

void targets_done(struct broker *b) {
        for (size_t i = 0; i < b->targets.n; i++)
                target_done(&b->targets.items[i]);
        free(b->targets.items);
        b->targets = (struct target_table){ 0 };
}

/* --- requests --- */

static int malformed(struct error *err, const char *what) {
        return error_set(err, ERROR_INVALID, -EPROTO, "the worker's request 'target' %s", what);
}

static int find_file(struct broker *b, const struct broker_target *want, const char *name,
                     struct found *found, int *ret_fd) {
        struct container_row *row;
        int r;

        if (want->mntns == 0 && !b->is_host_wide)
                return -EACCES;
        if (want->mntns == 0) {
                look(b->root_fd, want->what, name, found, ret_fd);
                return found->result;
        }
        row = containers_find(b, want->mntns);
        if (!row || row->root_fd < 0)
                return -ESRCH;
        r = look_in_child(row->root_fd, want->what, name, found, ret_fd);
        if (r == -ETIMEDOUT) {
                log_warning("a file system of the container in mount namespace %llu does not "
                            "answer: probes do not go there any more",
                            (unsigned long long)want->mntns);
                close_fd(&row->root_fd);
        }
        return r;
}

int on_target(struct broker *b, const struct request *request, struct reply *reply,
              struct error *err) {
        const struct broker_target *want = request->body;
        char name[TARGET_PATH_MAX + 1];
        cleanup_close int fd = -1;
        struct found found = { 0 };

        if (want->what >= _BROKER_TARGET_WHAT_MAX)
                return malformed(err, "is malformed");
        if (request->payload_len == 0 || request->payload_len > TARGET_PATH_MAX ||
            memchr(request->payload, 0, request->payload_len))
                return malformed(err, "does not name a file");
        memcpy(name, request->payload, request->payload_len);
        name[request->payload_len] = '\0';
        reply->result = find_file(b, want, name, &found, &fd);
        if (reply->result == 0 && want->what == BROKER_TARGET_ELF)
                reply->result = remember(b, want->mntns, found.path, fd, &reply->handle);
        if (reply->result < 0)
                return 0;
        buf_append(&reply->payload, found.path, strlen(found.path));
        reply->fd = TAKE_FD(fd);
        reply->is_fd_ours = true;
        return 0;
}

int on_target_next(struct broker *b, const struct request *request, struct reply *reply,
                   struct error *err) {
        const struct broker_target_next *want = request->body;
        uint64_t best = UINT64_MAX;

        (void)err;
        containers_want(b, WANT_ROOTS);
        for (size_t i = 0; i < b->containers.n; i++) {
                const struct container_row *row = &b->containers.items[i];

                if (row->root_fd < 0 || row->mntns <= want->after || row->mntns >= best)
                        continue;
                best = row->mntns;
                reply->handle = row->root;
        }
        reply->result = best == UINT64_MAX ? -ENOENT : 0;
        if (reply->result == 0)
                buf_append(&reply->payload, &best, sizeof(best));
        return 0;
}
