/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame is read whole into the channel's one buffer, checked there step by step, and handed on in
 * place. The callbacks may free the channel: then `is_freed` is left for whoever is on the stack,
 * and the last one to leave frees the memory.
 */
#include "ipc/channel.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "gadget/api.h"

#define FDS_MAX PREPARE_FDS_MAX
static_assert((int)START_FDS <= (int)FDS_MAX);
#define MESSAGES_PER_WAKEUP 64
#define MESSAGES_PER_DRAIN                                                                         \
        4096 /* more than a socket holds: whoever still writes then is not who we wait for */

struct frame_header {
        uint32_t size; /* with this header */
        uint16_t type;
        uint16_t flags; /* none yet */
        uint64_t id;
};

/* A frame that the socket did not take yet. */
struct queued {
        struct queued *next;
        size_t size;
        size_t n_fds;
        int fds[FDS_MAX];
        uint8_t data[];
};

struct channel {
        struct loop *loop;
        struct loop_io io;
        int fd; /* -1: dead */
        const struct channel_ops *ops;
        void *owner;
        uint64_t last_id;

        struct queued *first;
        struct queued **last;
        size_t queue_size;
        size_t queue_max;

        unsigned int depth; /* our frames on the stack that will touch the channel again */
        bool is_freed;
        uint8_t *frame; /* LIMIT_FRAME_MAX bytes */
};

static struct queued *queued_free(struct queued *queued) {
        for (size_t i = 0; i < queued->n_fds; i++)
                close_fd(&queued->fds[i]);
        free(queued);
        return NULL;
}
DEFINE_CLEANUP(struct queued, queued_free)

static int on_io(struct loop_io *io, uint32_t events);

int channel_new(struct loop *loop, int take_fd, const char *name, const struct channel_ops *ops,
                void *owner, size_t queue_max, struct channel **ret) {
        cleanup_close int fd = take_fd;
        cleanup(channel_freep) struct channel *channel = calloc(1, sizeof(*channel));
        int size = 2 * LIMIT_FRAME_MAX;
        int r;

        if (!channel)
                return -ENOMEM;
        *channel = (struct channel){
                .loop = loop,
                .fd = -1,
                .ops = ops,
                .owner = owner,
                .last = &channel->first,
                .queue_max = queue_max,
        };
        channel->frame = malloc(LIMIT_FRAME_MAX);
        if (!channel->frame)
                return -ENOMEM;
        /* Where the default is smaller than a frame; a refusal shows when a large frame is sent. */
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        r = loop_io_add(loop, &channel->io, fd, EPOLLIN, name, on_io);
        if (r < 0)
                return r;
        channel->fd = TAKE_FD(fd);
        *ret = TAKE_PTR(channel);
        return 0;
}

/* Gives up the socket and all that waits for it; the memory stays. */
static void die(struct channel *channel) {
        loop_io_remove(&channel->io);
        close_fd(&channel->fd);
        while (channel->first) {
                struct queued *queued = channel->first;

                channel->first = queued->next;
                queued_free(queued);
        }
        channel->last = &channel->first;
        channel->queue_size = 0;
}

struct channel *channel_free(struct channel *channel) {
        if (!channel)
                return NULL;
        die(channel);
        channel->is_freed = true;
        if (channel->depth == 0) {
                free(channel->frame);
                free(channel);
        }
        return NULL;
}

/* Between enter and leave the channel survives being freed; leave says whether it was. */
static void enter(struct channel *channel) {
        channel->depth++;
}

static void leave(struct channel *channel) {
        assert(channel->depth > 0);
        channel->depth--;
        if (channel->is_freed)
                channel_free(channel);
}

/* --- sending --- */

