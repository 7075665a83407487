/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdio.h>
#include <sys/socket.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/needs.h"

/* The log writes to one end, the test reads records at the other. */
static int our_fd = -1, log_fd = -1;

static int setup(void **state) {
        if (socket_pair(SOCK_SEQPACKET, &our_fd, &log_fd) < 0)
                return -1;
        log_init("test", log_fd);
        log_set_level(LOG_LEVEL_INFO);
        log_context("%s", "");
        return 0;
}

static int teardown(void **state) {
        log_init("test", -1);
        close_fd(&our_fd);
        close_fd(&log_fd);
        return 0;
}

static void expect(int level, const char *text) {
        char record[LIMIT_LOG_TEXT_MAX + 16];
        ssize_t n = recv(our_fd, record, sizeof(record), 0);

        assert_true(n >= 1);
        assert_int_equal(record[0], level);
        assert_int_equal(n - 1, strlen(text));
        assert_memory_equal(record + 1, text, strlen(text));
}

static void expect_nothing(void) {
        char c;

        assert_int_equal(recv(our_fd, &c, 1, 0), -1);
        assert_int_equal(errno, EAGAIN);
}

static void test_levels(void **state) {
        log_debug("quiet");
        expect_nothing();
        log_info("n %d", 1);
        expect(LOG_LEVEL_INFO, "n 1");
        log_set_level(LOG_LEVEL_ERROR);
        assert_int_equal(log_get_level(), LOG_LEVEL_ERROR);
        log_warning("quiet");
        expect_nothing();
        log_error("loud");
        expect(LOG_LEVEL_ERROR, "loud");
}

static void test_errno(void **state) {
        errno = EDOM;
        assert_int_equal(log_warning_errno(-ENOENT, "open '%s'", "f"), -ENOENT);
        assert_int_equal(errno, EDOM);
        expect(LOG_LEVEL_WARNING, "open 'f': No such file or directory");
        log_set_level(LOG_LEVEL_ERROR);
        assert_int_equal(log_info_errno(-EIO, "x"), -EIO);
        expect_nothing();
}

static void test_context(void **state) {
        log_context("instance %s", "3f2a");
        log_info("up");
        expect(LOG_LEVEL_INFO, "instance 3f2a: up");
        log_context("%s", "");
        log_info("up");
        expect(LOG_LEVEL_INFO, "up");
}

static void test_long_records_are_cut(void **state) {
        char text[2 * LIMIT_LOG_TEXT_MAX], record[4 * LIMIT_LOG_TEXT_MAX];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        log_info("%s", text);
        assert_int_equal(recv(our_fd, record, sizeof(record), 0), LIMIT_LOG_TEXT_MAX + 1);
}

static void test_relay_neutralises(void **state) {
        static const uint8_t record[] = "\2bad \x1b[2J\n\xff<3>";

        log_relay("worker", BYTES(record, sizeof(record) - 1));
        expect(LOG_LEVEL_INFO, "worker: bad \\x1b[2J\\n\\xff<3>");

        /* Nothing to say, or a level from nowhere. */
        log_relay("worker", BYTES("\0", 1));
        log_relay("worker", BYTES("", 0));
        expect_nothing();
        log_relay("worker", BYTES("\x7fx", 2));
        expect(LOG_LEVEL_ERROR, "worker: x");
}

static void test_full_socket_drops_and_says_so(void **state) {
        unsigned int n_sent = 0, n_read = 0;
        char record[LIMIT_LOG_TEXT_MAX + 16];
        int size = 4096;

        assert_int_equal(setsockopt(log_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
        for (; n_sent < 10000; n_sent++)
                log_info("record %u", n_sent);
        while (recv(our_fd, record, sizeof(record), 0) > 0)
                n_read++;
        assert_in_range(n_read, 1, n_sent - 1);

        log_info("after");
        snprintf(record, sizeof(record), "%u log records dropped, the log was full",
                 n_sent - n_read);
        expect(LOG_LEVEL_WARNING, record);
        expect(LOG_LEVEL_INFO, "after");
}

static void test_dead_reader_is_survived(void **state) {
        close_fd(&our_fd);
        log_error("nobody hears, nobody dies of SIGPIPE");
        assert_int_equal(log_get_level(), LOG_LEVEL_INFO);
}

#define TEST(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_levels),
        TEST(test_errno),
        TEST(test_context),
        TEST(test_long_records_are_cut),
        TEST(test_relay_neutralises),
        TEST(test_full_socket_drops_and_says_so),
        TEST(test_dead_reader_is_survived),
};
TEST_MAIN("base-log", tests)
