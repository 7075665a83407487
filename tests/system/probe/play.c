/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/system/probe/play.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "gadget/api.h"

/* Not what gadgetd gives an instance (supervisor/), but enough to show that the limits hold. */
#define WORKER_MEMORY "134217728"
#define WORKER_PIDS "4"
#define UID (WORKER_UID_BASE + 4000)

static void keep_text(char *out, size_t n, const char *text) {
        snprintf(out, n, "%s", text ?: "");
}

static bool permit(void *owner, enum message_type type) {
        return type >= MSG_STARTED && type <= MSG_STOPPED;
}

static int on_message(void *owner, struct received *received) {
        struct play *play = owner;
        const union message *msg = received->msg;

        switch ((int)received->type) {
        case MSG_PREPARED: /* START is on its way already */
                break;
        case MSG_STARTED:
                play->worker_pid = (pid_t)msg->started.worker_pid;
                play->started_ns = now_ns();
                play->is_started = true;
                break;
        case MSG_READY:
                buf_append(&play->schema, msg->ready.schema.data, msg->ready.schema.len);
                buf_append(&play->permissions, msg->ready.permissions.data,
                           msg->ready.permissions.len);
                play->ready_ns = now_ns();
                play->is_ready = true;
                break;
        case MSG_FAULT:
                keep_text(play->fault_code, sizeof(play->fault_code), msg->fault.code);
                keep_text(play->fault, sizeof(play->fault), msg->fault.message);
                free(play->fault_detail);
                play->fault_detail = msg->fault.detail ? strdup(msg->fault.detail) : NULL;
                play->is_faulted = true;
                break;
        case MSG_STOPPED:
                play->stopped = msg->stopped;
                play->is_stopped = true;
                break;
        default:
                return -EPROTO;
        }
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct play *play = owner;

        play->is_closed = true;
}

static int on_log(struct loop_io *io, uint32_t events) {
        struct play *play = container_of(io, struct play, log_io);
        char record[LIMIT_LOG_TEXT_MAX + 1];
        ssize_t n;

        while ((n = recv(play->log_fd, record, sizeof(record), MSG_DONTWAIT)) > 0) {
                buf_append(&play->log, record + 1, (size_t)n - 1);
                buf_append(&play->log, "\n", 1);
        }
        if (n == 0)
                loop_io_remove(io);
        return 0;
}

