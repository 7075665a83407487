/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_open through the whole chain: a child with a known pid opens files in every way there is,
 * and every field of every row is what the child knows to be true.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/box.h"
#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define WARM "/nonexistent/warm"
#define COMM "opener"

/* What one call did, said by the child. */
struct act {
        int result; /* fd or -errno */
        pid_t tid;
};

struct opener {
        pid_t pid;
        int fd; /* to it: the number of an act; from it: struct act */
        char dir[64];
};

static const char *opener_path(const struct opener *opener, const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", opener->dir, name);
        return path;
}

static char long_path[4096];

static int open_long_path(void) {
        return open(long_path, O_RDONLY);
}

static int act_warm(const struct opener *opener) {
        return open(WARM, O_RDONLY);
}
static int act_read_only(const struct opener *opener) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}
static int act_create(const struct opener *opener) {
        return open(opener_path(opener, "new"), O_WRONLY | O_CREAT | O_TRUNC, 0640);
}
static int act_missing(const struct opener *opener) {
        return open("/nonexistent/file", O_RDWR | O_APPEND);
}
static int act_open_syscall(const struct opener *opener) {
#ifdef SYS_open
        return (int)syscall(SYS_open, "/dev/zero", O_RDWR);
#else
        return open("/dev/zero", O_RDWR);
#endif
}
static int act_openat2(const struct opener *opener) {
        struct open_how how = { .flags = O_PATH | O_DIRECTORY };

        return (int)syscall(SYS_openat2, AT_FDCWD, "/dev", &how, sizeof(how));
}
static int act_bad_address(const struct opener *opener) {
        return (int)syscall(SYS_openat, AT_FDCWD, (void *)1, O_RDONLY, 0);
}
static int act_long(const struct opener *opener) {
        return open_long_path();
}
static int act_strange_name(const struct opener *opener) {
        return open("/nonexistent/\x1b[31m\xff\"\\\n", O_RDONLY);
}
static int act_relative(const struct opener *opener) {
        return open("no/such", O_RDONLY);
}
static void *thread_main(void *arg) {
        struct act *act = arg;

        act->result = open("/nonexistent/thread", O_RDONLY);
        act->tid = (pid_t)syscall(SYS_gettid);
        return NULL;
}

static int (*const acts[])(const struct opener *opener) = {
        act_warm,    act_read_only,   act_create, act_missing,      act_open_syscall,
        act_openat2, act_bad_address, act_long,   act_strange_name, act_relative,
};
enum {
        WARM_UP,
        READ_ONLY,
        CREATE,
        MISSING,
        OPEN_SYSCALL,
        OPENAT2,
        BAD_ADDRESS,
        LONG,
        STRANGE,
        RELATIVE,
        THREAD
};

static void opener_main(const struct opener *opener, int fd, uid_t uid) {
        unsigned int n;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, COMM);
        if (uid && (setresgid(uid + 1, uid + 1, uid + 1) < 0 || setresuid(uid, uid, uid) < 0))
                _exit(1);
        while (recv(fd, &n, sizeof(n), 0) == sizeof(n)) {
                struct act act = { .tid = getpid() };
                pthread_t thread;

                if (n == THREAD) {
                        pthread_create(&thread, NULL, thread_main, &act);
                        pthread_join(thread, NULL);
                } else {
                        act.result = acts[n](opener);
                }
                if (act.result < 0)
                        act.result = -errno;
                if (send(fd, &act, sizeof(act), 0) < 0)
                        _exit(1);
        }
        _exit(0);
}

static void opener_new(struct opener *opener, uid_t uid) {
        int fds[2];

        snprintf(opener->dir, sizeof(opener->dir), "/tmp/gadget-opener-XXXXXX");
        assert_non_null(mkdtemp(opener->dir));
        memset(long_path, 'x', sizeof(long_path) - 1);
        for (size_t i = 0; i < sizeof(long_path) - 1; i += 200)
                long_path[i] = '/';
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        fflush(NULL);
        opener->pid = fork();
        assert_true(opener->pid >= 0);
        if (opener->pid == 0) {
                close(fds[0]);
                opener_main(opener, fds[1], uid);
        }
        close(fds[1]);
        opener->fd = fds[0];
}

