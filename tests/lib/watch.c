/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "gadget/api.h"

#define ARGS_MAX 16

struct header {
        uint32_t size;
        uint16_t type;
        uint16_t flags;
        uint64_t id;
};

/* The fake one finds its socket by its own path. */
static int listen_beside(const char *exe) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s.sock", exe);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 4), 0);
        return fd;
}

struct watch *watch_start(struct env *env, ...) {
        const char *args[ARGS_MAX] = { "--watcher", env_path(env, "/fake-watch") };
        struct watch *watch = calloc(1, sizeof(*watch));
        char command[1200];
        size_t n = 2;
        va_list list;

        assert_non_null(watch);
        watch->fd = -1;
        watch->frame = malloc(LIMIT_FRAME_MAX);
        snprintf(command, sizeof(command), "cp '%s/tests/lib/fake-watch' '%s'", TEST_BUILD_DIR,
                 args[1]);
        assert_int_equal(system(command), 0);
        watch->listen_fd = listen_beside(args[1]);
        va_start(list, env);
        while (n < ARGS_MAX - 1 && (args[n] = va_arg(list, const char *)))
                n++;
        va_end(list);
        env_start(env, args[0], args[1], args[2], args[2] ? args[3] : NULL, NULL);
        return watch;
}

struct watch *watch_free(struct watch *watch) {
        if (!watch)
                return NULL;
        close_fd(&watch->fd);
        close_fd(&watch->listen_fd);
        free(watch->frame);
        free(watch);
        return NULL;
}

static int receive_fd(int fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        char byte;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        int got;

        assert_int_equal(recvmsg(fd, &msg, MSG_CMSG_CLOEXEC), 1);
        assert_non_null(CMSG_FIRSTHDR(&msg));
        memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
        return got;
}

void watch_accept_silent(struct watch *watch) {
        struct pollfd pfd = { .fd = watch->listen_fd, .events = POLLIN };
        struct ucred peer;
        socklen_t len = sizeof(peer);
        int fd;

        if (poll(&pfd, 1, WAIT_DEFAULT / NSEC_PER_MSEC) != 1)
                fail_msg("gadgetd does not start gadget-watch");
        fd = accept4(watch->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len), 0);
        watch->pid = peer.pid;
        close_fd(&watch->fd);
        watch->fd = receive_fd(fd);
        close(fd);
}

void watch_ready(struct watch *watch) {
        struct msg_watch_ready ready = { 0 };
        struct stat st;

        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
        ready.mntns = st.st_ino;
        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        ready.netns = st.st_ino;
        watch_send(watch, MSG_WATCH_READY, &ready);
}

void watch_accept(struct watch *watch) {
        watch_accept_silent(watch);
        watch_ready(watch);
}

static void send_frame(struct watch *watch, const struct buf *frame, int fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS,
                                  .cmsg_len = CMSG_LEN(sizeof(int)) } };
        struct iovec iov = { .iov_base = frame->data, .iov_len = frame->len };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        if (fd >= 0) {
                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control);
        }
        /* gadgetd's channels do not block; this one is shared with a process that only sleeps. */
        while (sendmsg(watch->fd, &msg, MSG_NOSIGNAL) < 0) {
                struct pollfd pfd = { .fd = watch->fd, .events = POLLOUT };

                if (errno != EAGAIN || poll(&pfd, 1, WAIT_DEFAULT / NSEC_PER_MSEC) != 1)
                        fail_msg("cannot send to gadgetd: %s", strerror(errno));
        }
}

static void send_with_fd(struct watch *watch, enum message_type type, const void *msg, int fd) {
        cleanup_buf struct buf frame = BUF_INIT(LIMIT_FRAME_MAX);
        struct header header = { .type = (uint16_t)type, .id = ++watch->id };

        buf_append(&frame, &header, sizeof(header));
        assert_int_equal(record_encode(&message_types[type].record, msg, &frame), 0);
        header.size = (uint32_t)frame.len;
        memcpy(frame.data, &header, sizeof(header));
        send_frame(watch, &frame, fd);
}

void watch_send(struct watch *watch, enum message_type type, const void *msg) {
        send_with_fd(watch, type, msg, -1);
}

void watch_add_root(struct watch *watch, struct msg_container_added added, const char *root) {
        int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        added.has_root_fd = true;
        send_with_fd(watch, MSG_CONTAINER_ADDED, &added, fd);
        close(fd);
}

void watch_add(struct watch *watch, const struct msg_container_added *added) {
        watch_send(watch, MSG_CONTAINER_ADDED, added);
}

void watch_remove(struct watch *watch, uint64_t mntns) {
        watch_send(watch, MSG_CONTAINER_REMOVED, &(struct msg_container_removed){ .mntns = mntns });
}

enum message_type watch_receive(struct watch *watch, uint64_t timeout_ns) {
        struct pollfd pfd = { .fd = watch->fd, .events = POLLIN };
        const struct message_info *info;
        struct header header;
        struct error err;
        ssize_t n;

        if (poll(&pfd, 1, (int)(timeout_ns / NSEC_PER_MSEC)) != 1)
                return MSG_NONE;
        n = recv(watch->fd, watch->frame, LIMIT_FRAME_MAX, 0);
        if (n < (ssize_t)sizeof(header))
                return MSG_NONE;
        memcpy(&header, watch->frame, sizeof(header));
        assert_true(header.type > MSG_NONE && header.type < _MSG_MAX);
        info = &message_types[header.type];
        if (record_decode(&info->record, watch->frame + sizeof(header), (size_t)n - sizeof(header),
                          RECORD_STRICT, &watch->message, &err) < 0)
                fail_msg("'%s': %s", info->record.name, err.msg);
        return (enum message_type)header.type;
}

void watch_add_held(struct watch *watch, const struct msg_container_added *added) {
        enum message_type type;

        assert_true(added->serial > 0);
        watch_add(watch, added);
        do {
                type = watch_receive(watch, WAIT_DEFAULT);
                if (type == MSG_NONE)
                        fail_msg("the gadgets' filters do not get container '%s'",
                                 added->name ?: "");
        } while (type != MSG_WATCH_PASS || watch->message.watch_pass.serial != added->serial);
}

void watch_want(struct env *env, struct watch *watch) {
        struct run *run = env_run(env, "containers", NULL);

        watch_accept(watch);
        assert_int_equal(run_exit(run), 0);
}
