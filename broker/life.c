/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From START to STOPPED. Whoever dies, nothing stays behind: a dead worker is reported and its
 * objects are closed; a dead gadgetd ends the gadget, and the broker cleans up after both; a dead
 * broker takes its worker along (PR_SET_PDEATHSIG), the kernel closes the objects, and gadgetd
 * removes the directories.
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/trim.h"
#include "broker/bpf.h"
#include "broker/broker.h"
#include "broker/kmsg.h"
#include "broker/privileges.h"

#define STOP_DEADLINE NSEC_PER_SEC /* for the worker to drain */
#define LEAVE_INTERVAL (10 * NSEC_PER_MSEC)
#define MESSAGES_PER_ROUND 64
#define LOG_TAIL_MAX 4096
#define CLOSE_HELPERS_MAX 8
#define QUEUE_MAX (4 * (size_t)LIMIT_FRAME_MAX)

static void enter_gone(struct broker *b, int status);

static void kill_worker(struct broker *b) {
        if (b->worker.pid_fd >= 0)
                syscall(SYS_pidfd_send_signal, b->worker.pid_fd, SIGKILL, NULL, 0);
}

void broker_fault(struct broker *b, const struct error *err, const char *detail) {
        struct msg_fault msg = {
                .code = error_code_name(err->code),
                .message = error_text(err),
                .detail = detail,
        };

        if (!b->is_faulted && b->state != BROKER_GONE) {
                log_debug("fault: %s", msg.message);
                channel_send(b->gadgetd, MSG_FAULT, &msg, NULL, 0);
        }
        b->is_faulted = true;
        if (b->state == BROKER_IDLE) {
                enter_gone(b, 0);
        } else if (b->state != BROKER_GONE) {
                b->state = BROKER_KILLED;
                kill_worker(b);
        }
}

/* --- objects --- */

int broker_object(struct broker *b, uint32_t handle, enum object_kind kind, struct object **ret,
                  struct error *err) {
        struct object *object = objects_find(&b->objects, handle);

        if (!object)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker named object %u where %s is due, but there is none",
                                 handle, object_kind_name(kind));
        if (object->kind != kind)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker named object %u, which is %s, where %s is due", handle,
                                 object_kind_name(object->kind), object_kind_name(kind));
        *ret = object;
        return 0;
}

int broker_object_fd(struct broker *b, uint32_t handle, enum object_kind kind, uint32_t *ret_fd,
                     struct error *err) {
        struct object *object;
        int r;

        *ret_fd = 0;
        if (handle == BROKER_HANDLE_NONE)
                return 0;
        *ret_fd = UINT32_MAX;
        if (handle == BROKER_HANDLE_BAD)
                return 0;
        r = broker_object(b, handle, kind, &object, err);
        if (r == 0)
                *ret_fd = (uint32_t)object->fd;
        return r;
}

int broker_add_object(struct broker *b, enum object_kind kind, int take_fd, struct reply *reply,
                      struct object **ret, struct error *err) {
        int r = objects_add(&b->objects, kind, take_fd, &reply->handle, ret);

        if (r < 0)
                return error_set(err, ERROR_LIMIT, r,
                                 "the gadget has %d programs, maps, links and events, which are "
                                 "the most",
                                 LIMIT_BROKER_OBJECTS_MAX);
        reply->result = 0;
        return 0;
}

/* --- requests --- */

static uint32_t current_phase(const struct broker *b) {
        switch (b->state) {
        case BROKER_LOADING:
                return PHASE_LOADING;
        case BROKER_RUNNING:
        case BROKER_STOPPING:
                return PHASE_RUNNING;
        case BROKER_IDLE:
        case BROKER_KILLED:
        case BROKER_GONE:
                break;
        }
        return 0;
}

static int update_worker_events(struct broker *b) {
        /* While an answer waits for room no further request is read: the worker has one at a time
         * anyway. */
        return loop_io_modify(&b->worker_io, sender_is_busy(&b->sender) ? EPOLLOUT : EPOLLIN);
}

