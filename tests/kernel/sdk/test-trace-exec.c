/* SPDX-License-Identifier: Apache-2.0 */
/* trace_exec's object under plain libbpf, watching one child: what it executes, and what it fails
 * to. */
#include "tests/lib/needs.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/kernel/sdk/lab.h"

#define OBJECT GADGET_OBJECT_DIR "/trace_exec-" GADGET_ARCH ".bpf.o"
#define MISSING "/nonexistent/gadget/program"
#define ARGS_MAX 8192
#define ARG_MAX_OF_FAILED 1024
#define COUNT_MAX_OF_FAILED 64

static struct lab lab;

/* Runs in the child once it is being watched; its result is the exit status. */
typedef int (*child_func)(void);

static int teardown(void **state) {
        lab_done(&lab);
        return 0;
}

/* Lets a child run func while the gadget watches it and nobody else. */
static void watch(enum lab_kernel kernel, bool ignore_failed, child_func func,
                  int expected_status) {
        int go[2];
        int status;
        pid_t pid;
        char c;

        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int null_fd = open("/dev/null", O_WRONLY);

                close(go[1]);
                dup2(null_fd, STDOUT_FILENO);
                if (read(go[0], &c, 1) != 1)
                        _exit(99);
                _exit(func());
        }
        close(go[0]);

        lab_open(&lab, OBJECT, kernel);
        lab_set_u32(&lab, "targ_pid", (uint32_t)pid);
        lab_set_bool(&lab, "ignore_failed", ignore_failed);
        lab_start(&lab);
        assert_int_equal(write(go[1], "", 1), 1);
        close(go[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), expected_status);
        lab_drain(&lab);
        assert_int_equal(lab_lost(&lab), 0);

        for (size_t i = 0; i < lab.n_samples; i++) {
                assert_int_equal(sample_uint(&lab, lab.samples[i], "proc.pid"), pid);
                assert_int_equal(sample_uint(&lab, lab.samples[i], "proc.parent.pid"), getpid());
        }
}

static void check_event(size_t i, const char *file, int error, const char *args, size_t args_len) {
        size_t offset = lab_offset(&lab, "args", NULL);
        const struct sample *sample;

        assert_true(i < lab.n_samples);
        sample = lab.samples[i];
        assert_string_equal(sample_str(&lab, sample, "file"), file);
        assert_int_equal(sample_uint(&lab, sample, "error_raw"), error);
        assert_int_equal(sample_uint(&lab, sample, "args_size"), args_len);
        assert_memory_equal(sample->data + offset, args, args_len);
        if (lab.ring)
                assert_int_equal(sample->len, offset + args_len);
}

static int echo(void) {
        execl("/bin/echo", "echo", "two words", "", "last", NULL);
        return 1;
}

static void test_arguments(void **state) {
        static const char args[] = "echo\0two words\0\0last";

        watch(LAB_THIS_KERNEL, true, echo, 0);
        assert_int_equal(lab.n_received, 1);
        check_event(0, "/bin/echo", 0, args, sizeof(args));
        assert_string_equal(sample_str(&lab, lab.samples[0], "proc.comm"), "echo");
}

static void test_arguments_on_an_old_kernel(void **state) {
        static const char args[] = "echo\0two words\0\0last";

        watch(LAB_OLD_KERNEL, true, echo, 0);
        assert_int_equal(lab.n_received, 1);
        check_event(0, "/bin/echo", 0, args, sizeof(args));
}

static char script[64];

static int run_script(void) {
        execl(script, "name that the kernel drops", "x", NULL);
        return 1;
}

static void test_script(void **state) {
        char args[128];
        int fd;
        int n;

        snprintf(script, sizeof(script), "/tmp/trace-exec-XXXXXX");
        fd = mkostemp(script, O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "#!/bin/sh\nexit 3\n", 17), 17);
        assert_int_equal(fchmod(fd, 0700), 0);
        close(fd);

        watch(LAB_THIS_KERNEL, true, run_script, 3);
        unlink(script);
        n = snprintf(args, sizeof(args), "/bin/sh%c%s%cx", '\0', script, '\0');
        assert_int_equal(lab.n_received, 1);
        check_event(0, script, 0, args, (size_t)n + 1);
}

static int by_descriptor(void) {
        const char *const argv[] = { "true", NULL };
        int fd = open("/bin/true", O_PATH);

        syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
        return 1;
}

static void test_execveat(void **state) {
        watch(LAB_THIS_KERNEL, true, by_descriptor, 0);
        assert_int_equal(lab.n_received, 1);
        assert_memory_equal(sample_str(&lab, lab.samples[0], "file"), "/dev/fd/", 8);
}