static int write_text(const char *dir, const char *name, const char *text) {
        cleanup_close int fd = -1;
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

static int add_cgroup(struct play *play, const char *mount, const char *limit, const char *value) {
        char *dir = play->cgroups[play->n_cgroups], path[160];

        /* Below a directory of ours: the hierarchy's own root can only be changed with
         * CAP_DAC_OVERRIDE, which a broker lacks. */
        snprintf(dir, sizeof(play->cgroups[0]), "%s/play-%d", mount, getpid());
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
                return -errno;
        snprintf(dir, sizeof(play->cgroups[0]), "%s/play-%d/%.8s", mount, getpid(), play->id);
        if (mkdir(dir, 0755) < 0)
                return -errno;
        play->n_cgroups++;
        snprintf(path, sizeof(path), "%s/broker", dir);
        if (mkdir(path, 0755) < 0)
                return -errno;
        snprintf(path, sizeof(path), "%s/worker", dir);
        if (mkdir(path, 0755) < 0)
                return -errno;
        return write_text(path, limit, value);
}

/* v1 memory and pids where the host has them, else v2. */
static int make_cgroups(struct play *play) {
        char path[160];
        int r;

        r = add_cgroup(play, "/sys/fs/cgroup/memory", "memory.limit_in_bytes", WORKER_MEMORY);
        if (r == 0)
                r = add_cgroup(play, "/sys/fs/cgroup/pids", "pids.max", WORKER_PIDS);
        if (r != -ENOENT)
                return r;
        (void)write_text("/sys/fs/cgroup", "cgroup.subtree_control", "+memory +pids");
        snprintf(path, sizeof(path), "/sys/fs/cgroup/play-%d", getpid());
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return -errno;
        r = write_text(path, "cgroup.subtree_control", "+memory +pids");
        if (r == 0)
                r = add_cgroup(play, "/sys/fs/cgroup", "memory.max", WORKER_MEMORY);
        if (r == 0)
                r = write_text(play->cgroups[play->n_cgroups - 1], "cgroup.subtree_control",
                               "+memory +pids");
        if (r == 0) {
                snprintf(path, sizeof(path), "%s/worker", play->cgroups[play->n_cgroups - 1]);
                r = write_text(path, "pids.max", WORKER_PIDS);
        }
        return r;
}

static int make_dir(struct play *play) {
        static unsigned int n;
        char path[160];

        snprintf(play->id, sizeof(play->id), "%08x%056x", ++n, (unsigned int)getpid());
        snprintf(play->dir, sizeof(play->dir), "/tmp/play-XXXXXX");
        if (!mkdtemp(play->dir))
                return -errno;
        snprintf(path, sizeof(path), "%s/%s", play->dir, play->id);
        return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int send_prepare(struct play *play, const struct play_options *o) {
        struct msg_prepare msg = {
                .id = play->id,
                .worker_uid = UID,
                .kernel_btf = o->kernel_btf,
        };
        cleanup_close int worker_fd = open(o->worker, O_RDONLY | O_CLOEXEC);
        cleanup_close int dir_fd = -1, cgroup_a = -1, cgroup_b = -1;
        char path[160];
        int fds[PREPARE_FDS_MAX];
        size_t n = PREPARE_FDS_MIN;

        snprintf(path, sizeof(path), "%s/%s", play->dir, play->id);
        dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (worker_fd < 0 || dir_fd < 0)
                return -ENOENT;
        fds[PREPARE_FD_WORKER] = worker_fd;
        fds[PREPARE_FD_DIR] = dir_fd;
        cgroup_a = open(play->cgroups[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fds[n++] = cgroup_a;
        if (play->n_cgroups > 1) {
                cgroup_b = open(play->cgroups[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                fds[n++] = cgroup_b;
        }
        return channel_send(play->channel, MSG_PREPARE, &msg, fds, n);
}

static int send_start(struct play *play, const struct play_options *o) {
        static const uint8_t no_params[] = { 0x80 };
        struct msg_start msg = {
                .image = o->image,
                .params = o->params.len > 0 ? o->params : BYTES(no_params, 1),
                .inspect = o->inspect,
                .allow_unsafe = o->allow_unsafe,
                .is_host_wide = true,
        };
        cleanup_close int object_fd = memfd_sealed("object", o->object.data, o->object.len);
        cleanup_close int definition_fd =
                memfd_sealed("definition", o->definition.data, o->definition.len);
        const int fds[START_FDS] = {
                [START_FD_OBJECT] = object_fd,
                [START_FD_DEFINITION] = definition_fd,
                [START_FD_RING] = play->ring_fd,
                [START_FD_BELL] = play->bell_fd,
        };
        int r;

        if (object_fd < 0 || definition_fd < 0)
                return -ENOENT;
        r = send_prepare(play, o);
        return r < 0 ? r : channel_send(play->channel, MSG_START, &msg, fds, START_FDS);
}

static int start_broker(struct play *play, const struct play_options *o) {
        static const struct channel_ops ops = { permit, on_message, on_closed };
        cleanup_close int channel_fd = -1, child_channel_fd = -1, child_log_fd = -1;
        struct proc_spec spec = { .path = o->broker, .death_signal = SIGKILL };
        int r;

        r = socket_pair(SOCK_SEQPACKET, &channel_fd, &child_channel_fd);
        if (r == 0)
                r = socket_pair(SOCK_SEQPACKET, &play->log_fd, &child_log_fd);
        if (r < 0)
                return r;
        spec.fds[CHILD_FD_CHANNEL] = child_channel_fd;
        spec.fds[CHILD_FD_LOG] = child_log_fd;
        play->start_ns = now_ns();
        r = proc_spawn(&spec, &play->broker_pid, &play->broker_pidfd);
        if (r == 0)
                r = loop_io_add(play->loop, &play->log_io, play->log_fd, EPOLLIN, "log", on_log);
        if (r == 0)
                r = channel_new(play->loop, TAKE_FD(channel_fd), "broker", &ops, play,
                                4 * (size_t)LIMIT_FRAME_MAX, &play->channel);
        return r < 0 ? r : send_start(play, o);
}

int play_new(const struct play_options *options, struct play **ret) {
        cleanup(play_freep) struct play *play = calloc(1, sizeof(*play));
        int r;

        if (!play)
                return -ENOMEM;
        play->log_fd = play->broker_pidfd = play->ring_fd = play->bell_fd = -1;
        play->schema = play->permissions = play->log = BUF_INIT(1 << 20);
        play->ring_size = options->ring_size ? options->ring_size : EVENT_RING_DEFAULT;
        play->ring_fd = memfd_sized("ring", EVENT_RING_HEADER_SIZE + play->ring_size);
        play->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (play->ring_fd < 0 || play->bell_fd < 0)
                return -errno;
        r = loop_new(&play->loop);
        if (r == 0)
                r = make_dir(play);
        if (r == 0)
                r = make_cgroups(play);
        if (r == 0)
                r = start_broker(play, options);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(play);
        return 0;
}

/* A cgroup whose last process has just died may be busy for a moment yet. */
static void remove_cgroup(char *dir) {
        static const char *const leaves[] = { "/worker", "/broker", "" };
        uint64_t deadline = now_ns() + 2 * NSEC_PER_SEC;

        for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
                char path[160];

                snprintf(path, sizeof(path), "%s%s", dir, leaves[i]);
                while (rmdir(path) < 0 && errno == EBUSY && now_ns() < deadline)
                        sched_yield();
        }
        *strrchr(dir, '/') = '\0';
        (void)rmdir(dir);
}

struct play *play_free(struct play *play) {
        if (!play)
                return NULL;
        if (play->channel)
                channel_free(play->channel);
        if (play->broker_pidfd >= 0) {
                struct play *p = play;

                /* Its end means that the worker is gone too. */
                (void)play_wait(p, &(bool){ false }, 0);
                syscall(SYS_pidfd_send_signal, play->broker_pidfd, SIGKILL, NULL, 0);
                while (waitpid(play->broker_pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        loop_io_remove(&play->log_io);
        loop_free(play->loop);
        for (size_t i = 0; i < play->n_cgroups; i++)
                remove_cgroup(play->cgroups[i]);
        if (play->dir[0])
                (void)remove_tree(AT_FDCWD, play->dir);
        close_fd(&play->log_fd);
        close_fd(&play->broker_pidfd);
        close_fd(&play->ring_fd);
        close_fd(&play->bell_fd);
        buf_done(&play->schema);
        buf_done(&play->permissions);
        buf_done(&play->log);
        free(play->fault_detail);
        free(play);
        return NULL;
}

int play_wait(struct play *play, const bool *flag, uint64_t timeout_ns) {
        uint64_t deadline = now_ns() + timeout_ns;

        while (!*flag) {
                uint64_t now = now_ns();
                int r;

                if (now >= deadline)
                        return -ETIMEDOUT;
                r = loop_run_once(play->loop, MIN(deadline - now, 100 * NSEC_PER_MSEC));
                if (r < 0)
                        return r;
        }
        return 0;
}

int play_stop(struct play *play, bool kill) {
        return channel_send(play->channel, MSG_STOP, &(struct msg_stop){ .kill = kill }, NULL, 0);
}

void play_hang_up(struct play *play) {
        play->channel = channel_free(play->channel);
}
