/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/system/probe/probe.h"

int probe_fds[4] = { -1, -1, -1, -1 };

static uint32_t last_seq;
static uint32_t last_handle;
static uint8_t datagram[sizeof(struct broker_frame) + BROKER_CHUNK_MAX];

void wire_send(const void *data, size_t len) {
        if (send(CHILD_FD_CHANNEL, data, len, MSG_NOSIGNAL) < 0)
                _exit(99);
}

void wire_chunk(uint32_t type, uint32_t seq, uint32_t total, uint32_t offset, const void *data,
                size_t len) {
        struct broker_frame frame = {
                .type = (uint16_t)type, .seq = seq, .total = total, .offset = offset
        };

        memcpy(datagram, &frame, sizeof(frame));
        if (len > 0)
                memcpy(datagram + sizeof(frame), data, len);
        wire_send(datagram, sizeof(frame) + len);
}

uint32_t wire_seq(void) {
        return last_seq + 1;
}

void wire_tell(uint32_t type, const void *body, size_t body_len, const void *payload,
               size_t payload_len) {
        size_t total = body_len + payload_len;
        cleanup_free uint8_t *message = malloc(total + 1);

        if (!message)
                _exit(98);
        if (body_len > 0)
                memcpy(message, body, body_len);
        if (payload_len > 0)
                memcpy(message + body_len, payload, payload_len);
        last_seq++;
        for (size_t offset = 0; offset == 0 || offset < total; offset += BROKER_CHUNK_MAX)
                wire_chunk(type, last_seq, (uint32_t)total, (uint32_t)offset, message + offset,
                           MIN(total - offset, (size_t)BROKER_CHUNK_MAX));
}

/* The fds that ride along are kept; the last chunk's frame and data are left in datagram. */
static size_t receive(void) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(4 * sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = datagram, .iov_len = sizeof(datagram) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        struct cmsghdr *c;
        ssize_t n = recvmsg(CHILD_FD_CHANNEL, &msg, MSG_CMSG_CLOEXEC);

        if (n < (ssize_t)sizeof(struct broker_frame))
                _exit(97);
        c = CMSG_FIRSTHDR(&msg);
        if (c && c->cmsg_type == SCM_RIGHTS)
                memcpy(probe_fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        return (size_t)n;
}

int wire_await(void) {
        struct broker_frame frame;
        struct broker_reply reply;

        do {
                (void)receive();
                memcpy(&frame, datagram, sizeof(frame));
        } while (!(frame.type & BROKER_REPLY));
        memcpy(&reply, datagram + sizeof(frame), sizeof(reply));
        last_handle = reply.handle;
        /* A reply of several chunks ends with its last. */
        while (frame.offset + BROKER_CHUNK_MAX < frame.total) {
                (void)receive();
                memcpy(&frame, datagram, sizeof(frame));
        }
        return reply.result;
}

int wire_call(uint32_t type, const void *body, size_t body_len, const void *payload,
              size_t payload_len) {
        wire_tell(type, body, body_len, payload, payload_len);
        return wire_await();
}

uint32_t wire_handle(void) {
        return last_handle;
}

const char *wire_start(void) {
        static char image[65];
        struct broker_frame frame;
        struct broker_start start;

        do {
                (void)receive();
                memcpy(&frame, datagram, sizeof(frame));
        } while (frame.type != BROKER_START);
        memcpy(&start, datagram + sizeof(frame), sizeof(start));
        memcpy(image, datagram + sizeof(frame) + sizeof(start), MIN(start.image_len, 64u));
        return image;
}
