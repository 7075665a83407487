/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/message.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "broker/broker.h"

static int bad(struct error *err, const char *name, const char *what) {
        return error_set(err, ERROR_INVALID, -EPROTO, "the worker's request '%s' %s", name, what);
}

static const char *phase_name(uint32_t phases) {
        return phases & PHASE_LOADING ? "while loading" : "once the gadget runs";
}

/* Everything that the first chunk says of the whole message. */
static int check_first(const struct assembler *a, uint32_t phases, const struct broker_frame *frame,
                       struct error *err) {
        const struct request_info *info;
        uint32_t payload;

        if (frame->type == BROKER_NONE || frame->type >= _BROKER_REQUEST_MAX)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker sent a request of unknown type %u", frame->type);
        info = &request_table[frame->type];
        if (!(info->phases & phases))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request '%s' is not allowed %s", info->name,
                                 phase_name(phases));
        if (frame->seq != a->seq + 1)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request '%s' has number %" PRIu32 " where %" PRIu32
                                 " is due",
                                 info->name, frame->seq, a->seq + 1);
        if (frame->offset != 0)
                return bad(err, info->name, "begins in its middle");
        if (frame->total < info->body_size)
                return bad(err, info->name, "is too short");
        payload = frame->total - info->body_size;
        if (payload > info->payload_max)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request '%s' announces %" PRIu32
                                 " bytes of payload, %" PRIu32 " are the most",
                                 info->name, payload, info->payload_max);
        return 0;
}

static int check_next(const struct assembler *a, const struct broker_frame *frame,
                      struct error *err) {
        const char *name = request_table[a->first.type].name;

        if (frame->type != a->first.type || frame->seq != a->first.seq ||
            frame->total != a->first.total)
                return bad(err, name, "is interrupted by another");
        if (frame->offset != a->len)
                return bad(err, name, "has a chunk that does not follow the one before");
        return 0;
}

static int complete(struct assembler *a, const struct broker_frame *frame, uint8_t *message,
                    struct request *ret) {
        const struct request_info *info = &request_table[frame->type];

        a->seq = frame->seq;
        *ret = (struct request){
                .type = frame->type,
                .seq = frame->seq,
                .body = message,
                .payload = message + info->body_size,
                .payload_len = frame->total - info->body_size,
        };
        return 1;
}

static bool is_under_way(const struct assembler *a) {
        return a->message && a->len < a->first.total;
}

int assemble(struct assembler *a, uint32_t phases, uint8_t *datagram, size_t len,
             struct request *ret, struct error *err) {
        struct broker_frame frame;
        size_t chunk, left;
        int r;

        if (a->message && !is_under_way(a))
                assembler_done(a);
        if (len < sizeof(frame))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker sent %zu bytes, which is no request", len);
        memcpy(&frame, datagram, sizeof(frame));
        r = is_under_way(a) ? check_next(a, &frame, err) : check_first(a, phases, &frame, err);
        if (r < 0)
                return r;
        if (frame.reserved != 0)
                return bad(err, request_table[frame.type].name, "sets reserved bits");

        /* Full chunks until the last: the declared total decides how many there are. */
        chunk = len - sizeof(frame);
        left = frame.total - frame.offset;
        if (chunk != MIN(left, (size_t)BROKER_CHUNK_MAX))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request '%s' has a chunk of %zu bytes where %zu "
                                 "are due",
                                 request_table[frame.type].name, chunk,
                                 MIN(left, (size_t)BROKER_CHUNK_MAX));
        if (frame.offset == 0) {
                if (chunk == left)
                        return complete(a, &frame, datagram + sizeof(frame), ret);
                a->message = malloc(frame.total);
                if (!a->message)
                        return error_set(err, ERROR_INTERNAL, -ENOMEM,
                                         "no memory for a request of %" PRIu32 " bytes",
                                         frame.total);
                a->first = frame;
                a->len = 0;
        }
        memcpy(a->message + a->len, datagram + sizeof(frame), chunk);
        a->len += chunk;
        return a->len == frame.total ? complete(a, &frame, a->message, ret) : 0;
}

void assembler_done(struct assembler *a) {
        free(a->message);
        a->message = NULL;
        a->len = 0;
}

static int send_chunk(int fd, const void *data, size_t len, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(4 * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                control.header = (struct cmsghdr){
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
                };
                memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Appends {length, frame, data} of one chunk; data crosses from body into payload. */
static void queue_chunk(struct buf *q, const struct broker_frame *frame, struct bytes body,
                        struct bytes payload) {
        size_t begin = frame->offset, chunk = MIN(frame->total - frame->offset, BROKER_CHUNK_MAX);
        uint32_t len = (uint32_t)(sizeof(*frame) + chunk);
        size_t from_body = begin < body.len ? MIN(body.len - begin, chunk) : 0;

        buf_append(q, &len, sizeof(len));
        buf_append(q, frame, sizeof(*frame));
        if (from_body > 0)
                buf_append(q, body.data + begin, from_body);
        if (chunk > from_body)
                buf_append(q, payload.data + (begin + from_body - body.len), chunk - from_body);
}

int sender_put(struct sender *s, int fd, uint32_t type, uint32_t seq, struct bytes body,
               struct bytes payload, const int *fds, size_t n_fds) {
        struct broker_frame frame = {
                .type = (uint16_t)type,
                .seq = seq,
                .total = (uint32_t)(body.len + payload.len),
        };
        int r;

        if (sender_is_busy(s) || n_fds > ARRAY_SIZE(s->fds))
                return -EBUSY;
        s->queue.max = 2 * (size_t)LIMIT_BROKER_PAYLOAD_MAX;
        buf_reset(&s->queue);
        s->sent = 0;
        do {
                queue_chunk(&s->queue, &frame, body, payload);
                frame.offset += BROKER_CHUNK_MAX;
        } while (frame.offset < frame.total);
        if (s->queue.failed) {
                buf_reset(&s->queue);
                return -ENOMEM;
        }

        if (n_fds > 0)
                memcpy(s->fds, fds, n_fds * sizeof(int));
        s->n_fds = n_fds;
        r = sender_flush(s, fd);
        if (r != 0 || s->n_fds == 0)
                return r;
        /* The first chunk waits: so do the fds, whose owner may close them. */
        s->owns_fds = true;
        for (size_t i = 0; i < n_fds; i++) {
                s->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
                if (s->fds[i] < 0)
                        r = -errno;
        }
        return r;
}

static void forget_fds(struct sender *s) {
        for (size_t i = 0; s->owns_fds && i < s->n_fds; i++)
                close_fd(&s->fds[i]);
        s->n_fds = 0;
        s->owns_fds = false;
}

int sender_flush(struct sender *s, int fd) {
        while (sender_is_busy(s)) {
                bool is_first = s->sent == 0;
                uint32_t len;
                int r;

                memcpy(&len, s->queue.data + s->sent, sizeof(len));
                r = send_chunk(fd, s->queue.data + s->sent + sizeof(len), len, s->fds,
                               is_first ? s->n_fds : 0);
                if (r == -EAGAIN || r == -ENOBUFS)
                        return 0;
                if (r < 0)
                        return r;
                if (is_first)
                        forget_fds(s);
                s->sent += sizeof(len) + len;
        }
        /* A verifier log is large and rare: its memory is not kept. */
        if (s->queue.cap > 2 * BROKER_CHUNK_MAX)
                buf_done(&s->queue);
        return 1;
}

void sender_done(struct sender *s) {
        forget_fds(s);
        buf_done(&s->queue);
        s->sent = 0;
}
