/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every type of program that a gadget can have, through the whole chain: a gadget of
 * tests/gadgets/types runs, the test does what the gadget is to see, and the row is exact. A type
 * that this kernel cannot do is skipped with the reason.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/parse.h"
#include "gadget/program-types.h"
#include "tests/lib/env.h"

#define TEST_PORT 47111
#define TEST_PROTOCOL 253
#define ROWS_MAX 6
#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)

/* --- what the gadgets are to see --- */

static int make_socket(int family, int type, int protocol) {
        int fd = socket(family, type | SOCK_CLOEXEC, protocol);

        assert_true(fd >= 0);
        return fd;
}

static struct sockaddr_in6 loopback6(void) {
        return (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                      .sin6_port = htons(TEST_PORT),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
}

static struct sockaddr_in loopback4(void) {
        return (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_port = htons(TEST_PORT),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void act_packet(void) {
        struct sockaddr_in to = loopback4();
        int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

        assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
        close(fd);
}

/* Each call that has an address: bind, connect, sendmsg, recvmsg, getpeername, getsockname. */
static void talk_to_self(const struct sockaddr *self, socklen_t len) {
        int fd = make_socket(self->sa_family, SOCK_DGRAM, 0);
        struct sockaddr_storage from;
        socklen_t n = sizeof(from);
        char c;

        assert_int_equal(bind(fd, self, len), 0);
        assert_int_equal(sendto(fd, "x", 1, 0, self, len), 1);
        assert_int_equal(recvfrom(fd, &c, 1, 0, (struct sockaddr *)&from, &n), 1);
        assert_int_equal(connect(fd, self, len), 0);
        n = sizeof(from);
        assert_int_equal(getpeername(fd, (struct sockaddr *)&from, &n), 0);
        n = sizeof(from);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&from, &n), 0);
        close(fd);
}

static void act_addresses4(void) {
        struct sockaddr_in self = loopback4();

        talk_to_self((struct sockaddr *)&self, sizeof(self));
}

static void act_addresses6(void) {
        struct sockaddr_in6 self = loopback6();

        talk_to_self((struct sockaddr *)&self, sizeof(self));
}

static void act_sockets(void) {
        close(make_socket(AF_INET, SOCK_RAW, TEST_PROTOCOL));
        act_addresses4();
        act_addresses6();
}

static void act_connection(void) {
        struct sockaddr_in self = loopback4();
        int listener = make_socket(AF_INET, SOCK_STREAM, 0), client, server, one = 1;
        char text[5];

        assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&self, sizeof(self)), 0);
        assert_int_equal(listen(listener, 1), 0);
        client = make_socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&self, sizeof(self)), 0);
        server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(server >= 0);
        assert_int_equal(send(client, "hello", 5, 0), 5);
        assert_int_equal(recv(server, text, sizeof(text), MSG_WAITALL), 5);
        close(client);
        close(server);
        close(listener);
}

static void act_options(void) {
        int fd = make_socket(AF_INET, SOCK_DGRAM, 0), value = 1;
        socklen_t n = sizeof(value);

        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, &n), 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)), 0);
        close(fd);
}

static void read_some(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char c;

        assert_true(fd >= 0);
        assert_int_equal(read(fd, &c, 1), 1);
        close(fd);
}

static void act_sysctl(void) {
        read_some("/proc/sys/kernel/ostype");
}

static void act_device(void) {
        read_some("/dev/full");
}

/* Through libc, and back with the session's id. */
static void act_getsid(void) {
        assert_int_equal(getsid(getpid()), getsid(0));
}

/* A USDT probe by hand, as sys/sdt.h would make it: a place in the code, and a note of it with
 * provider, name and where the argument is. */
#if defined(__aarch64__)
#define ARGUMENT "-4@%x0"
#else
#define ARGUMENT "-4@%0"
#endif
static void act_usdt(void) {
        int value = TEST_PORT;

        __asm__ volatile("990: nop\n"
                         ".pushsection .note.stapsdt,\"?\",\"note\"\n"
                         ".balign 4\n"
                         ".4byte 992f-991f, 994f-993f, 3\n"
                         "991: .asciz \"stapsdt\"\n"
                         "992: .balign 4\n"
                         "993: .8byte 990b\n"
                         ".8byte _.stapsdt.base\n"
                         ".8byte 0\n"
                         ".asciz \"gadget_test\"\n"
                         ".asciz \"ping\"\n"
                         ".asciz \"" ARGUMENT "\"\n"
                         "994: .balign 4\n"
                         ".popsection\n"
                         ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
                         ".weak _.stapsdt.base\n"
                         ".hidden _.stapsdt.base\n"
                         "_.stapsdt.base: .space 1\n"
                         ".size _.stapsdt.base, 1\n"
                         ".popsection\n"
                         :
                         : "r"(value));
}