static void answer(struct broker *b, const struct request *request, struct reply *reply) {
        struct broker_reply body = { .result = reply->result, .handle = reply->handle };
        int r;

        r = sender_put(&b->sender, b->worker.channel_fd, request->type | BROKER_REPLY, request->seq,
                       BYTES(&body, sizeof(body)), BYTES(reply->payload.data, reply->payload.len),
                       &reply->fd, reply->fd >= 0 ? 1 : 0);
        /* EPIPE: its end is about to be seen. */
        if (r < 0 && r != -EPIPE && r != -ECONNRESET) {
                struct error err;

                error_set(&err, ERROR_INTERNAL, r, "cannot answer the worker: %s",
                          strerrordesc_np(-r));
                broker_fault(b, &err, NULL);
        }
}

static void dispatch(struct broker *b, const struct request *request) {
        const struct request_info *info = &request_table[request->type];
        struct reply reply = { .fd = -1,
                               .payload = BUF_INIT(2 * (size_t)LIMIT_BROKER_PAYLOAD_MAX) };
        struct error err = { 0 };
        int r;

        r = info->handler(b, request, &reply, &err);
        if (r < 0)
                broker_fault(b, &err, NULL);
        else if (!info->has_no_reply)
                answer(b, request, &reply);
        if (reply.is_fd_ours)
                close_fd(&reply.fd);
        buf_done(&reply.payload);
}

/* A worker has nothing to hand over: any fd that comes is closed and held against it. */
static bool has_fds(struct msghdr *msg) {
        bool found = (msg->msg_flags & MSG_CTRUNC) != 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
                        int fd;

                        memcpy(&fd, (uint8_t *)c + at, sizeof(fd));
                        close(fd);
                }
                found = true;
        }
        return found;
}

/* 1 = handled one datagram, 0 = nothing there, negative = no more will come. */
static int receive(struct broker *b) {
        static uint8_t datagram[sizeof(struct broker_frame) + BROKER_CHUNK_MAX + 1]
                __attribute__((aligned(16)));
        char control[CMSG_SPACE(4 * sizeof(int))];
        struct iovec iov = { .iov_base = datagram, .iov_len = sizeof(datagram) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof(control) };
        struct request request;
        struct error err = { 0 };
        ssize_t n;
        int r;

        n = recvmsg(b->worker.channel_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -EPIPE;
        if (has_fds(&msg))
                r = error_set(&err, ERROR_INVALID, -EPROTO,
                              "the worker tried to pass file descriptors to its broker");
        else if (current_phase(b) == 0)
                return 1;
        else
                r = assemble(&b->assembler, current_phase(b), datagram, (size_t)n, &request, &err);
        if (r > 0)
                dispatch(b, &request);
        else if (r < 0)
                broker_fault(b, &err, NULL);
        return 1;
}

static int on_worker_message(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, worker_io);

        if (sender_is_busy(&b->sender) && sender_flush(&b->sender, b->worker.channel_fd) < 0) {
                loop_io_remove(io);
                return 0;
        }
        for (int i = 0; i < MESSAGES_PER_ROUND && !sender_is_busy(&b->sender); i++) {
                int r = receive(b);

                if (r == 0)
                        break;
                if (r < 0) {
                        /* Its exit follows, and says why. */
                        loop_io_remove(io);
                        return 0;
                }
        }
        return update_worker_events(b);
}

/* --- the worker's log --- */

static void keep_tail(struct broker *b, struct bytes record) {
        size_t n = MIN(record.len - 1, (size_t)LOG_TAIL_MAX / 4);

        if (b->log_tail.len + n + 1 > LOG_TAIL_MAX)
                buf_consume(&b->log_tail, b->log_tail.len + n + 1 - LOG_TAIL_MAX);
        buf_append(&b->log_tail, record.data + 1, n);
        buf_append(&b->log_tail, "\n", 1);
}

static int read_log(struct broker *b) {
        uint8_t record[LIMIT_LOG_TEXT_MAX + 1];
        ssize_t n = recv(b->worker.log_fd, record, sizeof(record), MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
                return -EPIPE;
        if (n > 1) {
                keep_tail(b, BYTES(record, (size_t)n));
                log_relay("worker", BYTES(record, (size_t)n));
        }
        return 1;
}

static int on_worker_log(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, log_io);
        int r = 1;

        for (int i = 0; i < MESSAGES_PER_ROUND && r > 0; i++)
                r = read_log(b);
        if (r < 0)
                loop_io_remove(io);
        return 0;
}

