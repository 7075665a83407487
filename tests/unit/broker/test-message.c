/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of several chunks, in both directions; handles; the kernel's log. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "broker/broker.h"
#include "broker/kmsg.h"
#include "tests/lib/needs.h"

/* --- putting chunks together --- */

struct datagram {
        struct broker_frame frame;
        uint8_t data[BROKER_CHUNK_MAX];
} __attribute__((aligned(16)));

#define BTF_SIZE (3 * BROKER_CHUNK_MAX + 100)

static uint8_t message[BTF_SIZE];

static void fill(void) {
        for (size_t i = 0; i < sizeof(message); i++)
                message[i] = (uint8_t)(i * 7 + i / 256);
}

/* Chunk number i of the message as a BTF load; its length. */
static size_t chunk(struct datagram *d, size_t i) {
        size_t offset = i * BROKER_CHUNK_MAX, n = MIN(sizeof(message) - offset, BROKER_CHUNK_MAX);

        d->frame = (struct broker_frame){ .type = BROKER_BTF_LOAD,
                                          .seq = 1,
                                          .total = sizeof(message),
                                          .offset = (uint32_t)offset };
        memcpy(d->data, message + offset, n);
        return sizeof(d->frame) + n;
}

static int feed(struct assembler *a, struct datagram *d, size_t len, struct request *request) {
        struct error err = { 0 };

        return assemble(a, PHASE_LOADING, (uint8_t *)d, len, request, &err);
}

static void test_chunks_make_a_message(void **state) {
        struct assembler a = { 0 };
        static struct datagram d;
        struct request request;

        fill();
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(feed(&a, &d, chunk(&d, i), &request), 0);
        assert_int_equal(feed(&a, &d, chunk(&d, 3), &request), 1);
        assert_int_equal(request.type, BROKER_BTF_LOAD);
        assert_int_equal(request.payload_len, sizeof(message) - sizeof(struct broker_btf_load));
        assert_memory_equal(request.body, message, sizeof(struct broker_btf_load));
        assert_memory_equal(request.payload, message + sizeof(struct broker_btf_load),
                            request.payload_len);
        assert_int_equal((uintptr_t)request.body % 8, 0);

        /* The next message starts anew. */
        (void)chunk(&d, 0);
        d.frame.seq = 2;
        assert_int_equal(feed(&a, &d, sizeof(d), &request), 0);
        assembler_done(&a);
}

/* Each field of a later chunk's frame must be what the first one said. */
static void test_chunks_that_do_not_fit(void **state) {
        static struct datagram d;
        struct request request;

        fill();
        for (size_t byte = 0; byte < sizeof(struct broker_frame); byte++) {
                struct assembler a = { 0 };
                size_t len;

                assert_int_equal(feed(&a, &d, chunk(&d, 0), &request), 0);
                len = chunk(&d, 1);
                ((uint8_t *)&d.frame)[byte] ^= 1;
                assert_int_equal(feed(&a, &d, len, &request), -EPROTO);
                assembler_done(&a);
        }
}

static void test_chunk_of_every_wrong_length(void **state) {
        static const size_t wrong[] = { 0, 1, 8, BROKER_CHUNK_MAX - 1 };
        static struct datagram d;
        struct request request;

        fill();
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct assembler a = { 0 };

                (void)chunk(&d, 0);
                assert_int_equal(feed(&a, &d, sizeof(d.frame) + wrong[i], &request), -EPROTO);
                assert_int_equal(feed(&a, &d, chunk(&d, 0), &request), 0);
                (void)chunk(&d, 1);
                assert_int_equal(feed(&a, &d, sizeof(d.frame) + wrong[i], &request), -EPROTO);
                assembler_done(&a);
        }
}

/* --- cutting replies --- */

struct wire {
        int near_fd, far_fd;
};

