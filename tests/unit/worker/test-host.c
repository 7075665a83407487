/* SPDX-License-Identifier: Apache-2.0 */
/* A worker whose broker says impossible things at the start: it gives up, and says of what. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "gadget/broker.h"
#include "tests/lib/needs.h"
#include "tests/lib/wait.h"

static struct {
        pid_t pid;
        int channel_fd;
        int log_fd;
} worker;

/* The real program, as a broker starts it, but for its namespaces. */
static void start(void) {
        int channel[2], log[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, log), 0);
        worker.pid = fork();
        assert_true(worker.pid >= 0);
        if (worker.pid == 0) {
                int channel_fd = fcntl(channel[1], F_DUPFD, 100),
                    log_fd = fcntl(log[1], F_DUPFD, 100);

                if (dup2(channel_fd, CHILD_FD_CHANNEL) < 0 || dup2(log_fd, CHILD_FD_LOG) < 0)
                        _exit(100);
                for (int fd = CHILD_FD_LOG + 1; fd < 200; fd++)
                        (void)close(fd);
                execl(TEST_WORKER, "gadget-worker", NULL);
                _exit(101);
        }
        close(channel[1]);
        close(log[1]);
        worker.channel_fd = channel[0];
        worker.log_fd = log[0];
}

static void say(enum broker_type type, const void *data, size_t n, size_t n_fds) {
        struct broker_frame frame = { .type = (uint16_t)type, .total = (uint32_t)n };
        struct iovec iov[] = { { &frame, sizeof(frame) }, { (void *)(uintptr_t)data, n } };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(4 * sizeof(int))];
        } control = { 0 };
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[4] = { fd, fd, fd, fd };

        if (n_fds > 0) {
                control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                                   .cmsg_type = SCM_RIGHTS,
                                                   .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
                memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        assert_int_equal(sendmsg(worker.channel_fd, &msg, MSG_NOSIGNAL), sizeof(frame) + n);
        close(fd);
}

/* It tells its broker why, and ends. */
static void expect_fault(const char *text) {
        struct {
                struct broker_frame frame;
                struct broker_fault fault;
                char text[1024];
        } said = { 0 };
        int status;

        assert_int_equal(wait_readable(worker.channel_fd, WAIT_DEFAULT), 0);
        assert_true(recv(worker.channel_fd, &said, sizeof(said) - 1, 0) > 0);
        assert_int_equal(said.frame.type, BROKER_FAULT);
        if (!strstr(said.text, text))
                fail_msg("'%s' is not '%s'", said.text, text);
        assert_int_equal(waitpid(worker.pid, &status, 0), worker.pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        close(worker.channel_fd);
        close(worker.log_fd);
}

static void test_number_of_cpus(void **state) {
        static const uint32_t wrong[] = { 0, UINT32_MAX };
        char text[64];

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct broker_hello hello = { .n_cpus = wrong[i] };

                start();
                say(BROKER_HELLO, &hello, sizeof(hello), 0);
                snprintf(text, sizeof(text), "this machine has %u CPUs", wrong[i]);
                expect_fault(text);
        }
}

static void test_short_hello(void **state) {
        start();
        say(BROKER_HELLO, "", 1, 0);
        expect_fault("the broker did not say hello");
}

/* An image's name that is longer than the message, and descriptors that are missing. */
static void test_malformed_start(void **state) {
        struct broker_hello hello = { .n_cpus = 1 };
        struct broker_start long_name = { .image_len = 1000 }, no_fds = { 0 };

        start();
        say(BROKER_HELLO, &hello, sizeof(hello), 0);
        say(BROKER_START, &long_name, sizeof(long_name), 4);
        expect_fault("the broker's start is malformed");
        start();
        say(BROKER_HELLO, &hello, sizeof(hello), 0);
        say(BROKER_START, &no_fds, sizeof(no_fds), 3);
        expect_fault("the broker's start is malformed");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_of_cpus),
        cmocka_unit_test(test_short_hello),
        cmocka_unit_test(test_malformed_start),
};
TEST_MAIN("worker-host", tests)