/* --- the end --- */

/* Runs in a child that shares our table of fds. */
static void close_share(int *fds, size_t n, size_t first, size_t step) {
        for (size_t i = first; i < n; i += step)
                close(fds[i]);
}

/* The kernel waits for a grace period (30 ms) at each link that goes. Helpers that share the table
 * of fds wait side by side. */
static void close_all(int *fds, size_t n) {
        pid_t helpers[CLOSE_HELPERS_MAX];
        size_t n_helpers = 0, step = MIN(n, (size_t)CLOSE_HELPERS_MAX + 1);

        for (size_t i = 1; i < step; i++) {
                pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

                if (pid == 0) {
                        close_share(fds, n, i, step);
                        _exit(0);
                }
                if (pid < 0)
                        close_share(fds, n, i, step);
                else
                        helpers[n_helpers++] = pid;
        }
        if (n > 0)
                close_share(fds, n, 0, step);
        for (size_t i = 0; i < n_helpers; i++)
                while (waitpid(helpers[i], NULL, 0) < 0 && errno == EINTR)
                        ;
}

/* Nothing runs any more, and nothing that ran is still writing. The maps stay while the worker
 * drains. */
static void detach(struct broker *b) {
        int fds[LIMIT_BROKER_OBJECTS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < b->objects.n; i++) {
                struct object *object = &b->objects.table[i];

                /* The entry stays: the worker still has a number for it, and closes that in its
                 * time. */
                if (object->fd >= 0 &&
                    (object->kind == OBJECT_LINK || (object->kind == OBJECT_PERF && object->hook)))
                        fds[n++] = TAKE_FD(object->fd);
        }
        if (n == 0)
                return;
        close_all(fds, n);
        /* A program that was running when its link went may still write an event: after a grace
         * period none runs. */
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

/* Everything that a gadget owns in the kernel, but for perf events without a program: they cost a
 * grace period each, and go with us. */
static void release(struct broker *b) {
        detach(b);
        for (size_t i = 0; i < b->objects.n; i++)
                if (b->objects.table[i].kind == OBJECT_PERF)
                        b->objects.table[i].fd = -1;
        objects_done(&b->objects);
}

/* Exits once gadgetd has taken everything: the fault and STOPPED must not be lost with us. */
static int leave(struct loop_timer *timer) {
        struct broker *b = container_of(timer, struct broker, deadline);

        if (b->is_orphaned || channel_queued(b->gadgetd) == 0)
                loop_exit(b->loop, 0);
        else
                loop_timer_set(b->loop, &b->deadline, LEAVE_INTERVAL, "last message", leave);
        return 0;
}

/* The worker is gone (or never was): nothing of the gadget is left in the kernel when STOPPED goes
 * out. */
static void enter_gone(struct broker *b, int status) {
        struct msg_stopped msg = { .worker_status = (uint32_t)status, .is_clean = b->is_done };

        loop_timer_clear(&b->deadline);
        loop_io_remove(&b->worker_io);
        loop_io_remove(&b->log_io);
        loop_io_remove(&b->exit_io);
        release(b);
        b->state = BROKER_GONE;
        if (b->dir_fd >= 0)
                unlinkat(b->dir_fd, "broker.sock", 0);
        channel_send(b->gadgetd, MSG_STOPPED, &msg, NULL, 0);
        leave(&b->deadline);
}

static void report_death(struct broker *b, int status) {
        struct error err = { 0 };
        char cause[64];

        if (worker_setup_error(&b->worker, &err)) {
                broker_fault(b, &err, NULL);
                return;
        }
        proc_status_text(status, cause, sizeof(cause));
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
                kmsg_explain(b->kmsg_fd, b->worker.pid, &err);
        else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
                 cgroups_oom_kills(&b->cgroups) > 0)
                error_set(&err, ERROR_LIMIT, -ENOMEM,
                          "the gadget's worker was %s: it reached its memory limit", cause);
        else
                error_set(&err, ERROR_INTERNAL, -EIO, "the gadget's worker %s%s",
                          WIFSIGNALED(status) ? "was " : "", cause);
        buf_append(&b->log_tail, "", 1);
        broker_fault(b, &err,
                     b->log_tail.len > 1 && !b->log_tail.failed ? (const char *)b->log_tail.data
                                                                : NULL);
}

