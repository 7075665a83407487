/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tc programs by filters, as on kernels before 6.6, in a network namespace of the test's own: they
 * see packets while they are attached, others' are left alone, and who is killed leaves nothing
 * that does anything.
 */
#include <arpa/inet.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/bpf.h"
#include "broker/clsact.h"
#include "tests/lib/needs.h"
#include "tests/lib/wait.h"

#define N 10

/* --- a program that counts packets --- */

struct counter {
        int map_fd;
        int prog_fd;
};

static void counter_init(struct counter *c) {
        struct bpf_insn insns[] = {
                /* key = 0 on the stack */
                { .code = BPF_ST | BPF_MEM, .dst_reg = BPF_REG_10, .off = -4 },
                { .code = BPF_ALU64 | BPF_MOV | BPF_X,
                  .dst_reg = BPF_REG_2,
                  .src_reg = BPF_REG_10 },
                /* BPF_ADD, which is 0 */
                { .code = BPF_ALU64 | BPF_K, .dst_reg = BPF_REG_2, .imm = -4 },
                { .code = BPF_LD | BPF_IMM | BPF_DW,
                  .dst_reg = BPF_REG_1,
                  .src_reg = BPF_PSEUDO_MAP_FD },
                { 0 },
                { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
                { .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 2 },
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = 1 },
                { .code = BPF_STX | BPF_ATOMIC | BPF_DW,
                  .dst_reg = BPF_REG_0,
                  .src_reg = BPF_REG_1,
                  .imm = BPF_ADD },
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC },
                { .code = BPF_JMP | BPF_EXIT },
        };

        c->map_fd = sys_bpf(BPF_MAP_CREATE, &(union bpf_attr){ .map_type = BPF_MAP_TYPE_ARRAY,
                                                               .key_size = 4,
                                                               .value_size = 8,
                                                               .max_entries = 1 });
        assert_true(c->map_fd >= 0);
        insns[3].imm = c->map_fd;
        c->prog_fd = sys_bpf(BPF_PROG_LOAD, &(union bpf_attr){ .prog_type = BPF_PROG_TYPE_SCHED_CLS,
                                                               .insn_cnt = ARRAY_SIZE(insns),
                                                               .insns = ptr_u64(insns),
                                                               .license = ptr_u64("GPL") });
        assert_true(c->prog_fd >= 0);
}

static void counter_done(struct counter *c) {
        close(c->map_fd);
        close(c->prog_fd);
}

static uint64_t count_of(const struct counter *c) {
        uint64_t value = 0;
        uint32_t key = 0;

        assert_int_equal(
                sys_bpf(BPF_MAP_LOOKUP_ELEM, &(union bpf_attr){ .map_fd = (uint32_t)c->map_fd,
                                                                .key = ptr_u64(&key),
                                                                .value = ptr_u64(&value) }),
                0);
        return value;
}

/* --- an empty network namespace --- */

static unsigned int lo;

/* False where this may not be done. */
static void enter_namespace(void) {
        struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        int fd;

        test_needs(NEED_ROOT);
        assert_int_equal(unshare(CLONE_NEWNET), 0);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
        close(fd);
        lo = if_nametoindex("lo");
}

/* n packets, which are through when this returns: the receiver has them. */
static void send_packets(unsigned int n) {
        struct sockaddr_in self = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(self);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char c = 'x';

        assert_int_equal(bind(fd, (struct sockaddr *)&self, sizeof(self)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&self, &len), 0);
        for (unsigned int i = 0; i < n; i++) {
                assert_int_equal(sendto(fd, &c, 1, 0, (struct sockaddr *)&self, len), 1);
                assert_int_equal(recv(fd, &c, 1, 0), 1);
        }
        close(fd);
}

/* --- */

static void test_attach_and_detach(void **state) {
        struct clsact one = { 0 }, other = { 0 };
        struct counter in, out, second;
        int in_fd, out_fd, second_fd;

        enter_namespace();
        counter_init(&in);
        counter_init(&out);
        counter_init(&second);
        in_fd = clsact_link(&one, in.prog_fd, (int)lo, false);
        out_fd = clsact_link(&one, out.prog_fd, (int)lo, true);
        if (in_fd == -ENOENT)
                test_unmet("clsact", "this kernel has no clsact queue or no BPF filters");
        assert_true(in_fd >= 0 && out_fd >= 0);
        send_packets(N);
        assert_int_equal(count_of(&in), N);
        assert_int_equal(count_of(&out), N);

        /* Another gadget on the same interface: both see each packet. */
        second_fd = clsact_link(&other, second.prog_fd, (int)lo, false);
        assert_true(second_fd >= 0);
        assert_int_equal(clsact_count((int)lo), 3);
        send_packets(N);
        assert_int_equal(count_of(&in), 2 * N);
        assert_int_equal(count_of(&second), N);

        /* The first goes, which made the queue: the other one stays. */
        clsact_done(&one);
        assert_int_equal(clsact_count((int)lo), 1);
        send_packets(N);
        assert_int_equal(count_of(&in), 2 * N);
        assert_int_equal(count_of(&second), 2 * N);
        clsact_done(&other);
        assert_int_equal(clsact_count((int)lo), 0);
        close(in_fd);
        close(out_fd);
        close(second_fd);
        counter_done(&in);
        counter_done(&out);
        counter_done(&second);
}

/* A broker that is killed: its filter stays, and does nothing, until the next one comes. */
static void test_killed(void **state) {
        struct clsact next = { 0 };
        struct counter counter, later;
        uint64_t before;
        int fds[2], fd;
        char c = 'x';
        pid_t pid;

        enter_namespace();
        counter_init(&counter);
        counter_init(&later);
        assert_int_equal(pipe(fds), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct clsact mine = { 0 };

                if (clsact_link(&mine, counter.prog_fd, (int)lo, false) < 0)
                        _exit(1);
                (void)!write(fds[1], &c, 1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(fds[0], &c, 1), 1);
        send_packets(N);
        assert_int_equal(count_of(&counter), N);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        /* The kernel empties the table a little later. */
        assert_true(WAIT_UNTIL(
                (before = count_of(&counter), send_packets(1), count_of(&counter) == before),
                WAIT_DEFAULT));
        assert_int_equal(clsact_count((int)lo), 1);

        fd = clsact_link(&next, later.prog_fd, (int)lo, false);
        assert_true(fd >= 0);
        assert_int_equal(clsact_count((int)lo), 1); /* its own */
        send_packets(N);
        assert_int_equal(count_of(&later), N);
        assert_int_equal(count_of(&counter), before);
        clsact_done(&next);
        assert_int_equal(clsact_count((int)lo), 0);
        close(fd);
        close(fds[0]);
        close(fds[1]);
        counter_done(&counter);
        counter_done(&later);
}

/* Closing the table alone is enough for the program to see nothing any more. */
static void test_closed(void **state) {
        struct clsact c = { 0 };
        struct counter counter;
        uint64_t before;
        int fd;

        enter_namespace();
        counter_init(&counter);
        fd = clsact_link(&c, counter.prog_fd, (int)lo, true);
        assert_true(fd >= 0);
        send_packets(N);
        assert_int_equal(count_of(&counter), N);
        close(fd);
        assert_true(WAIT_UNTIL(
                (before = count_of(&counter), send_packets(1), count_of(&counter) == before),
                WAIT_DEFAULT));
        assert_int_equal(clsact_link(&c, counter.prog_fd, 4711, true), -ENODEV);
        clsact_done(&c);
        counter_done(&counter);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach_and_detach),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_closed),
};
TEST_MAIN("broker-clsact", tests)
