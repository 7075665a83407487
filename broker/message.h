/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire between broker and worker: puts the chunks of a request together, and cuts replies into
 * chunks. Checks everything that can be checked without knowing the request's meaning. No system
 * call but sendmsg().
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "gadget/broker.h"

struct request {
        enum broker_type type;
        uint32_t seq;
        const void *body; /* request_table[type].body_size bytes, aligned to 8 */
        uint8_t *payload; /* ours to change */
        size_t payload_len;
};

struct reply {
        int32_t result;
        uint32_t handle;
        struct buf payload;
        int fd;          /* rides along; -1 = none */
        bool is_fd_ours; /* to be closed once it is sent */
};

/* Requests in the making. */
struct assembler {
        uint32_t seq; /* of the last complete request */
        struct broker_frame first;
        uint8_t *message; /* chunks so far, of a message of several */
        size_t len;
};

/* phases: enum phase bits of now. 1 = *ret is a request (it lives until the next call), 0 = more
 * chunks are to come, -EPROTO = the worker's fault and err names the request. datagram is aligned
 * to 8. */
int assemble(struct assembler *a, uint32_t phases, uint8_t *datagram, size_t len,
             struct request *ret, struct error *err);
void assembler_done(struct assembler *a);

/* Chunks that the socket did not take yet. At most one message is under way: no request is read
 * meanwhile. */
struct sender {
        struct buf queue; /* {uint32_t length, chunk} one after another */
        size_t sent;
        int fds[4];
        size_t n_fds;
        bool owns_fds;
};

/* Sends {frame, body, payload}; fds ride on the first chunk and are borrowed (duplicated if it has
 * to wait). 1 = sent, 0 = waits for POLLOUT, or -errno. */
int sender_put(struct sender *s, int fd, uint32_t type, uint32_t seq, struct bytes body,
               struct bytes payload, const int *fds, size_t n_fds);
/* The socket takes more: as sender_put(). */
int sender_flush(struct sender *s, int fd);
static inline bool sender_is_busy(const struct sender *s) {
        return s->sent < s->queue.len;
}
void sender_done(struct sender *s);