static int on_worker_exit(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, exit_io);
        int status = 0;

        /* What it said before it died comes first, or the reason that it gave is lost. */
        while (receive(b) > 0)
                ;
        while (read_log(b) > 0)
                ;
        while (waitpid(b->worker.pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (!b->is_faulted && !b->is_done && !b->is_stopping)
                report_death(b, status);
        enter_gone(b, status);
        return 0;
}

static int on_stop_deadline(struct loop_timer *timer) {
        struct broker *b = container_of(timer, struct broker, deadline);

        log_warning("the worker has not drained in time, ending it");
        b->state = BROKER_KILLED;
        kill_worker(b);
        return 0;
}

static void stop(struct broker *b, bool kill) {
        b->is_stopping = true;
        switch (b->state) {
        case BROKER_IDLE:
                enter_gone(b, 0);
                return;
        case BROKER_RUNNING:
                if (kill)
                        break;
                b->state = BROKER_STOPPING;
                detach(b);
                /* A worker that cannot be told dies at the deadline all the same. */
                (void)sender_put(&b->sender, b->worker.channel_fd, BROKER_STOP, 0, BYTES(NULL, 0),
                                 BYTES(NULL, 0), NULL, 0);
                (void)update_worker_events(b);
                loop_timer_set(b->loop, &b->deadline, STOP_DEADLINE, "drain", on_stop_deadline);
                return;
        case BROKER_STOPPING:
                if (!kill)
                        return;
                break;
        case BROKER_LOADING:
                /* Nothing to drain: no row was promised yet. */
                break;
        case BROKER_KILLED:
        case BROKER_GONE:
                return;
        }
        b->state = BROKER_KILLED;
        kill_worker(b);
}

void broker_is_ready(struct broker *b) {
        b->state = BROKER_RUNNING;
        trim_memory();
        /* With nothing attached this is all that was asked for; the worker's exit is no news. */
        if (b->inspect)
                b->is_done = true;
}

/* --- the start --- */

static uint32_t possible_cpus(void) {
        cleanup_close int fd = open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);
        char text[256];
        const char *last;
        uint32_t n;
        ssize_t len;

        len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (len > 0) {
                text[len] = '\0';
                text[strcspn(text, "\n")] = '\0';
                last = text + strlen(text);
                while (last > text && last[-1] != '-' && last[-1] != ',')
                        last--;
                if (parse_u32(last, 0, 65535, &n) == 0)
                        return n + 1;
        }
        return (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
}

/* A mount of ours that is attached nowhere: nobody sees it, and it goes with the last fd. The
 * host's may be unmounted. */
static int mount_tracefs(void) {
        cleanup_close int fs_fd = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
        int64_t fd;

        if (fs_fd < 0 || syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        fd = syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC,
                     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        return fd < 0 ? -errno : (int)fd;
}

static void open_host(struct broker *b) {
        int r = mount_tracefs();

        if (r < 0)
                log_debug("no tracefs: %s", strerrordesc_np(-r));
        b->tracefs_fd = MAX(r, -1);
        b->pmu_fd = open("/sys/bus/event_source/devices", O_PATH | O_DIRECTORY | O_CLOEXEC);
        b->kmsg_fd = kmsg_open();
}

/* Sends one line that says who this is; a later gadgetd finds its gadgets by it. */
static int on_connect(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, listen_io);
        cleanup_close int fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        char line[128];
        int n;

        if (fd < 0)
                return 0;
        n = snprintf(line, sizeof(line), "gadget-broker 1 %s\n", b->id);
        /* Whoever does not take it does not need it. */
        if (send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                log_debug("broker.sock: a caller did not wait for the answer");
        return 0;
}

static int listen_at(struct broker *b) {
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "broker.sock" };

        b->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* By the directory, not by its path: that may be too long for an address. */
        if (b->listen_fd < 0 || fchdir(b->dir_fd) < 0)
                return -errno;
        if (bind(b->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            chmod("broker.sock", 0600) < 0 || listen(b->listen_fd, 4) < 0 || chdir("/") < 0)
                return -errno;
        return loop_io_add(b->loop, &b->listen_io, b->listen_fd, EPOLLIN, "broker.sock",
                           on_connect);
}

static int send_to_worker(struct broker *b, enum broker_type type, struct bytes body,
                          struct bytes payload, const int *fds, size_t n_fds, struct error *err) {
        int r = sender_put(&b->sender, b->worker.channel_fd, type, 0, body, payload, fds, n_fds);

        if (r < 0 && r != -EPIPE && r != -ECONNRESET)
                return error_set(err, ERROR_INTERNAL, r,
                                 "cannot send the worker its start message");
        (void)update_worker_events(b);
        return 0;
}

/* Sent at once: what the kernel says about itself may be read before any limit is in force. */
static int greet_worker(struct broker *b, const char *btf_path, struct error *err) {
        cleanup_close int btf_fd = open(btf_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        struct broker_hello hello = { .n_cpus = b->n_cpus, .has_btf = btf_fd >= 0 };

        return send_to_worker(b, BROKER_HELLO, BYTES(&hello, sizeof(hello)), BYTES(NULL, 0),
                              &btf_fd, btf_fd >= 0 ? 1 : 0, err);
}

/* The limits are in force: now the worker may see the gadget. */
static int on_joined(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, join_io);
        struct error err = { 0 };
        siginfo_t info = { 0 };
        int pidfd = io->fd, r;

        loop_io_remove(io);
        r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 ? -errno : -info.si_status;
        close(pidfd);
        if (r < 0)
                r = error_set(&err, ERROR_UNAVAILABLE, r,
                              "cannot put the gadget's processes into their cgroups: %s",
                              strerrordesc_np(-r) ?: "unknown error");
        else
                r = send_to_worker(b, BROKER_START, BYTES(NULL, 0),
                                   BYTES(b->start.data, b->start.len), b->start_fds,
                                   ARRAY_SIZE(b->start_fds), &err);
        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                close_fd(&b->start_fds[i]);
        buf_done(&b->start);
        if (r < 0)
                broker_fault(b, &err, NULL);
        return 0;
}

static int start_worker(struct broker *b, const struct msg_start *msg, int exe_fd,
                        struct error *err) {
        struct worker_spec spec = { .exe_fd = exe_fd, .uid = msg->worker_uid };
        int pid_fd, r;
        pid_t pid;

        r = worker_start(&spec, &b->worker, err);
        if (r < 0)
                return r;
        b->state = BROKER_LOADING;
        if (loop_io_add(b->loop, &b->worker_io, b->worker.channel_fd, EPOLLIN, "worker",
                        on_worker_message) < 0 ||
            loop_io_add(b->loop, &b->exit_io, b->worker.pid_fd, EPOLLIN, "worker exit",
                        on_worker_exit) < 0 ||
            loop_io_add(b->loop, &b->log_io, b->worker.log_fd, EPOLLIN, "worker log",
                        on_worker_log) < 0)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "cannot watch the worker");
        r = cgroups_join(&b->cgroups, getpid(), b->worker.pid, &pid, &pid_fd);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot fork to join the cgroups");
        r = loop_io_add(b->loop, &b->join_io, pid_fd, EPOLLIN, "cgroups", on_joined);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot watch the joining of the cgroups");
        return greet_worker(b, msg->kernel_btf ?: "/sys/kernel/btf/vmlinux", err);
}

static int keep_start(struct broker *b, const struct msg_start *msg, struct received *received,
                      struct error *err) {
        struct broker_start start = {
                .image_len = (uint32_t)strlen(msg->image ?: ""),
                .inspect = msg->inspect,
                .is_host_wide = msg->is_host_wide,
        };
        int r;

        snprintf(b->id, sizeof(b->id), "%s", msg->id);
        b->inspect = msg->inspect;
        b->allow_unsafe = msg->allow_unsafe;
        b->n_cpus = possible_cpus();
        log_context("%.12s", b->id);
        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                b->start_fds[i] = TAKE_FD(received->fds[START_FD_OBJECT + i]);
        b->dir_fd = TAKE_FD(received->fds[START_FD_DIR]);
        b->parent_fd = openat(b->dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        buf_append(&b->start, &start, sizeof(start));
        buf_append(&b->start, msg->image ?: "", start.image_len);
        buf_append(&b->start, msg->params.data, msg->params.len);
        if (b->start.failed)
                return error_set(err, ERROR_LIMIT, -ENOMEM, "the parameters are too large");
        r = cgroups_init(&b->cgroups, received->fds + START_FD_CGROUP,
                         received->n_fds - START_FD_CGROUP);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "cannot use the gadget's cgroups") : 0;
}

static int on_start(struct broker *b, struct received *received) {
        const struct msg_start *msg = &received->msg->start;
        struct error err = { 0 };
        int r;

        r = keep_start(b, msg, received, &err);
        if (r == 0)
                r = start_worker(b, msg, received->fds[START_FD_WORKER], &err);
        if (r == 0) {
                channel_send(b->gadgetd, MSG_STARTED,
                             &(struct msg_started){ .worker_pid = (uint32_t)b->worker.pid }, NULL,
                             0);
                open_host(b);
                r = listen_at(b);
                if (r < 0)
                        error_set(&err, ERROR_INTERNAL, r, "cannot listen at broker.sock: %s",
                                  strerrordesc_np(-r));
        }
        /* From here on the broker is what it stays; no request has been read yet. */
        if (r == 0)
                r = privileges_drop(&err);
        if (r < 0)
                broker_fault(b, &err, NULL);
        return 0;
}

/* --- gadgetd --- */

static bool permit(void *owner, enum message_type type) {
        struct broker *b = owner;

        return type == MSG_START ? b->state == BROKER_IDLE : type == MSG_STOP;
}

static int on_message(void *owner, struct received *received) {
        struct broker *b = owner;

        if (received->type == MSG_START)
                return on_start(b, received);
        stop(b, received->msg->stop.kill);
        return 0;
}

/* Without gadgetd nobody wants the rows, and nobody else would clean up. */
static void on_closed(void *owner, int r, const struct error *err) {
        struct broker *b = owner;

        b->is_orphaned = true;
        if (b->state == BROKER_GONE)
                loop_exit(b->loop, 0);
        else
                stop(b, true);
}

static void remove_instance(struct broker *b) {
        cgroups_remove(&b->cgroups);
        if (b->parent_fd >= 0 && unlinkat(b->parent_fd, b->id, AT_REMOVEDIR) < 0)
                log_debug("the instance's directory stays");
}

int broker_new(int channel_fd, struct broker **ret) {
        static const struct channel_ops ops = { permit, on_message, on_closed };
        cleanup(broker_freep) struct broker *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->tracefs_fd = b->pmu_fd = b->kmsg_fd = b->dir_fd = b->parent_fd = b->listen_fd = -1;
        b->worker = (struct worker){ 0, -1, -1, -1, -1 };
        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                b->start_fds[i] = -1;
        b->start = BUF_INIT(LIMIT_FRAME_MAX);
        b->log_tail = BUF_INIT(LOG_TAIL_MAX + 1);
        r = loop_new(&b->loop);
        if (r == 0)
                r = channel_new(b->loop, channel_fd, "gadgetd", &ops, b, QUEUE_MAX, &b->gadgetd);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

struct broker *broker_free(struct broker *b) {
        if (!b)
                return NULL;
        kill_worker(b);
        if (b->is_orphaned)
                remove_instance(b);
        loop_io_remove(&b->listen_io);
        loop_io_remove(&b->worker_io);
        loop_io_remove(&b->exit_io);
        loop_io_remove(&b->log_io);
        loop_timer_clear(&b->deadline);
        channel_free(b->gadgetd);
        loop_free(b->loop);
        objects_done(&b->objects);
        cgroups_done(&b->cgroups);
        worker_done(&b->worker);
        assembler_done(&b->assembler);
        sender_done(&b->sender);
        buf_done(&b->start);
        buf_done(&b->log_tail);
        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                close_fd(&b->start_fds[i]);
        close_fd(&b->tracefs_fd);
        close_fd(&b->pmu_fd);
        close_fd(&b->kmsg_fd);
        close_fd(&b->dir_fd);
        close_fd(&b->parent_fd);
        close_fd(&b->listen_fd);
        for (size_t i = 0; i < b->n_declared_hooks; i++)
                free(b->declared_hooks[i]);
        free(b->declared_hooks);
        free(b->tracepoints);
        free(b);
        return NULL;
}
