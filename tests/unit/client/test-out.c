/* SPDX-License-Identifier: Apache-2.0 */
#include "client/out.h"

#include <fcntl.h>
#include <pthread.h>

#include "tests/lib/needs.h"

static void test_memory_grows(void **state) {
        char text[1000];
        struct out out;

        memset(text, 'x', sizeof(text));
        assert_int_equal(out_init(&out, -1, 16), 0);
        for (unsigned int i = 0; i < 100; i++)
                out_put(&out, text, sizeof(text));
        assert_int_equal(out_pending(&out), 100 * sizeof(text));
        assert_int_equal(out_room(&out, 1 << 20), 0);
        assert_true((size_t)(out.end - out.pos) >= 1 << 20);
        assert_int_equal(out_pending(&out), 100 * sizeof(text));
        assert_int_equal(out_flush(&out), 0);
        assert_int_equal(out.data[99999], 'x');
        out_done(&out);
}

/* Reads everything, a little at a time. */
struct reader {
        int fd;
        size_t n;
        bool is_ordered;
        pthread_t thread;
};

static void *read_all(void *userdata) {
        struct reader *r = userdata;
        uint8_t data[777];
        ssize_t n;

        r->is_ordered = true;
        while ((n = read(r->fd, data, sizeof(data))) > 0)
                for (ssize_t i = 0; i < n; i++)
                        r->is_ordered &= data[i] == (uint8_t)(r->n++ % 251);
        return NULL;
}

/* Standard output may be a non-blocking pipe that is full more often than not. */
static void test_nonblocking_pipe(void **state) {
        struct reader r = { 0 };
        struct out out;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_true(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
        r.fd = fds[0];
        assert_int_equal(pthread_create(&r.thread, NULL, read_all, &r), 0);
        assert_int_equal(out_init(&out, fds[1], 10000), 0);
        for (size_t i = 0; i < 1000000; i++) {
                uint8_t byte = (uint8_t)(i % 251);

                out_put(&out, &byte, 1);
        }
        assert_int_equal(out_flush(&out), 0);
        assert_int_equal(out.n_lost, 0);
        close(fds[1]);
        pthread_join(r.thread, NULL);
        assert_int_equal(r.n, 1000000);
        assert_true(r.is_ordered);
        close(fds[0]);
        out_done(&out);
}

/* The first failure stays; what comes after it is dropped and counted, and there is always room. */
static void test_failure(void **state) {
        char text[100] = { 0 };
        struct out out;
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(out_init(&out, fd, 64), 0);
        out_put(&out, text, sizeof(text));
        assert_int_equal(out.error, -ENOSPC);
        assert_int_equal(out_flush(&out), -ENOSPC);
        out_put(&out, text, sizeof(text));
        assert_int_equal(out_flush(&out), -ENOSPC);
        assert_int_equal(out.n_lost, 2 * sizeof(text));
        assert_int_equal(out_room(&out, 64), 0);
        assert_int_equal(out_room(&out, 65), -ENOBUFS);
        close(fd);
        out_done(&out);
}

/* A user who has asked twice does not wait for a reader that never reads. */
static void test_give_up(void **state) {
        static const volatile sig_atomic_t asked = 2;
        static char text[1 << 20];
        struct out out;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(out_init(&out, fds[1], 4096), 0);
        out.give_up = &asked;
        out_put(&out, text, sizeof(text));
        assert_int_equal(out_flush(&out), -EINTR);
        close(fds[0]);
        close(fds[1]);
        out_done(&out);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_grows),
        cmocka_unit_test(test_nonblocking_pipe),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_give_up),
};

TEST_MAIN("client-out", tests)
