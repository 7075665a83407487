/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A typed message channel over SOCK_SEQPACKET: frame = 16-byte header {u32 size, u16 type, u16
 * flags, u64 id} + msgpack map, fds by SCM_RIGHTS. Sending never blocks: what the socket does not
 * take is queued up to a bound. Receiving order: size within limit, type known, permitted in the
 * owner's state, structural scan, decode by field table, number of fds, handler. What fails before
 * the handler is -EPROTO: the peer is ended, never we.
 */
#pragma once

#include "base/loop.h"
#include "ipc/message.h"

struct channel;

struct received {
        enum message_type type;
        uint64_t id;
        union message *msg; /* valid during the callback */
        int *fds;           /* owned by the channel: a handler takes one with TAKE_FD */
        size_t n_fds;
};

/* May a message of this type come now? Asked before it is decoded. */
typedef bool (*channel_permit_func)(void *owner, enum message_type type);
/* Negative result of a handler = end this peer (on_closed is called with it). */
typedef int (*channel_message_func)(void *owner, struct received *received);
/* r: 0 = peer closed, -EPROTO = peer's fault (err says what), else errno. Called once; the channel
 * is dead then. */
typedef void (*channel_closed_func)(void *owner, int r, const struct error *err);

struct channel_ops {
        channel_permit_func permit;
        channel_message_func on_message;
        channel_closed_func on_closed;
};

/* take_fd becomes the channel's, also on failure. queue_max: bytes of unsent frames before
 * -ENOBUFS. */
int channel_new(struct loop *loop, int take_fd, const char *name, const struct channel_ops *ops,
                void *owner, size_t queue_max, struct channel **ret);
struct channel *channel_free(struct channel *channel); /* legal inside its own callbacks */
DEFINE_CLEANUP(struct channel, channel_free)

/* fds are borrowed and duplicated while queued. */
int channel_send(struct channel *channel, enum message_type type, const void *msg, const int *fds,
                 size_t n_fds);

/* Reads and dispatches everything that is there now; for draining when the child has exited. Not
 * from this channel's own on_message: there is one buffer. */
void channel_drain(struct channel *channel);

/* Bytes of sent frames that the socket has not taken yet. */
size_t channel_queued(const struct channel *channel);
