/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "tests/lib/needs.h"

#define SH(_script) ((const char *const[]){ "sh", "-c", _script, NULL })

/* Runs the spec with its stdout in a pipe and returns what it said. */
static char *output_of(struct proc_spec *spec, int want_status) {
        cleanup_buf struct buf b = BUF_INIT(1 << 16);
        cleanup_close int pidfd = -1;
        int fds[2], status;
        pid_t pid;
        ssize_t n;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        spec->fds[1] = fds[1];
        assert_int_equal(proc_spawn(spec, &pid, &pidfd), 0);
        close(fds[1]);
        for (;;) {
                uint8_t *p = buf_reserve(&b, 4096);

                n = read(fds[0], p, 4096);
                if (n <= 0)
                        break;
                b.len += (size_t)n;
        }
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, want_status);
        return buf_steal_string(&b);
}

static void test_argv_and_empty_environment(void **state) {
        cleanup_free char *text = output_of(
                &(struct proc_spec){
                        .path = "/usr/bin/env",
                },
                0);

        assert_string_equal(text, "");
}

static void test_environment(void **state) {
        cleanup_free char *text = output_of(
                &(struct proc_spec){
                        .path = "/usr/bin/env",
                        .envp = (const char *const[]){ "A=b", "C=d", NULL },
                },
                0);

        assert_string_equal(text, "A=b\nC=d\n");
}

/* Exactly the fds of the table: not ours, not the pipe, not the parked copies. */
static void test_fds(void **state) {
        cleanup_close int leak =
                open("/dev/zero", O_RDONLY); /* no CLOEXEC, and yet not inherited */
        cleanup_free char *text = output_of(
                &(struct proc_spec){
                        .path = "/bin/sh",
                        .argv = SH("cd /proc/self/fd; for f in *; do readlink $f; done; echo $#"),
                        .fds = { [4] = leak, [7] = leak },
                },
                0);
        unsigned int n_zero = 0, n_null = 0;

        for (const char *p = text; (p = strstr(p, "/dev/zero")); p++)
                n_zero++;
        for (const char *p = text; (p = strstr(p, "/dev/null")); p++)
                n_null++;
        assert_int_equal(n_zero, 2);
        assert_int_equal(n_null, 2);
        assert_null(strstr(text, "socket"));
}

/* Sources and targets cross: 3 -> 4 and 4 -> 3. */
static void test_fds_cross(void **state) {
        cleanup_free char *text = NULL;
        int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC),
            full = open("/dev/full", O_RDONLY | O_CLOEXEC);
        struct proc_spec spec = {
                .path = "/bin/sh",
                .argv = SH("readlink /proc/self/fd/10 /proc/self/fd/11"),
        };

        dup3(zero, 10, O_CLOEXEC);
        dup3(full, 11, O_CLOEXEC);
        spec.fds[10] = 11;
        spec.fds[11] = 10;
        text = output_of(&spec, 0);
        assert_string_equal(text, "/dev/full\n/dev/zero\n");
        close(10);
        close(11);
        close(zero);
        close(full);
}

/* The numbers that proc.c uses itself, as sources. */
static void test_fds_from_high_numbers(void **state) {
        cleanup_free char *text = NULL;
        struct proc_spec spec = {
                .path = "/bin/sh",
                .argv = SH("readlink /proc/self/fd/3 /proc/self/fd/4 /proc/self/fd/15"),
        };
        int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

        for (int i = 0; i < 3; i++)
                dup3(zero, PROC_FDS_MAX + i, O_CLOEXEC);
        spec.fds[3] = PROC_FDS_MAX;
        spec.fds[4] = PROC_FDS_MAX + 1;
        spec.fds[15] = PROC_FDS_MAX + 2;
        text = output_of(&spec, 0);
        assert_string_equal(text, "/dev/zero\n/dev/zero\n/dev/zero\n");
        for (int i = 0; i < 3; i++)
                close(PROC_FDS_MAX + i);
        close(zero);
}

static void test_exe_fd(void **state) {
        cleanup_close int exe = open("/bin/sh", O_PATH | O_CLOEXEC);
        cleanup_free char *text = output_of(
                &(struct proc_spec){
                        .exe_fd = exe,
                        .path = "worker",
                        .argv = (const char *const[]){ "worker", "-c",
                                                       "echo $0; ls /proc/self/fd | wc -w", NULL },
                        .envp = (const char *const[]){ "PATH=/usr/bin:/bin", NULL },
                },
                0);

        /* 0, 1, 2 and the one that ls has open: the executable's fd is gone. */
        assert_string_equal(text, "worker\n4\n");
}

