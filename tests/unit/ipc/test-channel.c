/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/channel.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/needs.h"

/* The wire header, spelled out once more: what a peer that is not our code would send. */
struct header {
        uint32_t size;
        uint16_t type;
        uint16_t flags;
        uint64_t id;
};

struct fixture {
        struct loop *loop;
        struct channel *channel;
        int peer_fd; /* raw */
        struct channel *peer;

        /* what the callbacks saw */
        unsigned int n_messages;
        enum message_type last_type;
        uint64_t last_id;
        uint32_t last_pid;
        char last_text[64];
        int kept_fd;
        size_t n_fds;
        unsigned int n_closed;
        int closed_r;
        char closed_text[200];

        /* what they are to do */
        bool forbid;
        int handler_result;
        bool free_in_handler;
        bool free_in_closed;
};

static bool permit(void *owner, enum message_type type) {
        struct fixture *f = owner;

        return !f->forbid;
}

static int on_message(void *owner, struct received *received) {
        struct fixture *f = owner;

        f->n_messages++;
        f->last_type = received->type;
        f->last_id = received->id;
        f->n_fds = received->n_fds;
        if (received->type == MSG_STARTED)
                f->last_pid = received->msg->started.worker_pid;
        if (f->free_in_handler)
                f->channel = channel_free(f->channel);
        /* Still ours to read: the memory goes when the callback is over. */
        if (received->type == MSG_FAULT)
                snprintf(f->last_text, sizeof(f->last_text), "%s", received->msg->fault.message);
        if (received->n_fds > 0 && f->kept_fd < 0)
                f->kept_fd = TAKE_FD(received->fds[0]);
        return f->handler_result;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct fixture *f = owner;

        f->n_closed++;
        f->closed_r = r;
        snprintf(f->closed_text, sizeof(f->closed_text), "%s", error_text(err));
        if (f->free_in_closed)
                f->channel = channel_free(f->channel);
}

static const struct channel_ops ops = { permit, on_message, on_closed };

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));
        int fd;

        f->kept_fd = -1;
        *state = f;
        if (loop_new(&f->loop) < 0 || socket_pair(SOCK_SEQPACKET, &fd, &f->peer_fd) < 0)
                return -1;
        return channel_new(f->loop, fd, "test", &ops, f, 1 << 20, &f->channel);
}

/* Both ends are channels; the fixture sees what arrives at `channel`. */
static int setup_pair(void **state) {
        struct fixture *f;
        int r = setup(state);

        f = *state;
        if (r == 0)
                r = channel_new(f->loop, f->peer_fd, "peer", &ops, f, 1 << 20, &f->peer);
        f->peer_fd = -1;
        return r;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        f->channel = channel_free(f->channel);
        f->peer = channel_free(f->peer);
        close_fd(&f->peer_fd);
        close_fd(&f->kept_fd);
        loop_free(f->loop);
        free(f);
        return 0;
}

static void turn(struct fixture *f) {
        assert_int_equal(loop_run_once(f->loop, 0), 0);
}

static void raw(struct fixture *f, uint32_t size, uint16_t type, uint16_t flags, const char *body,
                size_t n) {
        uint8_t frame[256];
        struct header header = { .size = size, .type = type, .flags = flags, .id = 77 };

        memcpy(frame, &header, sizeof(header));
        memcpy(frame + sizeof(header), body, n);
        assert_int_equal(send(f->peer_fd, frame, sizeof(header) + n, 0), sizeof(header) + n);
}

#define RAW(_f, _type, _body)                                                                      \
        raw(_f, sizeof(struct header) + sizeof(_body) - 1, _type, 0, _body, sizeof(_body) - 1)
#define STARTED "\x81\xaaworker_pid\x07"

static void expect_protocol_error(struct fixture *f, const char *text) {
        turn(f);
        assert_int_equal(f->n_messages, 0);
        assert_int_equal(f->n_closed, 1);
        assert_int_equal(f->closed_r, -EPROTO);
        assert_string_equal(f->closed_text, text);
        /* Dead: nothing is sent, nothing is read, nobody is called again. */
        assert_int_equal(channel_send(f->channel, MSG_STOP, &(struct msg_stop){ 0 }, NULL, 0),
                         -EPIPE);
        turn(f);
        channel_drain(f->channel);
        assert_int_equal(f->n_closed, 1);
}