/* ENOTEMPTY, which only the file system itself can say. */
static void act_rmdir(void) {
        char dir[] = "/tmp/test-types-XXXXXX", inner[sizeof(dir) + 2];

        assert_non_null(mkdtemp(dir));
        snprintf(inner, sizeof(inner), "%s/d", dir);
        assert_int_equal(mkdir(inner, 0700), 0);
        assert_int_equal(rmdir(dir), -1);
        assert_int_equal(errno, ENOTEMPTY);
        assert_int_equal(rmdir(inner), 0);
        assert_int_equal(rmdir(dir), 0);
}

static uint64_t own_cpu_ns(void) {
        struct timespec now;

        assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
        return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* As much of a CPU as ten samples of the slower program take. */
static void act_compute(void) {
        uint64_t begun = own_cpu_ns();

        while (own_cpu_ns() - begun < 200 * NSEC_PER_MSEC)
                ;
}

static void act_nothing(void) {}

/* --- the table --- */

/* Stands for numbers that are only known when the test runs. */
#define OWN_PID UINT32_MAX
#define OWN_SID (UINT32_MAX - 1)
#define OWN_PROGRAM "/proc/self/exe"

struct kind {
        const char *gadget;
        enum need need;
        void (*act)(void);
        bool decides;        /* --allow-unsafe */
        bool has_definition; /* GADGET.yaml */
        const char *args[2];
        bool wants_pid;    /* --only_pid with ours */
        const char *lacks; /* what a kernel says that lacks an option for it; NULL = none */
        struct {
                uint32_t hook;
                uint32_t value;
                uint32_t pid;
        } rows[ROWS_MAX]; /* hook 0 = no more */
};

/* clang-format off */
#define LO { "--iface", "lo" }
static const struct kind kinds[] = {
        { "socket", NEED_BPF_SOCKET, act_packet, .args = { "--host" }, .rows = { { 1, TEST_PORT } } },
        { "tc", NEED_ROOT, act_packet, .decides = true, .args = LO, .rows = { { 1, TEST_PORT }, { 2, TEST_PORT } } },
        { "tc_plain", NEED_ROOT, act_packet, .decides = true, .args = LO, .rows = { { 1, TEST_PORT }, { 2, TEST_PORT }, { 3, TEST_PORT }, { 4, TEST_PORT }, { 5, TEST_PORT }, { 6, TEST_PORT } } },
        { "xdp", NEED_BPF_XDP, act_packet, .decides = true, .args = LO, .rows = { { 1, TEST_PORT } } },
        { "xdp_frags", NEED_BPF_XDP, act_packet, .decides = true, .args = LO, .rows = { { 1, TEST_PORT } } },
        { "cgroup_skb", NEED_BPF_CGROUP_SKB, act_addresses4, .decides = true, .rows = { { 1, TEST_PORT }, { 2, TEST_PORT } } },
        { "cgroup_skb_plain", NEED_BPF_CGROUP_SKB, act_addresses4, .decides = true, .rows = { { 1, TEST_PORT } } },
        { "cgroup_sock", NEED_BPF_CGROUP_SKB, act_sockets, .decides = true,
          .rows = { { 1, TEST_PROTOCOL }, { 2, TEST_PROTOCOL }, { 3, TEST_PORT }, { 4, TEST_PORT } } },
        { "cgroup_sock_plain", NEED_BPF_CGROUP_SKB, act_sockets, .decides = true, .rows = { { 1, TEST_PROTOCOL } } },
        { "cgroup_addr4", NEED_BPF_CGROUP_SKB, act_addresses4, .decides = true,
          .rows = { { 1, TEST_PORT }, { 2, TEST_PORT }, { 3, TEST_PORT }, { 4, TEST_PORT }, { 5, TEST_PORT }, { 6, TEST_PORT } } },
        { "cgroup_addr6", NEED_BPF_CGROUP_SKB, act_addresses6, .decides = true,
          .rows = { { 1, TEST_PORT }, { 2, TEST_PORT }, { 3, TEST_PORT }, { 4, TEST_PORT }, { 5, TEST_PORT }, { 6, TEST_PORT } } },
        { "cgroup_sysctl", NEED_BPF_CGROUP_SKB, act_sysctl, .decides = true, .rows = { { 1, 0 } } },
        { "cgroup_sockopt", NEED_BPF_CGROUP_SKB, act_options, .decides = true, .rows = { { 1, SO_RCVLOWAT }, { 2, SO_RCVLOWAT } } },
        { "cgroup_dev", NEED_BPF_CGROUP_SKB, act_device, .decides = true, .rows = { { 1, 7 } } },
        { "netfilter", NEED_ROOT, act_packet, .decides = true, .has_definition = true, .rows = { { 1, TEST_PORT }, { 2, TEST_PORT } } },
        { "sockops", NEED_BPF_CGROUP_SKB, act_connection, .decides = true, .rows = { { 1, TEST_PORT } } },
        { "sk_map", NEED_BPF_CGROUP_SKB, act_connection, .decides = true, .rows = { { 1, 5 }, { 2, 5 }, { 3, 5 } } },
        { "sk_lookup", NEED_ROOT, act_connection, .decides = true, .rows = { { 1, TEST_PORT }, { 2, TEST_PORT } } },
        { "flow_dissector", NEED_ROOT, act_nothing, .decides = true },
        { "perf_event", NEED_BPF_PERF_EVENT, act_compute, .has_definition = true, .wants_pid = true, .rows = { { 1, 1, OWN_PID }, { 2, 1, OWN_PID } } },
        { "uprobe", NEED_BPF_UPROBE, act_getsid, .rows = { { 1, OWN_PID, OWN_PID } } },
        { "uprobe_s", NEED_BPF_UPROBE, act_getsid, .rows = { { 1, OWN_PID, OWN_PID } } },
        { "uretprobe", NEED_BPF_UPROBE, act_getsid, .rows = { { 1, OWN_SID, OWN_PID } } },
        { "uretprobe_s", NEED_BPF_UPROBE, act_getsid, .rows = { { 1, OWN_SID, OWN_PID } } },
        { "usdt", NEED_BPF_UPROBE, act_usdt, .has_definition = true, .args = { "--path", OWN_PROGRAM }, .rows = { { 1, TEST_PORT, OWN_PID } } },
        { "tracepoint", NEED_BPF_TRACEPOINT, act_getsid, .rows = { { 1, OWN_PID, OWN_PID }, { 2, OWN_SID, OWN_PID } } },
        { "raw_tp", NEED_BPF_RAW_TP, act_getsid, .wants_pid = true, .rows = { { 1, SYS_getsid, OWN_PID }, { 2, OWN_SID, OWN_PID } } },
        { "raw_tp_w", NEED_BPF_RAW_TP, act_nothing, .decides = true },
        { "tp_btf", NEED_BPF_TP_BTF, act_getsid, .wants_pid = true, .rows = { { 1, SYS_getsid, OWN_PID } } },
        { "kprobe", NEED_BPF_KPROBE, act_rmdir, .rows = { { 1, 1, OWN_PID } } },
        { "kretprobe", NEED_BPF_KPROBE, act_rmdir, .rows = { { 1, ENOTEMPTY, OWN_PID } } },
        { "kprobe_multi", NEED_BPF_KPROBE, act_rmdir, .wants_pid = true, .lacks = "this kernel cannot attach it",
          .rows = { { 1, 1, OWN_PID }, { 1, 2, OWN_PID }, { 2, ENOTEMPTY, OWN_PID } } },
        { "kprobe_session", NEED_BPF_KPROBE, act_rmdir, .wants_pid = true, .lacks = "this kernel cannot attach it", .rows = { { 1, 1, OWN_PID }, { 1, 6, OWN_PID } } },
        { "ksyscall", NEED_BPF_KPROBE, act_getsid, .rows = { { 1, OWN_PID, OWN_PID } } },
        { "kretsyscall", NEED_BPF_KPROBE, act_getsid, .rows = { { 1, OWN_SID, OWN_PID } } },
        { "fentry", NEED_BPF_FENTRY, act_rmdir, .rows = { { 1, 1, OWN_PID } } },
        { "fentry_s", NEED_BPF_FENTRY, act_getsid, .lacks = "is not sleepable", .rows = { { 1, 1, OWN_PID }, { 2, OWN_SID, OWN_PID } } },
        { "fexit", NEED_BPF_FENTRY, act_rmdir, .rows = { { 1, ENOTEMPTY, OWN_PID } } },
        { "fmod_ret", NEED_BPF_FENTRY, act_rmdir, .decides = true, .rows = { { 1, 0, OWN_PID } } },
        { "lsm", NEED_BPF_LSM, act_rmdir, .decides = true, .rows = { { 1, 0, OWN_PID } } },
        { "lsm_cgroup", NEED_BPF_LSM, act_addresses4, .decides = true, .rows = { { 1, 1, OWN_PID } } },
        { "lsm_s", NEED_BPF_LSM, act_rmdir, .decides = true, .rows = { { 1, 0, OWN_PID } } },
};
/* clang-format on */

static const struct kind *current; /* of the running test */

static int kind_setup(void **state) {
        current = *state;
        return env_setup(state);
}

/* --- needs of the table that only the version tells --- */

#define ROW(_section, _type, _attach_type, _trust, _how, _since, _needs, _test, _tested, _note)    \
        { _section, _since, _test, PROGRAM_##_trust },
static const struct {
        const char *section;
        const char *since;
        const char *test;
        enum program_trust trust;
} rows[] = { GADGET_PROGRAM_TYPES(ROW) };
#undef ROW

static bool is_older(const char *release, const char *than) {
        unsigned int a[2] = { 0 }, b[2] = { 0 };

        return sscanf(release, "%u.%u", &a[0], &a[1]) == 2 &&
               sscanf(than, "%u.%u", &b[0], &b[1]) == 2 &&
               (a[0] != b[0] ? a[0] < b[0] : a[1] < b[1]);
}

/* Why this kernel is too old for the gadget; NULL = it is not. */
static const char *too_old(const char *gadget) {
        static char why[256];
        struct utsname name;

        assert_int_equal(uname(&name), 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                if (!str_eq(rows[i].test, gadget) || !is_older(name.release, rows[i].since))
                        continue;
                snprintf(why, sizeof(why), "%s needs %s, this is %s", rows[i].section,
                         rows[i].since, name.release);
                return why;
        }
        return NULL;
}

/* --- the tests --- */

static const char *object_of(const char *gadget, const char *suffix) {
        static char path[512];

        snprintf(path, sizeof(path), "%s/tests/gadgets/types/%s%s", TEST_BUILD_DIR, gadget, suffix);
        return path;
}

static uint32_t known_now(uint32_t value) {
        return value == OWN_PID   ? (uint32_t)getpid()
               : value == OWN_SID ? (uint32_t)getsid(0)
                                  : value;
}

/* Runs it detached: gadgetctl comes back when it is attached. */
static struct run *start(struct env *env, const struct kind *kind, bool allow) {
        char pid[16], object[512], definition[512], own[256] = "";
        const char *args[16] = { "run", object, "--detach", "--name", "t" };
        size_t n = 5;

        snprintf(object, sizeof(object), "%s", object_of(kind->gadget, ".bpf.o"));
        snprintf(definition, sizeof(definition), "%s", object_of(kind->gadget, ".yaml"));
        snprintf(pid, sizeof(pid), "%d", getpid());
        assert_true(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
        for (size_t i = 0; i < ARRAY_SIZE(kind->args) && kind->args[i]; i++)
                args[n++] = str_eq(kind->args[i], OWN_PROGRAM) ? own : kind->args[i];
        if (kind->has_definition) {
                args[n++] = "--definition";
                args[n++] = definition;
        }
        if (kind->wants_pid) {
                args[n++] = "--only_pid";
                args[n++] = pid;
        }
        if (allow)
                args[n++] = "--allow-unsafe";
        return env_run_argv(env, args);
}

static void test_kind(void **state) {
        struct env *env = *state;
        const struct kind *kind = current;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(kind->need);
        env_start(env, NULL);
        if (kind->decides) {
                run = start(env, kind, false);
                assert_int_equal(run_exit(run), 4);
                assert_non_null(strstr(run_err(run), "--allow-unsafe"));
        }
        run = start(env, kind, kind->decides);
        if (too_old(kind->gadget)) {
                assert_int_not_equal(run_exit(run), 0);
                assert_non_null(strstr(run_err(run), "or later"));
                env_stop(env);
                test_unmet("kernel-version", too_old(kind->gadget));
        }
        if (run_exit(run) != 0 && kind->lacks && strstr(run_err(run), kind->lacks)) {
                env_stop(env);
                test_unmet("kernel-option", kind->lacks);
        }
        if (run_exit(run) != 0)
                run_fail(run, "gadget '%s' does not run", kind->gadget);
        kind->act();
        if (kind->rows[0].hook == 0) { /* it loads and attaches, which is all that is to be seen */
                env_ctl(env, 0, "stop", "t", NULL);
                env_stop(env);
                return;
        }
        run = env_run(env, "attach", "t", "-o", "json", "--tail", "all", NULL);
        for (size_t i = 0; i < ROWS_MAX && kind->rows[i].hook; i++) {
                char row[96];

                snprintf(row, sizeof(row), "{\"hook\":%u,\"value\":%u,\"pid\":%u}\n",
                         kind->rows[i].hook, known_now(kind->rows[i].value),
                         known_now(kind->rows[i].pid));
                run_wait_out(run, row);
        }
        env_ctl(env, 0, "stop", "t", NULL);
        assert_int_equal(run_exit(run), 0);
        env_stop(env);
}

/* A row of the table that names a test has one, and every test is named. */
static void test_table_and_tests_agree(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t k = 0;

                if (rows[i].test[0] == '\0')
                        continue;
                while (k < ARRAY_SIZE(kinds) && !str_eq(kinds[k].gadget, rows[i].test))
                        k++;
                if (k == ARRAY_SIZE(kinds)) {
                        fail_msg("%s: there is no test '%s'", rows[i].section, rows[i].test);
                        return;
                }
                assert_int_equal(kinds[k].decides, rows[i].trust == PROGRAM_DECIDES);
        }
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                size_t i = 0;

                while (i < ARRAY_SIZE(rows) && !str_eq(rows[i].test, kinds[k].gadget))
                        i++;
                assert_true(i < ARRAY_SIZE(rows));
        }
}

/* gadget.yaml chooses hooks: by a parameter, from a list, not at all. */
static void test_hooks_of_the_definition(void **state) {
        struct env *env = *state;
        char row[64], object[512], definition[512];
        struct run *run;
        json_t *shown;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_BPF_TP_BTF);
        snprintf(object, sizeof(object), "%s", object_of("hooks", ".bpf.o"));
        snprintf(definition, sizeof(definition), "%s", object_of("hooks", ".yaml"));
        env_start(env, NULL);
        env_ctl(env, 0, "run", object, "--definition", definition, "--detach", "--name", "t", NULL);
        /* Whose programs the kernel has refused. */
        shown = env_ctl_json(env, "show", "t", "-o", "json", NULL);
        assert_int_equal(json_array_size(row_get(shown, "permissions.hooks")), 2);
        /* The map of those programs is not made for 100000 entries. */
        assert_true(row_int(shown, "permissions.map_bytes") < 512 << 10);
        json_decref(shown);
        act_getsid();
        run = env_run(env, "attach", "t", "-o", "json", "--tail", "all", NULL);
        for (int hook = 1; hook <= 2; hook++) {
                snprintf(row, sizeof(row), "{\"hook\":%d,\"value\":1,\"pid\":%d}\n", hook,
                         getpid());
                run_wait_out(run, row);
        }
        env_ctl(env, 0, "stop", "t", NULL);
        assert_int_equal(run_exit(run), 0);
        for (int hook = 3; hook <= 8; hook++) {
                snprintf(row, sizeof(row), "{\"hook\":%d,", hook);
                assert_null(strstr(run_out(run), row));
        }

        env_ctl(env, 0, "run", object, "--definition", definition, "--detach", "--name", "t",
                "--call", "getppid", "--exits", NULL);
        assert_true(getppid() > 0);
        run = env_run(env, "attach", "t", "-o", "json", "--tail", "all", NULL);
        snprintf(row, sizeof(row), "{\"hook\":1,\"value\":1,\"pid\":%d}\n", getpid());
        run_wait_out(run, row);
        act_getsid();
        snprintf(row, sizeof(row), "{\"hook\":3,\"value\":1,\"pid\":%d}\n", getpid());
        run_wait_out(run, row);
        env_ctl(env, 0, "stop", "t", NULL);
        assert_int_equal(run_exit(run), 0);
        env_stop(env);
}