static char long_arg[4001];

static int long_arguments(void) {
        memset(long_arg, 'y', sizeof(long_arg) - 1);
        execl("/bin/true", "true", long_arg, long_arg, long_arg, NULL);
        return 1;
}

static void test_long_arguments(void **state) {
        size_t offset;

        watch(LAB_THIS_KERNEL, true, long_arguments, 0);
        assert_int_equal(lab.n_received, 1);
        offset = lab_offset(&lab, "args", NULL);
        assert_int_equal(sample_uint(&lab, lab.samples[0], "args_size"), 5 + 3 * sizeof(long_arg));
        assert_int_equal(lab.samples[0]->len, offset + ARGS_MAX);
}

static int fail_in_four_ways(void) {
        static char cut_arg[ARG_MAX_OF_FAILED + 10];
        const char *const argv[] = { "prog", "two words", "", "x", NULL };
        const char *const bad_argv[] = { "a", (void *)8, NULL };
        const char *const cut_argv[] = { "a", cut_arg, "b", NULL };
        const char *many_argv[COUNT_MAX_OF_FAILED + 11] = { NULL };

        /* Nobody has read them yet, and what is not in memory cannot be shown. */
        for (size_t i = 0; argv[i]; i++)
                (void)*(const volatile char *)argv[i];
        syscall(SYS_execve, MISSING, argv, NULL);
        syscall(SYS_execve, MISSING, bad_argv, NULL);
        memset(cut_arg, 'z', sizeof(cut_arg) - 1);
        syscall(SYS_execveat, AT_FDCWD, MISSING, cut_argv, NULL, 0);
        for (size_t i = 0; i < ARRAY_SIZE(many_argv) - 1; i++)
                many_argv[i] = "m";
        syscall(SYS_execve, "/dev/null", many_argv, NULL);
        return 7;
}

static void check_failures(enum lab_kernel kernel) {
        char cut[2 + ARG_MAX_OF_FAILED + 2] = "a";
        char many[2 * COUNT_MAX_OF_FAILED];
        int64_t error;

        memset(cut + 2, 'z', ARG_MAX_OF_FAILED - 1);
        cut[2 + ARG_MAX_OF_FAILED] = 'b';
        for (size_t i = 0; i < sizeof(many); i++)
                many[i] = i % 2 ? '\0' : 'm';

        watch(kernel, false, fail_in_four_ways, 7);
        assert_int_equal(lab.n_received, 4);
        check_event(0, MISSING, ENOENT, "prog\0two words\0\0x", 18);
        /* Kernels differ in what they look at first, the file or the arguments. */
        error = sample_int(&lab, lab.samples[1], "error_raw");
        assert_true(error == ENOENT || error == EFAULT);
        check_event(1, MISSING, (int)error, "a\0?", 4);
        check_event(2, MISSING, ENOENT, cut, sizeof(cut));
        check_event(3, "/dev/null", EACCES, many, sizeof(many));
}

static void test_failures(void **state) {
        check_failures(LAB_THIS_KERNEL);
}

static void test_failures_on_an_old_kernel(void **state) {
        check_failures(LAB_OLD_KERNEL);
}

static void test_ignore_failed(void **state) {
        watch(LAB_THIS_KERNEL, true, fail_in_four_ways, 7);
        assert_int_equal(lab.n_received, 0);
}

static int fail_then_echo(void) {
        for (int i = 0; i < 100; i++)
                execl(MISSING, "prog", NULL);
        return echo();
}

static void test_counts(void **state) {
        watch(LAB_THIS_KERNEL, false, fail_then_echo, 0);
        assert_int_equal(lab.n_received, 101);
        for (size_t i = 0; i < 100; i++)
                check_event(i, MISSING, ENOENT, "prog", 5);
}

static void test_kernel_memory(void **state) {
        watch(LAB_THIS_KERNEL, true, echo, 0);
        assert_in_range(lab_map_bytes(&lab), 256 << 10, 512 << 10);
}

#define TEST(_test) cmocka_unit_test_teardown(_test, teardown)

static const struct CMUnitTest tests[] = {
        TEST(test_arguments),
        TEST(test_arguments_on_an_old_kernel),
        TEST(test_script),
        TEST(test_execveat),
        TEST(test_long_arguments),
        TEST(test_failures),
        TEST(test_failures_on_an_old_kernel),
        TEST(test_ignore_failed),
        TEST(test_counts),
        TEST(test_kernel_memory),
};

TEST_MAIN_SETUP("sdk/trace_exec", tests, lab_mount_tracefs, NULL)
