/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's two sockets: its requests, one at a time, and its log. */
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/log.h"
#include "base/text.h"
#include "broker/broker.h"

#define MESSAGES_PER_ROUND 64
#define LOG_LINE_MAX 1024 /* of the lines that are kept for a fault */

static uint32_t current_phase(const struct broker *b) {
        switch (b->state) {
        case BROKER_PREPARED: /* it asks for nothing yet, but may say why it cannot start */
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

/* Gadgetd's answer comes first. */
static bool broker_awaits(const struct broker *b) {
        return b->awaits_containers || b->shared.awaits;
}

static int update_worker_events(struct broker *b) {
        /* While an answer waits for room no further request is read: the worker has one at a time
         * anyway. */
        if (!b->worker_io.loop)
                return 0;
        return loop_io_modify(&b->worker_io, sender_is_busy(&b->sender) ? EPOLLOUT
                                             : broker_awaits(b)         ? 0
                                                                        : EPOLLIN);
}

int serve_resume(struct broker *b) {
        return update_worker_events(b);
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
        else if (request->type == BROKER_READY)
                b->ready_seq = request->seq;
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

        /* ECONNRESET comes once, before what a worker sent that died with something of ours unread.
         */
        do
                n = recvmsg(b->worker.channel_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && (errno == EINTR || errno == ECONNRESET));
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
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

/* READY is answered behind the containers that are known by then: the worker reads no event before
 * it can name who made it. */
static void flush(struct broker *b) {
        struct request ready = { .type = BROKER_READY, .seq = b->ready_seq };
        struct reply reply = { .fd = -1 };

        containers_flush(b);
        if (b->ready_seq == 0 || b->containers.n_unsent > 0 || sender_is_busy(&b->sender))
                return;
        b->ready_seq = 0;
        answer(b, &ready, &reply);
}

static int on_worker_message(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, worker_io);

        if (sender_is_busy(&b->sender) && sender_flush(&b->sender, b->worker.channel_fd) < 0) {
                loop_io_remove(io);
                return 0;
        }
        for (int i = 0; i < MESSAGES_PER_ROUND && !sender_is_busy(&b->sender) && !broker_awaits(b);
             i++) {
                int r = receive(b);

                if (r == 0)
                        break;
                if (r < 0) {
                        /* Its exit follows, and says why. */
                        loop_io_remove(io);
                        return 0;
                }
        }
        flush(b);
        return update_worker_events(b);
}
/* Escaped at once: it goes up as the detail of a fault, and a worker may log anything. */
static void keep_tail(struct broker *b, struct bytes record) {
        cleanup_buf struct buf line = BUF_INIT(LOG_LINE_MAX * 10);
        struct bytes end;

        text_append_escaped(&line, record.data + 1, MIN(record.len - 1, (size_t)LOG_LINE_MAX));
        /* Room for this line, its end and the NUL at the very end. */
        end = broker_text_end(BYTES(line.data, line.len), b->log_tail.max - 2);
        if (b->log_tail.len + end.len + 2 > b->log_tail.max)
                buf_consume(&b->log_tail, b->log_tail.len + end.len + 2 - b->log_tail.max);
        buf_append(&b->log_tail, end.data, end.len);
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

int serve_init(struct broker *b) {
        int r;

        r = loop_io_add(b->loop, &b->worker_io, b->worker.channel_fd, EPOLLIN, "worker",
                        on_worker_message);
        return r < 0 ? r
                     : loop_io_add(b->loop, &b->log_io, b->worker.log_fd, EPOLLIN, "worker log",
                                   on_worker_log);
}

void serve_drain(struct broker *b) {
        while (receive(b) > 0)
                ;
        while (read_log(b) > 0)
                ;
}

void serve_end(struct broker *b) {
        loop_io_remove(&b->worker_io);
        loop_io_remove(&b->log_io);
}

int serve_send(struct broker *b, enum broker_type type, struct bytes body, struct bytes payload,
               const int *fds, size_t n_fds) {
        int r = sender_put(&b->sender, b->worker.channel_fd, type, 0, body, payload, fds, n_fds);

        (void)update_worker_events(b);
        /* Its end is about to be seen. */
        return r == -EPIPE || r == -ECONNRESET ? 0 : MIN(r, 0);
}
