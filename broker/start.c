/* SPDX-License-Identifier: Apache-2.0 */
/* From PREPARE to the first request: the worker is cloned first, and everything else happens while
 * it starts. START may come at once, or much later: then a worker that stands ready is used. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/pid-namespace.h"
#include "base/trim.h"
#include "broker/broker.h"
#include "broker/kmsg.h"
#include "broker/privileges.h"

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
        return (uint32_t)MAX(sysconf(_SC_NPROCESSORS_CONF), 1L);
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

/* Before Linux 5.11 maps and programs count against the locked memory of who makes them, of which a
 * user has 64 KiB or so. What a gadget may take is bounded by LIMIT_MAP_BYTES_MAX all the same. */
static void lift_memlock(void) {
        struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

        if (setrlimit(RLIMIT_MEMLOCK, &none) < 0)
                log_debug("the limit of locked memory stays: %s", strerrordesc_np(errno));
}

/* The host's network namespace is that of process 1: a gadgetd in a container that has the host's
 * pid namespace may be in another one. Where that one may not be looked at, it is our own. From
 * here on the two are the same. */
static void enter_host_network(struct broker *b) {
        cleanup_close int fd = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd >= 0 && setns(fd, CLONE_NEWNET) < 0)
                log_debug("the network namespace stays: %s", strerrordesc_np(errno));
        b->host_netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        b->host_netns = b->host_netns_fd >= 0 && fstat(b->host_netns_fd, &st) == 0 ? st.st_ino : 0;
}

static void open_host(struct broker *b) {
        int r = mount_tracefs();

        lift_memlock();
        if (r < 0)
                log_debug("no tracefs: %s", strerrordesc_np(-r));
        b->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        b->tracefs_fd = MAX(r, -1);
        b->pmu_fd = open("/sys/bus/event_source/devices", O_PATH | O_DIRECTORY | O_CLOEXEC);
        /* The kernel looks at who opened it, not at who reads. */
        b->kallsyms_fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
        b->kmsg_fd = kmsg_open();
        b->has_own_pids = !pid_namespace_is_host();
        enter_host_network(b);
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

/* Sent at once: what the kernel says about itself may be read before any limit is in force. */
static int greet_worker(struct broker *b, const char *btf_path, struct error *err) {
        cleanup_close int btf_fd = open(btf_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        struct broker_hello hello = { .n_cpus = b->n_cpus, .has_btf = btf_fd >= 0 };

        int r = serve_send(b, BROKER_HELLO, BYTES(&hello, sizeof(hello)), BYTES(NULL, 0), &btf_fd,
                           btf_fd >= 0 ? 1 : 0);

        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "cannot greet the worker") : 0;
}

static int send_start(struct broker *b, struct error *err) {
        int r = serve_send(b, BROKER_START, BYTES(NULL, 0), BYTES(b->start.data, b->start.len),
                           b->start_fds, ARRAY_SIZE(b->start_fds));

        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                close_fd(&b->start_fds[i]);
        buf_done(&b->start);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "cannot send the worker its start message")
                     : 0;
}

/* The limits are in force: now the worker may see a gadget. */
static int on_joined(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, join_io);
        struct error err = { 0 };
        siginfo_t info = { 0 };
        int r;

        loop_io_remove(io);
        r = waitid(P_PIDFD, (id_t)b->join_fd, &info, WEXITED) < 0 ? -errno : -info.si_status;
        close_fd(&b->join_fd);
        if (r < 0) {
                error_set(&err, ERROR_UNAVAILABLE, r,
                          "cannot put the gadget's processes into their cgroups: %s",
                          strerrordesc_np(-r) ?: "unknown error");
        } else {
                b->is_joined = true;
                channel_send(b->gadgetd, MSG_PREPARED, NULL, NULL, 0);
                if (b->state == BROKER_LOADING)
                        r = send_start(b, &err);
                else
                        trim_memory(); /* it may be a long wait */
        }
        if (r < 0)
                broker_fault(b, &err, NULL);
        return 0;
}

static int start_worker(struct broker *b, const struct msg_prepare *msg, int exe_fd,
                        struct error *err) {
        struct worker_spec spec = { .exe_fd = exe_fd, .uid = msg->worker_uid };
        pid_t pid;
        int r;

        r = worker_start(&spec, &b->worker, err);
        if (r < 0)
                return r;
        b->state = BROKER_PREPARED;
        r = serve_init(b);
        if (r == 0)
                r = loop_io_add(b->loop, &b->exit_io, b->worker.pid_fd, EPOLLIN, "worker exit",
                                broker_on_worker_exit);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot watch the worker");
        r = cgroups_join(&b->cgroups, getpid(), b->worker.pid, &pid, &b->join_fd);
        if (r == 0)
                r = loop_io_add(b->loop, &b->join_io, b->join_fd, EPOLLIN, "cgroups", on_joined);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r,
                                 "cannot start what puts the worker into its cgroups");
        return greet_worker(b, msg->kernel_btf ?: "/sys/kernel/btf/vmlinux", err);
}

static int keep_prepare(struct broker *b, const struct msg_prepare *msg, struct received *received,
                        struct error *err) {
        int r;

        snprintf(b->id, sizeof(b->id), "%s", msg->id);
        b->n_cpus = possible_cpus();
        b->dir_fd = TAKE_FD(received->fds[PREPARE_FD_DIR]);
        b->parent_fd = openat(b->dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = cgroups_init(&b->cgroups, received->fds + PREPARE_FD_CGROUP,
                         received->n_fds - PREPARE_FD_CGROUP);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "cannot use the gadget's cgroups") : 0;
}

int broker_prepare(struct broker *b, struct received *received) {
        const struct msg_prepare *msg = &received->msg->prepare;
        struct error err = { 0 };
        int r;

        r = keep_prepare(b, msg, received, &err);
        if (r == 0)
                r = start_worker(b, msg, received->fds[PREPARE_FD_WORKER], &err);
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

static int keep_start(struct broker *b, const struct msg_start *msg, struct received *received,
                      struct error *err) {
        struct broker_start start = {
                .image_len = (uint32_t)strlen(msg->image ?: ""),
                .definition_name_len = (uint32_t)strlen(msg->definition_name ?: ""),
                .inspect = msg->inspect,
                .is_host_wide = msg->is_host_wide,
        };

        b->inspect = msg->inspect;
        b->allow_unsafe = msg->allow_unsafe;
        b->is_host_wide = msg->is_host_wide;
        b->shared.offers = msg->offers_map;
        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                b->start_fds[i] = TAKE_FD(received->fds[START_FD_OBJECT + i]);
        buf_append(&b->start, &start, sizeof(start));
        buf_append(&b->start, msg->image ?: "", start.image_len);
        buf_append(&b->start, msg->definition_name ?: "", start.definition_name_len);
        buf_append(&b->start, msg->params.data, msg->params.len);
        return b->start.failed
                       ? error_set(err, ERROR_LIMIT, -ENOMEM, "the parameters are too large")
                       : 0;
}

int broker_start(struct broker *b, struct received *received) {
        struct error err = { 0 };
        int r;

        /* The worker has died meanwhile, and gadgetd is being told. */
        if (b->state != BROKER_PREPARED)
                return 0;
        b->state = BROKER_LOADING;
        r = keep_start(b, &received->msg->start, received, &err);
        if (r == 0 && b->is_joined)
                r = send_start(b, &err);
        if (r < 0)
                broker_fault(b, &err, NULL);
        return 0;
}