static void wire_init(struct wire *w, int buffer) {
        assert_int_equal(socket_pair(SOCK_SEQPACKET, &w->near_fd, &w->far_fd), 0);
        assert_int_equal(setsockopt(w->near_fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
}

static void wire_done(struct wire *w) {
        close_fd(&w->near_fd);
        close_fd(&w->far_fd);
}

/* One datagram at the far end: bytes behind the frame, -1 = none there. */
static ssize_t take(struct wire *w, struct datagram *d, int *ret_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = d, .iov_len = sizeof(*d) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(w->far_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);

        *ret_fd = -1;
        if (c)
                memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
        return n < 0 ? -1 : n - (ssize_t)sizeof(d->frame);
}

static int put(struct sender *s, struct wire *w, const int *fds, size_t n_fds) {
        struct broker_reply body = { .result = 7 };

        return sender_put(s, w->near_fd, BROKER_BTF_LOAD | BROKER_REPLY, 3,
                          BYTES(&body, sizeof(body)), BYTES(message, sizeof(message)), fds, n_fds);
}

static void test_reply_of_several_chunks(void **state) {
        size_t total = sizeof(struct broker_reply) + sizeof(message), at = 0;
        static struct datagram d;
        struct sender s = { 0 };
        struct wire w;
        int fd, r;

        fill();
        wire_init(&w, 64 << 10); /* room for a chunk or two, not for all */
        r = put(&s, &w, NULL, 0);
        assert_int_equal(r, 0);
        assert_true(sender_is_busy(&s));
        /* A second message has to wait for the first. */
        assert_int_equal(put(&s, &w, NULL, 0), -EBUSY);
        while (at < total) {
                ssize_t n = take(&w, &d, &fd);

                assert_true(n > 0);
                assert_int_equal(d.frame.offset, at);
                assert_int_equal(d.frame.total, total);
                for (size_t i = at < 8 ? 8 - at : 0; i < (size_t)n; i++)
                        assert_int_equal(d.data[i], message[at + i - 8]);
                at += (size_t)n;
                r = sender_flush(&s, w.near_fd);
                assert_true(r >= 0);
        }
        assert_int_equal(r, 1);
        assert_false(sender_is_busy(&s));
        sender_done(&s);
        wire_done(&w);
}

/* The fd is the caller's and is closed at once; it arrives all the same when the message had to
 * wait. */
static void test_fd_of_a_waiting_reply(void **state) {
        static struct datagram d;
        struct sender s = { 0 };
        struct stat here, there;
        struct wire w;
        int fd, mine;
        bool found = false;

        fill();
        wire_init(&w, 128 << 10);
        while (send(w.near_fd, message, 1000, MSG_DONTWAIT) > 0)
                ;
        mine = memfd_sized("fd", 1);
        assert_int_equal(fstat(mine, &here), 0);
        assert_int_equal(put(&s, &w, &mine, 1), 0);
        close_fd(&mine);
        for (int i = 0; i < 10000 && sender_is_busy(&s); i++) {
                if (take(&w, &d, &fd) >= 0 && fd >= 0) {
                        assert_int_equal(fstat(fd, &there), 0);
                        assert_int_equal(here.st_ino, there.st_ino);
                        close_fd(&fd);
                        found = true;
                }
                assert_true(sender_flush(&s, w.near_fd) >= 0);
        }
        while (take(&w, &d, &fd) >= 0) {
                found |= fd >= 0;
                close_fd(&fd);
        }
        assert_true(found);
        assert_int_equal(s.n_fds, 0);
        sender_done(&s);
        wire_done(&w);
}

static void test_message_without_payload(void **state) {
        static struct datagram d;
        struct sender s = { 0 };
        struct wire w;
        int fd;

        wire_init(&w, 128 << 10);
        assert_int_equal(
                sender_put(&s, w.near_fd, BROKER_STOP, 0, BYTES(NULL, 0), BYTES(NULL, 0), NULL, 0),
                1);
        assert_int_equal(take(&w, &d, &fd), 0);
        assert_int_equal(d.frame.type, BROKER_STOP);
        assert_int_equal(d.frame.total, 0);
        close_fd(&w.far_fd);
        assert_int_equal(
                sender_put(&s, w.near_fd, BROKER_STOP, 0, BYTES(NULL, 0), BYTES(NULL, 0), NULL, 0),
                -EPIPE);
        sender_done(&s);
        wire_done(&w);
}

/* --- handles --- */

static void test_handles(void **state) {
        struct objects o = { 0 };
        struct object *object;
        uint32_t handle;

        assert_null(objects_find(&o, 0));
        assert_null(objects_find(&o, 1));
        for (uint32_t i = 1; i <= LIMIT_BROKER_OBJECTS_MAX; i++) {
                assert_int_equal(objects_add(&o, OBJECT_BTF, -1, &handle, &object), 0);
                assert_int_equal(handle, i);
        }
        assert_int_equal(objects_add(&o, OBJECT_BTF, memfd_sized("x", 1), &handle, &object),
                         -ENOSPC);
        assert_null(objects_find(&o, LIMIT_BROKER_OBJECTS_MAX + 1));
        assert_null(objects_find(&o, BROKER_HANDLE_BAD));
        objects_remove(&o, objects_find(&o, 500));
        assert_null(objects_find(&o, 500));
        assert_int_equal(objects_add(&o, OBJECT_MAP, -1, &handle, &object), 0);
        assert_int_equal(handle, 500);
        assert_int_equal(objects_find(&o, 500)->kind, OBJECT_MAP);
        objects_done(&o);
        assert_null(objects_find(&o, 1));
}

/* --- the kernel's log --- */

static void test_seccomp_record(void **state) {
        static const char record[] =
                "5,774,3692262803,-;audit: type=1326 audit(1795301410.140:2): auid=4294967295 "
                "uid=1900004000 gid=1900004000 ses=4294967295 pid=11257 comm=\"gadget-worker\" "
                "exe=\"/gadget-worker\" sig=31 arch=c000003e syscall=99 compat=0 "
                "ip=0x7f192c2545a7 code=0x80000000\n";
        char cut[sizeof(record)];
        uint32_t arch, nr;

        assert_true(kmsg_parse(record, 11257, &arch, &nr));
        assert_int_equal(arch, 0xc000003e);
        assert_int_equal(nr, 99);
        assert_false(kmsg_parse(record, 1125, &arch, &nr));
        assert_false(kmsg_parse(record, 112570, &arch, &nr));
        assert_false(kmsg_parse("6,1,1,-;usb 1-1: pid=11257 arch=1 syscall=2", 11257, &arch, &nr));
        for (size_t n = 0; n < strlen(record); n++) {
                memcpy(cut, record, n);
                cut[n] = '\0';
                if (kmsg_parse(cut, 11257, &arch, &nr))
                        assert_true(n >= (size_t)(strstr(record, "syscall=9") - record) + 9);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_make_a_message),
        cmocka_unit_test(test_chunks_that_do_not_fit),
        cmocka_unit_test(test_chunk_of_every_wrong_length),
        cmocka_unit_test(test_reply_of_several_chunks),
        cmocka_unit_test(test_fd_of_a_waiting_reply),
        cmocka_unit_test(test_message_without_payload),
        cmocka_unit_test(test_handles),
        cmocka_unit_test(test_seccomp_record),
};
TEST_MAIN("broker-message", tests)