static void test_refusals_say_why(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        run = env_ctl(env, 4, "run", object_of("refused", ".bpf.o"), NULL);
        assert_non_null(strstr(run_err(run), "lwt_in"));
        assert_non_null(strstr(run_err(run), "gadgets change no routes"));
        run = env_ctl(env, 1, "run", object_of("xdp", ".bpf.o"), "--allow-unsafe", NULL);
        assert_non_null(strstr(run_err(run), "--iface must say which"));
        run = env_ctl(env, 1, "run", object_of("xdp", ".bpf.o"), "--allow-unsafe", "--iface",
                      "none0", NULL);
        assert_non_null(strstr(run_err(run), "there is no interface 'none0'"));
        env_stop(env);
}

int main(void) {
        struct CMUnitTest tests[ARRAY_SIZE(kinds) + 3] = {
                cmocka_unit_test(test_table_and_tests_agree),
                ENV_TEST(test_hooks_of_the_definition),
                ENV_TEST(test_refusals_say_why),
        };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                tests[3 + i] = (struct CMUnitTest){ kinds[i].gadget, test_kind, kind_setup,
                                                    env_teardown, (void *)(uintptr_t)&kinds[i] };
        return test_main("types", tests, ARRAY_SIZE(tests), NULL, NULL);
}