static void test_send_and_receive(void **state) {
        struct fixture *f = *state;

        assert_int_equal(channel_send(f->peer, MSG_STARTED, &(struct msg_started){ 7 }, NULL, 0),
                         0);
        assert_int_equal(channel_send(f->peer, MSG_FAULT,
                                      &(struct msg_fault){ .code = "invalid", .message = "why" },
                                      NULL, 0),
                         0);
        turn(f);
        assert_int_equal(f->n_messages, 2);
        assert_int_equal(f->last_pid, 7);
        assert_int_equal(f->last_type, MSG_FAULT);
        assert_int_equal(f->last_id, 2);
        assert_string_equal(f->last_text, "why");
        assert_int_equal(f->n_closed, 0);
}

static void test_raw_frame(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_STARTED, STARTED);
        turn(f);
        assert_int_equal(f->n_messages, 1);
        assert_int_equal(f->last_pid, 7);
        assert_int_equal(f->last_id, 77);
}

static void test_short_frame(void **state) {
        struct fixture *f = *state;

        assert_int_equal(send(f->peer_fd, "abc", 3, 0), 3);
        expect_protocol_error(f, "a frame of 3 bytes is no message");
}

static void test_wrong_size(void **state) {
        struct fixture *f = *state;

        raw(f, 1000, MSG_STARTED, 0, STARTED, sizeof(STARTED) - 1);
        expect_protocol_error(f, "a frame's header is wrong");
}

static void test_flags(void **state) {
        struct fixture *f = *state;

        raw(f, sizeof(struct header) + sizeof(STARTED) - 1, MSG_STARTED, 1, STARTED,
            sizeof(STARTED) - 1);
        expect_protocol_error(f, "a frame's header is wrong");
}

static void test_unknown_types(void **state) {
        struct fixture *f = *state;
        char want[64];

        RAW(f, _MSG_MAX, "\x80");
        snprintf(want, sizeof(want), "message type %d is unknown", _MSG_MAX);
        expect_protocol_error(f, want);
}

static void test_type_none(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_NONE, "\x80");
        expect_protocol_error(f, "message type 0 is unknown");
}

static void test_not_permitted_comes_before_decoding(void **state) {
        struct fixture *f = *state;

        f->forbid = true;
        RAW(f, MSG_STARTED, "\xc1");
        expect_protocol_error(f, "message 'started' may not come now");
}

static void test_undecodable(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_STARTED, "\x80");
        expect_protocol_error(f, "message 'started': field 'worker_pid' is missing");
}

static void test_unknown_field(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_STOP, "\x81\xa3new\x01");
        expect_protocol_error(f, "message 'stop': unknown field 'new'");
}

static void test_hostile_msgpack(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_STOP, "\xdd\x08\x00\x00\x00");
        expect_protocol_error(f,
                              "message 'stop': not one whole msgpack object of allowed depth and "
                              "number of elements");
}

static void test_too_large(void **state) {
        struct fixture *f = *state;
        uint8_t *frame = calloc(1, LIMIT_FRAME_MAX + 1);

        assert_int_equal(send(f->peer_fd, frame, LIMIT_FRAME_MAX + 1, 0), LIMIT_FRAME_MAX + 1);
        free(frame);
        expect_protocol_error(f, "a frame is larger than 196608 bytes");
}

/* The header, the map and `n` fds of one eventfd. */
static void send_with_fds(struct fixture *f, uint16_t type, const char *body, size_t size,
                          size_t n) {
        union {
                struct cmsghdr align;
                char data[CMSG_SPACE(sizeof(int) * 64)];
        } control = { 0 };
        struct header header = { .size = (uint32_t)(sizeof(header) + size), .type = type };
        struct iovec iov[] = { { &header, sizeof(header) }, { (void *)body, size } };
        struct msghdr msg = {
                .msg_iov = iov,
                .msg_iovlen = 2,
                .msg_control = control.data,
                .msg_controllen = CMSG_SPACE(sizeof(int) * n),
        };
        int fd = eventfd(0, EFD_CLOEXEC);

        control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n), SOL_SOCKET, SCM_RIGHTS };
        for (size_t i = 0; i < n; i++)
                memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &fd, sizeof(int));
        assert_true(sendmsg(f->peer_fd, &msg, 0) > 0);
        close(fd);
}