union control {
        struct cmsghdr align;
        char data[CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

/* 0, -EAGAIN when the socket is full, else what sendmsg() says. */
static int send_frame(int fd, const void *data, size_t size, const int *fds, size_t n_fds) {
        struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        union control control = { 0 };
        ssize_t n;

        if (n_fds > 0) {
                struct cmsghdr *cmsg;

                msg.msg_control = control.data;
                msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                cmsg = CMSG_FIRSTHDR(&msg);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
        }
        do
                n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

static int enqueue(struct channel *channel, const void *data, size_t size, const int *fds,
                   size_t n_fds) {
        cleanup(queued_freep) struct queued *queued = NULL;
        int r;

        if (size > channel->queue_max - MIN(channel->queue_size, channel->queue_max))
                return -ENOBUFS;
        queued = malloc(sizeof(*queued) + size);
        if (!queued)
                return -ENOMEM;
        queued->next = NULL;
        queued->size = size;
        queued->n_fds = 0;
        memcpy(queued->data, data, size);
        for (size_t i = 0; i < n_fds; i++) {
                queued->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
                if (queued->fds[i] < 0)
                        return -errno;
                queued->n_fds++;
        }
        r = loop_io_modify(&channel->io, EPOLLIN | EPOLLOUT);
        if (r < 0)
                return r;
        *channel->last = queued;
        channel->last = &queued->next;
        channel->queue_size += size;
        TAKE_PTR(queued);
        return 0;
}

int channel_send(struct channel *channel, enum message_type type, const void *msg, const int *fds,
                 size_t n_fds) {
        const struct message_info *info = &message_types[type];
        cleanup_buf struct buf frame = BUF_INIT(LIMIT_FRAME_MAX);
        struct frame_header header = { .type = (uint16_t)type };
        int r;

        assert(type > MSG_NONE && type < _MSG_MAX);
        if (n_fds < info->n_fds_min || n_fds > info->n_fds_max)
                return -EINVAL;
        if (channel->fd < 0)
                return -EPIPE;
        buf_append(&frame, &header, sizeof(header));
        r = record_encode(&info->record, msg, &frame);
        if (r < 0)
                return r == -EFBIG ? -EMSGSIZE : r;
        header.size = (uint32_t)frame.len;
        header.id = ++channel->last_id;
        memcpy(frame.data, &header, sizeof(header));

        /* Behind what waits already, or the order would be lost. */
        r = channel->first ? -EAGAIN : send_frame(channel->fd, frame.data, frame.len, fds, n_fds);
        if (r == -EAGAIN)
                return enqueue(channel, frame.data, frame.len, fds, n_fds);
        return r;
}

/* Sends what waits, as far as the socket takes it. */
static int flush(struct channel *channel) {
        while (channel->first) {
                struct queued *queued = channel->first;
                int r = send_frame(channel->fd, queued->data, queued->size, queued->fds,
                                   queued->n_fds);

                if (r == -EAGAIN)
                        return 0;
                if (r < 0)
                        return r;
                channel->queue_size -= queued->size;
                channel->first = queued->next;
                if (!channel->first)
                        channel->last = &channel->first;
                queued_free(queued);
        }
        return loop_io_modify(&channel->io, EPOLLIN);
}

/* --- receiving --- */

struct incoming {
        size_t size;
        int fds[FDS_MAX];
        size_t n_fds;
};

static void close_fds(struct incoming *in) {
        for (size_t i = 0; i < in->n_fds; i++)
                close_fd(&in->fds[i]);
        in->n_fds = 0;
}

static void collect_fds(struct msghdr *msg, struct incoming *in) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                /* The control buffer has room for no more than these. */
                n = MIN(n, FDS_MAX - in->n_fds);
                memcpy(in->fds + in->n_fds, CMSG_DATA(c), n * sizeof(int));
                in->n_fds += n;
        }
}

/* 1 = a frame, 0 = the peer has closed, -EAGAIN, -EPROTO, or what recvmsg() says. */
static int receive(struct channel *channel, struct incoming *in, struct error *err) {
        struct iovec iov = { .iov_base = channel->frame, .iov_len = LIMIT_FRAME_MAX };
        union control control;
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.data,
                .msg_controllen = sizeof(control.data),
        };
        ssize_t n;

        /* A peer that died with something of ours unread leaves ECONNRESET, which the kernel says
         * once and before what the peer had sent: its last words are behind it. */
        do
                n = recvmsg(channel->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && (errno == EINTR || errno == ECONNRESET));
        if (n < 0)
                return -errno;
        collect_fds(&msg, in);
        if (n == 0)
                return 0;
        if (msg.msg_flags & MSG_TRUNC)
                return error_set(err, ERROR_LIMIT, -EPROTO, "a frame is larger than %d bytes",
                                 LIMIT_FRAME_MAX);
        if (msg.msg_flags & MSG_CTRUNC)
                return error_set(err, ERROR_LIMIT, -EPROTO, "a frame has more than %d fds",
                                 FDS_MAX);
        in->size = (size_t)n;
        return 1;
}

