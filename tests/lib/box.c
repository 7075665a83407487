/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/box.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/wait.h"

#define ARG_MAX_BYTES 4096

struct box {
        pid_t pid;
        int fd; /* requests go out, replies come in */
        int cgroup_fd;
        char cgroup[128];
};

struct request {
        int (*func)(const void *arg);
        char arg[ARG_MAX_BYTES];
};

struct reply {
        int result;
};

/* The caller learns the grandchild's pid, translated by the kernel, from the credentials of this
 * first datagram. */
static void run_call(int fd, const struct request *request) {
        struct reply reply = { 0 };

        if (send(fd, &reply, sizeof(reply), 0) < 0)
                _exit(1);
        reply.result = request->func(request->arg);
        if (send(fd, &reply, sizeof(reply), 0) < 0)
                _exit(1);
        _exit(0);
}

static void box_main(int fd) {
        struct request request;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                _exit(1);
        while (recv(fd, &request, sizeof(request), 0) > 0) {
                pid_t pid = fork();

                if (pid == 0)
                        run_call(fd, &request);
                if (pid < 0)
                        _exit(1);
                waitpid(pid, NULL, 0);
        }
        _exit(0);
}

/* A directory of cgroup2, hybrid layout or not; -1 when this machine has none. */
static int make_cgroup(struct box *box) {
        const char *const roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
        char file[64];

        for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
                snprintf(file, sizeof(file), "%s/cgroup.controllers", roots[i]);
                if (access(file, F_OK) < 0)
                        continue;
                snprintf(box->cgroup, sizeof(box->cgroup), "%s/gadget-box-%d-%llx", roots[i],
                         getpid(), (unsigned long long)now_ns());
                if (mkdir(box->cgroup, 0755) < 0)
                        break;
                return open(box->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        box->cgroup[0] = '\0';
        return -1;
}

int box_new(struct box **ret) {
        cleanup(box_freep) struct box *box = calloc(1, sizeof(*box));
        struct clone_args args = {
                .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
                .exit_signal = SIGCHLD,
        };
        const int on = 1;
        int fds[2];

        if (!box)
                return -ENOMEM;
        box->fd = -1;
        box->cgroup_fd = make_cgroup(box);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        box->fd = fds[0];
        if (setsockopt(box->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
                close(fds[1]);
                return -errno;
        }
        if (box->cgroup_fd >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)box->cgroup_fd;
        }
        box->pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
        if (box->pid == 0) {
                close(fds[0]);
                box_main(fds[1]);
        }
        close(fds[1]);
        if (box->pid < 0)
                return -errno;
        *ret = TAKE_PTR(box);
        return 0;
}

struct box *box_free(struct box *box) {
        if (!box)
                return NULL;
        if (box->pid > 0) {
                kill(box->pid, SIGKILL);
                waitpid(box->pid, NULL, 0);
        }
        close_fd(&box->fd);
        close_fd(&box->cgroup_fd);
        if (box->cgroup[0])
                (void)WAIT_UNTIL(rmdir(box->cgroup) == 0 || errno == ENOENT, WAIT_DEFAULT);
        free(box);
        return NULL;
}

pid_t box_pid(const struct box *box) {
        return box->pid;
}

uint64_t box_namespace(const struct box *box, const char *which) {
        struct stat st;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/%s", box->pid, which);
        return stat(path, &st) == 0 ? st.st_ino : 0;
}

static int receive(struct box *box, struct reply *reply, pid_t *ret_pid) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct iovec iov = { reply, sizeof(*reply) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        struct cmsghdr *cmsg;
        struct ucred cred;
        int r;

        r = wait_readable(box->fd, WAIT_DEFAULT);
        if (r < 0)
                return r;
        if (recvmsg(box->fd, &msg, MSG_CMSG_CLOEXEC) != sizeof(*reply))
                return -EPIPE;
        cmsg = CMSG_FIRSTHDR(&msg);
        if (ret_pid && cmsg && cmsg->cmsg_type == SCM_CREDENTIALS) {
                memcpy(&cred, CMSG_DATA(cmsg), sizeof(cred));
                *ret_pid = cred.pid;
        }
        return 0;
}

int box_call(struct box *box, int (*func)(const void *arg), const void *arg, size_t n,
             pid_t *ret_pid) {
        struct request request = { .func = func };
        struct reply reply;
        int r;

        if (n > sizeof(request.arg))
                return -E2BIG;
        memcpy(request.arg, arg, n);
        if (send(box->fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
                return -errno;
        r = receive(box, &reply, ret_pid);
        if (r < 0)
                return r;
        r = receive(box, &reply, NULL);
        return r < 0 ? r : reply.result;
}