static void test_exec_failure_is_reported(void **state) {
        cleanup_close int not_exe = open("/dev/null", O_RDONLY | O_CLOEXEC);
        int pidfd = -7;
        pid_t pid = -7;

        assert_int_equal(
                proc_spawn(&(struct proc_spec){ .path = "/no/such/program" }, &pid, &pidfd),
                -ENOENT);
        assert_int_equal(proc_spawn(&(struct proc_spec){ .path = "/etc/passwd" }, &pid, &pidfd),
                         -EACCES);
        assert_int_equal(
                proc_spawn(&(struct proc_spec){ .path = "x", .exe_fd = not_exe }, &pid, &pidfd),
                -EACCES);
        assert_int_equal(
                proc_spawn(&(struct proc_spec){ .path = "/bin/true", .fds = { [5] = 9999 } }, &pid,
                           &pidfd),
                -EBADF);
        assert_int_equal(pid, -7);
        assert_int_equal(pidfd, -7);
        /* No zombie of a failed start. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

static void test_cgroup_failure_is_reported(void **state) {
        cleanup_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        cleanup_close int pidfd = -1;
        pid_t pid;

        assert_int_equal(proc_spawn(&(struct proc_spec){ .path = "/bin/true",
                                                         .cgroup_procs = &full,
                                                         .n_cgroup_procs = 1 },
                                    &pid, &pidfd),
                         -ENOSPC);
}

static void test_signals_are_reset(void **state) {
        cleanup_free char *text = NULL;
        sigset_t set, old;

        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, &old);
        text = output_of(
                &(struct proc_spec){
                        .path = "/bin/grep",
                        .argv = (const char *const[]){ "grep", "-E", "^Sig(Blk|Ign)",
                                                       "/proc/self/status", NULL },
                },
                0);
        assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        /* Ours are as they were. */
        sigprocmask(SIG_SETMASK, &old, &set);
        assert_true(sigismember(&set, SIGTERM));
        signal(SIGPIPE, SIG_DFL);
}

static void test_pidfd_and_session(void **state) {
        cleanup_close int pidfd = -1;
        struct pollfd poll_fd;
        int status;
        pid_t pid;

        assert_int_equal(proc_spawn(&(struct proc_spec){ .path = "/bin/sh",
                                                         .argv = SH("kill -STOP $$"),
                                                         .death_signal = SIGKILL },
                                    &pid, &pidfd),
                         0);
        assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(getsid(pid), pid);
        poll_fd = (struct pollfd){ .fd = pidfd, .events = POLLIN };
        assert_int_equal(poll(&poll_fd, 1, 0), 0);
        kill(pid, SIGKILL);
        assert_int_equal(poll(&poll_fd, 1, 5000), 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_death_signal(void **state) {
        int fds[2], status;
        pid_t child;
        char c;

        /* A middle process starts a child that holds our pipe, and exits: the pipe ends only if the
         * child dies too. */
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        child = fork();
        if (child == 0) {
                int pidfd;
                pid_t pid;

                _exit(proc_spawn(&(struct proc_spec){ .path = "/bin/sh",
                                                      .argv = SH("kill -STOP $$"),
                                                      .fds = { [3] = fds[1] },
                                                      .death_signal = SIGKILL },
                                 &pid, &pidfd) < 0);
        }
        close(fds[1]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(read(fds[0], &c, 1), 0);
        close(fds[0]);
}

static void test_status_text(void **state) {
        char buf[64];

        assert_string_equal(proc_status_text(3 << 8, buf, sizeof(buf)), "exited with status 3");
        assert_string_equal(proc_status_text(0, buf, sizeof(buf)), "exited with status 0");
        assert_string_equal(proc_status_text(SIGSYS, buf, sizeof(buf)), "killed by SIGSYS");
        assert_string_equal(proc_status_text(SIGSEGV | 0x80, buf, sizeof(buf)),
                            "killed by SIGSEGV");
        assert_string_equal(proc_status_text(40, buf, sizeof(buf)), "killed by signal 40");
        assert_string_equal(proc_status_text(0xffff, buf, sizeof(buf)), "wait status 0xffff");
        assert_string_equal(proc_status_text(SIGSYS, buf, 8), "killed ");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_argv_and_empty_environment),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_fds),
        cmocka_unit_test(test_fds_cross),
        cmocka_unit_test(test_fds_from_high_numbers),
        cmocka_unit_test(test_exe_fd),
        cmocka_unit_test(test_exec_failure_is_reported),
        cmocka_unit_test(test_cgroup_failure_is_reported),
        cmocka_unit_test(test_signals_are_reset),
        cmocka_unit_test(test_pidfd_and_session),
        cmocka_unit_test(test_death_signal),
        cmocka_unit_test(test_status_text),
};
TEST_MAIN("base-proc", tests)