/* Everything that can be wrong with a frame before its content is looked at. */
static int check_header(struct channel *channel, const struct incoming *in,
                        struct frame_header *ret, struct error *err) {
        if (in->size < sizeof(*ret))
                return error_set(err, ERROR_INVALID, -EPROTO, "a frame of %zu bytes is no message",
                                 in->size);
        memcpy(ret, channel->frame, sizeof(*ret));
        if (ret->size != in->size || ret->flags != 0)
                return error_set(err, ERROR_INVALID, -EPROTO, "a frame's header is wrong");
        if (ret->type <= MSG_NONE || ret->type >= _MSG_MAX)
                return error_set(err, ERROR_INVALID, -EPROTO, "message type %u is unknown",
                                 ret->type);
        if (!channel->ops->permit(channel->owner, (enum message_type)ret->type))
                return error_set(err, ERROR_INVALID, -EPROTO, "message '%s' may not come now",
                                 message_types[ret->type].record.name);
        return 0;
}

static int check_frame(struct channel *channel, const struct incoming *in,
                       struct frame_header *ret_header, union message *ret, struct error *err) {
        const struct message_info *info;
        int r;

        r = check_header(channel, in, ret_header, err);
        if (r < 0)
                return r;
        info = &message_types[ret_header->type];
        r = record_decode(&info->record, channel->frame + sizeof(*ret_header),
                          in->size - sizeof(*ret_header), RECORD_STRICT, ret, err);
        if (r < 0)
                return error_prefix(err, -EPROTO, "message '%s'", info->record.name);
        if (in->n_fds < info->n_fds_min || in->n_fds > info->n_fds_max)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "message '%s' came with %zu fds, not %u to %u", info->record.name,
                                 in->n_fds, info->n_fds_min, info->n_fds_max);
        return 0;
}

static int handle(struct channel *channel, struct incoming *in, struct error *err) {
        struct frame_header header;
        union message message;
        struct received received;
        int r;

        r = check_frame(channel, in, &header, &message, err);
        if (r < 0)
                return r;
        received = (struct received){
                .type = (enum message_type)header.type,
                .id = header.id,
                .msg = &message,
                .fds = in->fds,
                .n_fds = in->n_fds,
        };
        r = channel->ops->on_message(channel->owner, &received);
        if (r < 0)
                return error_set(err, ERROR_INVALID, r, "message '%s' was refused",
                                 message_types[header.type].record.name);
        return 0;
}

static void close_with(struct channel *channel, int r, struct error *err) {
        /* The handler may have freed the channel itself. */
        if (channel->fd < 0)
                return;
        if (r == -ECONNRESET)
                r = 0;
        if (r < 0 && err->code == ERROR_NONE)
                error_prefix(err, r, "channel");
        die(channel);
        channel->ops->on_closed(channel->owner, r, err);
}

/* Up to `max` frames; closes the channel when the peer has done so or must go. */
static void receive_many(struct channel *channel, unsigned int max) {
        while (max-- > 0 && channel->fd >= 0) {
                struct incoming in = { 0 };
                struct error err = { 0 };
                int r;

                r = receive(channel, &in, &err);
                if (r == -EAGAIN)
                        return;
                if (r <= 0) {
                        close_with(channel, r, &err);
                } else {
                        r = handle(channel, &in, &err);
                        if (r < 0)
                                close_with(channel, r, &err);
                }
                close_fds(&in);
        }
}

static int on_io(struct loop_io *io, uint32_t events) {
        struct channel *channel = container_of(io, struct channel, io);

        enter(channel);
        if (events & EPOLLOUT && flush(channel) < 0)
                /* The peer is gone or going; what it said last may still be there to read. */
                (void)loop_io_modify(&channel->io, EPOLLIN);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive_many(channel, MESSAGES_PER_WAKEUP);
        leave(channel);
        return 0;
}

void channel_drain(struct channel *channel) {
        enter(channel);
        receive_many(channel, MESSAGES_PER_DRAIN);
        leave(channel);
}

size_t channel_queued(const struct channel *channel) {
        return channel->queue_size;
}