static unsigned int count_fds(void) {
        unsigned int n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void test_fds_nobody_asked_for(void **state) {
        struct fixture *f = *state;
        unsigned int before = count_fds();

        send_with_fds(f, MSG_STOP, "\x80", 1, 2);
        expect_protocol_error(f, "message 'stop' came with 2 fds, not 0 to 0");
        /* Ours is closed with the channel, theirs are closed too. */
        assert_int_equal(count_fds(), before - 1);
}

static void test_more_fds_than_any_message_has(void **state) {
        struct fixture *f = *state;
        unsigned int before = count_fds();

        send_with_fds(f, MSG_STOP, "\x80", 1, 60);
        expect_protocol_error(f, "a frame has more than 4 fds");
        assert_int_equal(count_fds(), before - 1);
}

static void test_too_few_fds(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_PREPARE, "\x82\xa2id\xa1x\xaaworker_uid\x01");
        expect_protocol_error(f, "message 'prepare' came with 0 fds, not 2 to 4");
}

static const struct msg_start start = { .image = "x" };

static void test_fds_arrive(void **state) {
        struct fixture *f = *state;
        unsigned int before = count_fds();
        int fds[START_FDS];

        for (unsigned int i = 0; i < START_FDS; i++)
                fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_int_equal(channel_send(f->peer, MSG_START, &start, fds, START_FDS), 0);
        turn(f);
        assert_int_equal(f->n_fds, START_FDS);
        /* The handler took the first; the rest are closed. */
        assert_true(f->kept_fd >= 0);
        assert_true(fcntl(f->kept_fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(count_fds(), before + START_FDS + 1);
        assert_int_equal(eventfd_write(fds[0], 5), 0);
        assert_int_equal(read(f->kept_fd, &(uint64_t){ 0 }, 8), 8);
        for (unsigned int i = 0; i < START_FDS; i++)
                close(fds[i]);
}

static void test_send_checks(void **state) {
        struct fixture *f = *state;
        char *text = calloc(1, 5000);
        struct msg_ready ready = { .schema = BYTES(NULL, LIMIT_SCHEMA_SIZE_MAX) };
        uint8_t *any;
        int fd = 0;

        assert_int_equal(channel_send(f->peer, MSG_STOP, &(struct msg_stop){ 0 }, &fd, 1), -EINVAL);
        assert_int_equal(channel_send(f->peer, MSG_START, &start, NULL, 0), -EINVAL);
        memset(text, 'x', 4999);
        assert_int_equal(channel_send(f->peer, MSG_FAULT,
                                      &(struct msg_fault){ .code = "x", .message = text }, NULL, 0),
                         -E2BIG);
        /* Each part is as large as it may be, and together they are larger than a frame. */
        ready.schema.data = calloc(1, LIMIT_SCHEMA_SIZE_MAX);
        any = calloc(1, 80000 + 5);
        memcpy(any, "\xc6\x00\x01\x38\x80", 5);
        ready.permissions = BYTES(any, 80000 + 5);
        assert_int_equal(channel_send(f->peer, MSG_READY, &ready, NULL, 0), -EMSGSIZE);
        ready.permissions.len = 0;
        assert_int_equal(channel_send(f->peer, MSG_READY, &ready, NULL, 0), 0);
        turn(f);
        assert_int_equal(f->last_type, MSG_READY);
        free(any);
        free((void *)ready.schema.data);
        free(text);
}

static void test_peer_closes(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_STARTED, STARTED);
        close_fd(&f->peer_fd);
        turn(f);
        /* What it said before is heard. */
        assert_int_equal(f->n_messages, 1);
        turn(f);
        assert_int_equal(f->n_closed, 1);
        assert_int_equal(f->closed_r, 0);
}

/* As a process that exits does: with something of ours still unread. */
static void test_peer_closes_without_reading(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_STARTED, STARTED);
        assert_int_equal(channel_send(f->channel, MSG_STOP, &(struct msg_stop){ 0 }, NULL, 0), 0);
        close_fd(&f->peer_fd);
        turn(f);
        turn(f);
        assert_int_equal(f->n_messages, 1);
        assert_int_equal(f->n_closed, 1);
        assert_int_equal(f->closed_r, 0);
}

