/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's list of functions: what is taken of it, which one an address is in, and what a
 * worker is told. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/file.h"
#include "broker/broker.h"
#include "tests/lib/needs.h"

static int file_of(const char *text) {
        int fd = memfd_create("kallsyms", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        return fd;
}

static const char kallsyms[] = "0000000000000000 A fixed_percpu_data\n"
                               "ffffffff81000000 T _text\n"
                               "ffffffff81000000 T first\n"
                               "ffffffff81000100 t second\n"
                               "ffffffff81000180 d a_variable\n"
                               "ffffffff81000200 W third\n"
                               "ffffffff81000300 t $x.1\n"
                               "garbage\n"
                               "\n"
                               "ffffffff81000400 t\n"
                               "ffffffffc0000100 t later\t[module]\n"
                               "ffffffffc0000000 t earlier\t[module]\n";

static void test_find(void **state) {
        static const struct {
                uint64_t address;
                const char *name;
        } cases[] = {
                { 0xffffffff80ffffff, NULL },
                { 0xffffffff81000000, "_text" },
                { 0xffffffff810000ff, "_text" },
                { 0xffffffff81000100, "second" },
                { 0xffffffff810001ff, "second" },
                { 0xffffffff81000200, "third" },
                { 0xffffffff81000400, "third" },
                { 0xffffffff81100200, "third" },
                { 0xffffffff81100201, NULL },
                { 0xffffffffc0000000, "earlier" },
                { 0xffffffffc00000ff, "earlier" },
                { 0xffffffffc0000100, "later" },
                { 0, NULL },
                { UINT64_MAX, NULL },
        };
        struct kernel_symbols s = { 0 };
        int fd = file_of(kallsyms);

        for (int round = 0; round < 2; round++) { /* the same fd serves again */
                assert_int_equal(kernel_symbols_read(&s, fd), 0);
                assert_int_equal(s.n, 6);
                for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                        const char *name = kernel_symbols_find(&s, cases[i].address);

                        if (cases[i].name)
                                assert_string_equal(name, cases[i].name);
                        else
                                assert_null(name);
                }
        }
        kernel_symbols_done(&s);
        close(fd);
}

static void test_hidden(void **state) {
        struct kernel_symbols s = { 0 };
        int fd = file_of("0000000000000000 T _text\n0000000000000000 T first\n");

        assert_int_equal(kernel_symbols_read(&s, fd), -EACCES);
        assert_null(kernel_symbols_find(&s, 0));
        close(fd);
        fd = file_of("");
        assert_int_equal(kernel_symbols_read(&s, fd), -EACCES);
        close(fd);
}

/* A line that does not end. */
static void test_endless_line(void **state) {
        char *text = malloc(1 << 20);
        struct kernel_symbols s = { 0 };
        int fd;

        memset(text, 'x', (1 << 20) - 1);
        text[(1 << 20) - 1] = '\0';
        fd = file_of(text);
        assert_int_equal(kernel_symbols_read(&s, fd), -EBADMSG);
        assert_int_equal(s.n, 0);
        close(fd);
        free(text);
}

static void test_own_kernel(void **state) {
        cleanup_close int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
        struct kernel_symbols s = { 0 };
        int r;

        assert_true(fd >= 0);
        r = kernel_symbols_read(&s, fd);
        if (r == -EACCES) { /* hidden from this user, which is an answer as well */
                assert_int_equal(s.n, 0);
                return;
        }
        assert_int_equal(r, 0);
        assert_true(s.n > 1000);
        for (size_t i = 1; i < s.n; i++)
                assert_true(s.items[i - 1].address <= s.items[i].address);
        kernel_symbols_done(&s);
}

/* --- the request --- */

struct bed {
        struct broker *broker;
        struct reply reply;
        struct error err;
        int peer_fd;
};

static void bed_init(struct bed *bed) {
        int fd;

        *bed = (struct bed){ .reply = { .payload = BUF_INIT(1 << 20), .fd = -1 } };
        assert_int_equal(socket_pair(SOCK_SEQPACKET, &bed->peer_fd, &fd), 0);
        assert_int_equal(broker_new(fd, &bed->broker), 0);
        bed->broker->has_stacks = true;
        bed->broker->kallsyms_fd = file_of(kallsyms);
}

static void bed_done(struct bed *bed) {
        buf_done(&bed->reply.payload);
        broker_free(bed->broker);
        close_fd(&bed->peer_fd);
}

static int ask(struct bed *bed, const uint64_t *addresses, size_t n_bytes) {
        struct request request = { .type = BROKER_KERNEL_SYMBOLS,
                                   .payload = (uint8_t *)(uintptr_t)addresses,
                                   .payload_len = n_bytes };

        buf_reset(&bed->reply.payload);
        bed->reply.result = 0;
        bed->err = (struct error){ 0 };
        return on_kernel_symbols(bed->broker, &request, &bed->reply, &bed->err);
}

static void test_request(void **state) {
        static const uint64_t addresses[LIMIT_STACK_FRAMES_MAX + 1] = { 0xffffffff81000101, 1,
                                                                        0xffffffffc0000001 };
        static const char names[] = "\6second\0\7earlier";
        struct bed bed;

        bed_init(&bed);
        assert_int_equal(ask(&bed, addresses, 3 * sizeof(uint64_t)), 0);
        assert_int_equal(bed.reply.result, 0);
        assert_int_equal(bed.reply.payload.len, sizeof(names) - 1);
        assert_memory_equal(bed.reply.payload.data, names, sizeof(names) - 1);

        assert_int_equal(ask(&bed, addresses, LIMIT_STACK_FRAMES_MAX * sizeof(uint64_t)), 0);
        assert_int_equal(bed.reply.payload.len, sizeof(names) - 1 + LIMIT_STACK_FRAMES_MAX - 3);
        assert_int_equal(ask(&bed, addresses, sizeof(addresses)), -EPROTO);
        assert_int_equal(ask(&bed, addresses, 0), -EPROTO);
        assert_int_equal(ask(&bed, addresses, 7), -EPROTO);
        /* Who has no stacks has no addresses that need a name. */
        bed.broker->has_stacks = false;
        assert_int_equal(ask(&bed, addresses, sizeof(uint64_t)), -EPERM);
        assert_non_null(strstr(bed.err.msg, "without a map of stacks"));
        bed_done(&bed);
}

/* A name has one byte of length. */
static void test_long_name(void **state) {
        char text[600] = "ffffffff81000000 T ";
        const uint64_t address = 0xffffffff81000000;
        struct bed bed;

        bed_init(&bed);
        close_fd(&bed.broker->kallsyms_fd);
        memset(text + strlen(text), 'n', 511);
        bed.broker->kallsyms_fd = file_of(strcat(text, "\n"));
        assert_int_equal(ask(&bed, &address, sizeof(address)), 0);
        assert_int_equal(bed.reply.payload.len, 1 + UINT8_MAX);
        assert_int_equal(bed.reply.payload.data[0], UINT8_MAX);
        bed_done(&bed);
}

static void test_no_list(void **state) {
        const uint64_t address = 0xffffffff81000000;
        struct bed bed;

        bed_init(&bed);
        close_fd(&bed.broker->kallsyms_fd);
        assert_int_equal(ask(&bed, &address, sizeof(address)), 0);
        assert_int_equal(bed.reply.result, -ENOENT);
        bed_done(&bed);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),         cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_endless_line), cmocka_unit_test(test_own_kernel),
        cmocka_unit_test(test_request),      cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_no_list),
};
TEST_MAIN("broker-kernel-symbols", tests)
