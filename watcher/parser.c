/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/parser.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "watcher/sandbox.h"

struct request {
        uint32_t file; /* enum oci_file */
        char key[LIMIT_CONTAINER_TEXT_MAX + 1];
};

struct answer {
        int32_t result;
        struct oci_info info;
};

/* --- the child --- */

static int receive_file(int fd, struct request *ret) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { ret, sizeof(*ret) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        int file_fd = -1;

        if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) <= 0)
                _exit(0);
        if (CMSG_FIRSTHDR(&msg) && CMSG_FIRSTHDR(&msg)->cmsg_type == SCM_RIGHTS)
                memcpy(&file_fd, CMSG_DATA(&control.header), sizeof(file_fd));
        return file_fd;
}

static void parse_files(int fd) __attribute__((noreturn));
static void parse_files(int fd) {
        for (;;) {
                cleanup_buf struct buf text = BUF_INIT(LIMIT_OCI_FILE_MAX);
                struct request request = { 0 };
                cleanup_close int file_fd = receive_file(fd, &request);
                struct answer answer = { 0 };

                answer.result = file_fd < 0 ? -EBADF : read_fd(file_fd, &text);
                if (answer.result == 0 &&
                    !oci_parse(request.file, BYTES(text.data, text.len), request.key, &answer.info))
                        answer.result = -EBADMSG;
                if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
                        _exit(0);
        }
}

/* --- the parent --- */

int parser_start(struct parser *parser) {
        cleanup_close int fd = -1, child_fd = -1;
        int r;

        *parser = (struct parser){ .fd = -1, .n_killed = parser->n_killed };
        r = socket_pair(SOCK_SEQPACKET, &fd, &child_fd);
        if (r < 0)
                return r;
        parser->pid = fork();
        if (parser->pid < 0)
                return -errno;
        if (parser->pid == 0) {
                (void)fcntl(child_fd, F_SETFL, 0);
                r = sandbox_parser(child_fd);
                if (r < 0)
                        log_error_errno(r, "the parser cannot enter its sandbox");
                if (r < 0)
                        _exit(EXIT_FAILURE);
                parse_files(CHILD_FD_CHANNEL); /* where the sandbox has put it */
        }
        parser->fd = TAKE_FD(fd);
        return 0;
}

void parser_stop(struct parser *parser) {
        if (parser->pid > 0) {
                (void)kill(parser->pid, SIGKILL);
                while (waitpid(parser->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        parser->pid = 0;
        close_fd(&parser->fd);
}

static int send_file(int fd, int file_fd, const struct request *request) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { (void *)(uintptr_t)request, sizeof(*request) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };

        control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(&control.header), &file_fd, sizeof(file_fd));
        return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int await_answer(struct parser *parser, uint64_t timeout_ns, struct oci_info *ret) {
        struct pollfd pollfd = { .fd = parser->fd, .events = POLLIN };
        struct timespec timeout = { .tv_sec = (time_t)(timeout_ns / NSEC_PER_SEC),
                                    .tv_nsec = (long)(timeout_ns % NSEC_PER_SEC) };
        struct answer answer;

        if (ppoll(&pollfd, 1, &timeout, NULL) <= 0)
                return -ETIMEDOUT;
        if (recv(parser->fd, &answer, sizeof(answer), MSG_DONTWAIT) != sizeof(answer))
                return -EPIPE;
        if (answer.result < 0)
                return answer.result;
        /* It may have been taken over by what it parsed: nothing of it is believed. */
        oci_clean(&answer.info);
        *ret = answer.info;
        return 0;
}

int parser_run(struct parser *parser, int file_fd, enum oci_file file, const char *key,
               uint64_t timeout_ns, struct oci_info *ret) {
        struct request request = { .file = file };
        struct stat st;
        int r;

        snprintf(request.key, sizeof(request.key), "%s", key ?: "");
        if (fstat(file_fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (st.st_size > LIMIT_OCI_FILE_MAX)
                return -EFBIG;
        r = parser->pid > 0 ? 0 : parser_start(parser);
        if (r == 0)
                r = send_file(parser->fd, file_fd, &request);
        if (r == 0)
                r = await_answer(parser, timeout_ns, ret);
        if (r == -ETIMEDOUT || r == -EPIPE || r == -ECONNRESET) {
                parser->n_killed++;
                parser_stop(parser);
        }
        return r;
}