static void test_send_to_a_closed_peer(void **state) {
        struct fixture *f = *state;

        RAW(f, MSG_STARTED, STARTED);
        close_fd(&f->peer_fd);
        assert_int_equal(channel_send(f->channel, MSG_STOP, &(struct msg_stop){ 0 }, NULL, 0),
                         -EPIPE);
        assert_int_equal(f->n_closed, 0);
        turn(f);
        turn(f);
        assert_int_equal(f->n_messages, 1);
        assert_int_equal(f->n_closed, 1);
}

static void test_handler_refuses(void **state) {
        struct fixture *f = *state;

        f->handler_result = -EAGAIN; /* no number has a second meaning */
        RAW(f, MSG_STARTED, STARTED);
        RAW(f, MSG_STARTED, STARTED);
        turn(f);
        assert_int_equal(f->n_messages, 1);
        assert_int_equal(f->n_closed, 1);
        assert_int_equal(f->closed_r, -EAGAIN);
        assert_string_equal(f->closed_text, "message 'started' was refused");
}

static void test_freed_in_the_handler(void **state) {
        struct fixture *f = *state;

        f->free_in_handler = true;
        RAW(f, MSG_FAULT,
            "\x82\xa4"
            "code\xa1x\xa7message\xa3why");
        RAW(f, MSG_STARTED, STARTED);
        turn(f);
        assert_null(f->channel);
        assert_int_equal(f->n_messages, 1);
        assert_string_equal(f->last_text, "why");
        assert_int_equal(f->n_closed, 0);
}

static void test_freed_in_the_handler_that_fails(void **state) {
        struct fixture *f = *state;

        f->free_in_handler = true;
        f->handler_result = -EIO;
        RAW(f, MSG_STARTED, STARTED);
        turn(f);
        assert_null(f->channel);
        assert_int_equal(f->n_closed, 0);
}

static void test_freed_when_closed(void **state) {
        struct fixture *f = *state;

        f->free_in_closed = true;
        close_fd(&f->peer_fd);
        turn(f);
        assert_int_equal(f->n_closed, 1);
        assert_null(f->channel);
}

static void test_bounded_per_turn(void **state) {
        struct fixture *f = *state;
        unsigned int sent = 0, turns = 0;

        for (; sent < 200; sent++)
                RAW(f, MSG_STARTED, STARTED);
        turn(f);
        assert_int_equal(f->n_messages, 64);
        while (f->n_messages < sent && turns++ < 10)
                turn(f);
        assert_int_equal(f->n_messages, sent);
}

static void test_drain_takes_all(void **state) {
        struct fixture *f = *state;

        for (unsigned int i = 0; i < 200; i++)
                RAW(f, MSG_STARTED, STARTED);
        close_fd(&f->peer_fd);
        channel_drain(f->channel);
        assert_int_equal(f->n_messages, 200);
        assert_int_equal(f->n_closed, 1);
        channel_drain(f->channel);
        assert_int_equal(f->n_closed, 1);
}

/* More than the socket holds: queued in order, fds included, up to the bound; then refused; then
 * all of it arrives. */