static void opener_end(struct opener *opener) {
        int status;

        close(opener->fd);
        assert_int_equal(wait_child(opener->pid, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        unlink(opener_path(opener, "new"));
        assert_int_equal(rmdir(opener->dir), 0);
}

static struct act opener_do(struct opener *opener, unsigned int n) {
        struct act act;

        assert_int_equal(send(opener->fd, &n, sizeof(n), MSG_NOSIGNAL), sizeof(n));
        assert_int_equal(wait_readable(opener->fd, WAIT_DEFAULT), 0);
        assert_int_equal(recv(opener->fd, &act, sizeof(act), 0), sizeof(act));
        return act;
}

/* Starts the gadget on the opener alone and waits until it sees it. */
static struct run *trace(struct env *env, struct opener *opener, const char *more) {
        struct run *run;
        char pid[16];

        env_start(env, NULL);
        snprintf(pid, sizeof(pid), "%d", opener->pid);
        run = env_run(env, "run", "trace_open", "--pid", pid, "-o", "json", more, NULL);
        if (!WAIT_UNTIL(({
                                opener_do(opener, WARM_UP);
                                if (!run_is_alive(run))
                                        run_fail(run, "ended early");
                                run_out_size(run) > 0;
                        }),
                        WAIT_DEFAULT))
                run_fail(run, "sees nothing");
        return run;
}

/* Does it, and returns its row, in which everything is right that is the same for all of them. */
static json_t *row_of(struct run *run, struct opener *opener, unsigned int n, const char *fname,
                      struct act *ret) {
        uint64_t begun = clock_ns(CLOCK_REALTIME);
        json_t *row;
        char text[32];
        struct tm tm;
        time_t second;

        *ret = opener_do(opener, n);
        row = run_wait_row(run, "fname", fname);
        assert_int_equal(row_int(row, "proc.pid"), opener->pid);
        assert_int_equal(row_int(row, "proc.tid"), ret->tid);
        assert_string_equal(row_str(row, "proc.comm"), COMM);
        assert_int_equal(row_int(row, "proc.parent.pid"), getpid());
        assert_int_equal(row_int(row, "proc.parent.tid"), getpid());
        assert_string_equal(row_str(row, "proc.parent.comm"), "test-trace-open");
        assert_int_equal(row_int(row, "error_raw"), ret->result < 0 ? -ret->result : 0);
        assert_string_equal(row_str(row, "error"),
                            ret->result < 0 ? strerrorname_np(-ret->result) : "");
        assert_int_equal(row_int(row, "fd"), ret->result < 0 ? -1 : ret->result);
        /* Between the call and now, give or take what the clocks are compared with. */
        assert_true((uint64_t)row_int(row, "timestamp_raw") + 50 * NSEC_PER_MSEC >= begun);
        assert_true((uint64_t)row_int(row, "timestamp_raw") <=
                    clock_ns(CLOCK_REALTIME) + 50 * NSEC_PER_MSEC);
        second = (time_t)(row_int(row, "timestamp_raw") / (json_int_t)NSEC_PER_SEC);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", gmtime_r(&second, &tm));
        assert_non_null(str_after(row_str(row, "timestamp"), text));
        return row;
}

static void test_every_field(void **state) {
        struct env *env = *state;
        struct opener opener;
        struct stat st;
        struct run *run;
        struct act act;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        opener_new(&opener, 0);
        run = trace(env, &opener, NULL);
        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);

        row = row_of(run, &opener, READ_ONLY, "/dev/null", &act);
        assert_true(act.result >= 0);
        assert_int_equal(row_int(row, "flags_raw"), O_RDONLY | O_CLOEXEC);
        assert_string_equal(row_str(row, "flags"), "O_RDONLY|O_CLOEXEC");
        assert_int_equal(row_int(row, "mode_raw"), 0);
        assert_int_equal(row_int(row, "proc.creds.uid"), 0);
        assert_int_equal(row_int(row, "proc.creds.gid"), 0);
        assert_int_equal(row_int(row, "proc.mntns_id"), st.st_ino);

        row = row_of(run, &opener, CREATE, opener_path(&opener, "new"), &act);
        assert_true(act.result >= 0);
        assert_int_equal(row_int(row, "flags_raw"), O_WRONLY | O_CREAT | O_TRUNC);
        assert_string_equal(row_str(row, "flags"), "O_WRONLY|O_CREAT|O_TRUNC");
        assert_int_equal(row_int(row, "mode_raw"), 0640);
        assert_string_equal(row_str(row, "mode"), "-rw-r-----");

        row = row_of(run, &opener, MISSING, "/nonexistent/file", &act);
        assert_int_equal(act.result, -ENOENT);
        assert_string_equal(row_str(row, "flags"), "O_RDWR|O_APPEND");

        row = row_of(run, &opener, OPEN_SYSCALL, "/dev/zero", &act);
        assert_true(act.result >= 0);
        assert_string_equal(row_str(row, "flags"), "O_RDWR");

        row = row_of(run, &opener, OPENAT2, "/dev", &act);
        assert_true(act.result >= 0);
        assert_int_equal(row_int(row, "flags_raw"), O_PATH | O_DIRECTORY);

        row_of(run, &opener, BAD_ADDRESS, "", &act);
        assert_int_equal(act.result, -EFAULT);

        row_of(run, &opener, LONG, long_path, &act);
        assert_true(act.result < 0);

        row_of(run, &opener, RELATIVE, "no/such", &act);
        assert_int_equal(act.result, -ENOENT);

        row_of(run, &opener, THREAD, "/nonexistent/thread", &act);
        assert_int_equal(act.result, -ENOENT);
        assert_true(act.tid != opener.pid);

        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        opener_end(&opener);
        env_stop(env);
}

/* A name made to play with terminals and parsers stays one JSON string, and what was valid in it
 * stays. */
static void test_strange_names_are_harmless(void **state) {
        struct env *env = *state;
        struct opener opener;
        struct run *run;
        json_t *rows;
        bool found = false, clean = true;
        const char *text;
        size_t i;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        opener_new(&opener, 0);
        run = trace(env, &opener, NULL);
        opener_do(&opener, STRANGE);
        opener_do(&opener, MISSING);
        run_wait_row(run, "fname", "/nonexistent/file");
        rows = run_rows(run);
        assert_non_null(rows);
        json_array_foreach(rows, i, row) {
                if (strstr(row_str(row, "fname"), "[31m"))
                        found = strstr(row_str(row, "fname"), "\"\\\n") != NULL;
        }
        json_decref(rows);
        assert_true(found);
        for (text = run_out(run); *text; text++)
                clean &= *text == '\n' || ((unsigned char)*text >= 0x20 && *text != 0x7f);
        assert_true(clean);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        opener_end(&opener);
        env_stop(env);
}

static void test_another_user(void **state) {
        struct env *env = *state;
        struct opener opener;
        struct run *run;
        struct act act;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        opener_new(&opener, 4242); /* whose directory is root's: it may not create */
        run = trace(env, &opener, NULL);
        row = row_of(run, &opener, CREATE, opener_path(&opener, "new"), &act);
        assert_int_equal(act.result, -EACCES);
        assert_int_equal(row_int(row, "proc.creds.uid"), 4242);
        assert_int_equal(row_int(row, "proc.creds.gid"), 4243);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        opener_end(&opener);
        env_stop(env);
}

/* --failed: nothing that worked; everything that did not. */
static void test_failed_only(void **state) {
        struct env *env = *state;
        struct opener opener;
        struct run *run;
        json_t *rows, *row;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        opener_new(&opener, 0);
        run = trace(env, &opener, "--failed");
        opener_do(&opener, READ_ONLY);
        opener_do(&opener, OPENAT2);
        opener_do(&opener, MISSING);
        run_wait_row(run, "fname", "/nonexistent/file");
        rows = run_rows(run);
        json_array_foreach(rows, i, row) {
                assert_true(row_int(row, "error_raw") > 0);
        }
        json_decref(rows);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        opener_end(&opener);
        env_stop(env);
}

static int open_in_box(const void *arg) {
        for (int i = 0; i < 20; i++)
                (void)!open(arg, O_RDONLY);
        return 0;
}

/* In a container: its mount namespace, and the pid that the host knows it by. */
static void test_in_a_box(void **state) {
        cleanup(box_freep) struct box *box = NULL;
        struct env *env = *state;
        const char *path = "/nonexistent/box";
        struct run *run;
        json_t *row;
        pid_t pid = 0;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&box), 0);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_open", "-o", "json", NULL);
        assert_true(WAIT_UNTIL(({
                                       assert_int_equal(box_call(box, open_in_box, path,
                                                                 strlen(path) + 1, &pid),
                                                        0);
                                       strstr(run_out(run), path) != NULL;
                               }),
                               WAIT_DEFAULT));
        row = run_wait_row(run, "fname", path);
        assert_int_equal(row_int(row, "proc.mntns_id"), box_namespace(box, "mnt"));
        assert_int_equal(row_int(row, "proc.parent.pid"), box_pid(box));
        assert_true(row_int(row, "proc.pid") > box_pid(box));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        box = box_free(box);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_every_field),  ENV_TEST(test_strange_names_are_harmless),
        ENV_TEST(test_another_user), ENV_TEST(test_failed_only),
        ENV_TEST(test_in_a_box),
};

TEST_MAIN("trace_open", tests)