static void test_queue(void **state) {
        struct fixture *f = *state;
        uint32_t n_sent = 0, n_expected = 0;
        char text[1000];
        int fds[START_FDS], r;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        for (unsigned int i = 0; i < START_FDS; i++)
                fds[i] = eventfd(0, EFD_CLOEXEC);
        while ((r = channel_send(f->peer, MSG_FAULT,
                                 &(struct msg_fault){ .code = "x", .message = text }, NULL, 0)) ==
               0)
                n_sent++;
        assert_int_equal(r, -ENOBUFS);
        assert_true(n_sent > 1000); /* 1 MiB of queue, 1 KiB each */
        assert_int_equal(channel_send(f->peer, MSG_STOP, &(struct msg_stop){ 0 }, NULL, 0), 0);
        for (unsigned int turns = 0; turns < 1000 && f->n_messages < n_sent; turns++)
                turn(f);
        turn(f);
        n_expected = n_sent + 1;
        assert_int_equal(f->n_messages, n_expected);
        assert_int_equal(f->last_type, MSG_STOP);
        assert_int_equal(f->n_closed, 0);

        /* The queued fds were duplicates: closing ours right after sending is fine. */
        while (channel_send(f->peer, MSG_FAULT, &(struct msg_fault){ .code = "x", .message = text },
                            NULL, 0) == 0 &&
               f->n_messages == n_expected && n_sent++ < n_expected + 500)
                ;
        assert_int_equal(channel_send(f->peer, MSG_START, &start, fds, START_FDS), 0);
        for (unsigned int i = 0; i < START_FDS; i++)
                close(fds[i]);
        for (unsigned int turns = 0; turns < 1000 && f->last_type != MSG_START; turns++)
                turn(f);
        assert_int_equal(f->last_type, MSG_START);
        assert_int_equal(f->n_fds, START_FDS);
        assert_true(f->kept_fd >= 0);
}

static void test_queue_of_a_peer_that_goes(void **state) {
        struct fixture *f = *state;
        unsigned int before = count_fds();
        int fds[START_FDS];

        for (unsigned int i = 0; i < START_FDS; i++)
                fds[i] = eventfd(0, EFD_CLOEXEC);
        for (unsigned int i = 0; i < 800; i++)
                assert_int_equal(channel_send(f->channel, MSG_START, &start, fds, START_FDS), 0);
        for (unsigned int i = 0; i < START_FDS; i++)
                close(fds[i]);
        close_fd(&f->peer_fd);
        turn(f);
        turn(f);
        assert_int_equal(f->n_closed, 1);
        /* Both ends are closed, and all duplicates with them. */
        assert_int_equal(count_fds(), before - 2);
}

static void test_new_takes_the_fd_also_on_failure(void **state) {
        struct fixture *f = *state;
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct channel *channel = NULL;

        assert_int_equal(channel_new(f->loop, fd, "x", &ops, f, 1000, &channel), -EPERM);
        assert_null(channel);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_null(channel_free(NULL));
}

#define RAW_TEST(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)
#define PAIR_TEST(_f) cmocka_unit_test_setup_teardown(_f, setup_pair, teardown)
static const struct CMUnitTest tests[] = {
        PAIR_TEST(test_send_and_receive),
        RAW_TEST(test_raw_frame),
        RAW_TEST(test_short_frame),
        RAW_TEST(test_wrong_size),
        RAW_TEST(test_flags),
        RAW_TEST(test_unknown_types),
        RAW_TEST(test_type_none),
        RAW_TEST(test_not_permitted_comes_before_decoding),
        RAW_TEST(test_undecodable),
        RAW_TEST(test_unknown_field),
        RAW_TEST(test_hostile_msgpack),
        RAW_TEST(test_too_large),
        RAW_TEST(test_fds_nobody_asked_for),
        RAW_TEST(test_more_fds_than_any_message_has),
        RAW_TEST(test_too_few_fds),
        PAIR_TEST(test_fds_arrive),
        PAIR_TEST(test_send_checks),
        RAW_TEST(test_peer_closes),
        RAW_TEST(test_peer_closes_without_reading),
        RAW_TEST(test_send_to_a_closed_peer),
        RAW_TEST(test_handler_refuses),
        RAW_TEST(test_freed_in_the_handler),
        RAW_TEST(test_freed_in_the_handler_that_fails),
        RAW_TEST(test_freed_when_closed),
        RAW_TEST(test_bounded_per_turn),
        RAW_TEST(test_drain_takes_all),
        PAIR_TEST(test_queue),
        RAW_TEST(test_queue_of_a_peer_that_goes),
        RAW_TEST(test_new_takes_the_fd_also_on_failure),
};
TEST_MAIN("ipc-channel", tests)
