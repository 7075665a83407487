/* SPDX-License-Identifier: Apache-2.0 */
/* The SDK's helpers beside the ones that every gadget uses, each against what user space knows. */
#include "tests/lib/needs.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/kernel/sdk/lab.h"

#define OBJECT SDK_OBJECT_DIR "/helpers-" GADGET_ARCH ".bpf.o"
#define N_VALUES 8
#define N_SLOTS 27

static const uint64_t values[N_VALUES] = { 0,          1,           2,        3,
                                           0x80000000, 0xffffffffu, 1u << 26, 0x8000000000000001u };

static struct lab lab;

static int teardown(void **state) {
        lab_done(&lab);
        return 0;
}

/* The event of the second getppid(), which is passed arguments nobody looks at but the gadget. */
static const struct sample *call_getppid(enum lab_kernel kernel, int fd, bool stacks) {
        int64_t nr = SYS_getppid;

        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_BPF_RAW_TP);
        lab_open(&lab, OBJECT, kernel);
        lab_set_u32(&lab, "targ_pid", (uint32_t)getpid());
        lab_set(&lab, "values", values, sizeof(values));
        lab_set_u32(&lab, "fd", (uint32_t)fd);
        lab_set(&lab, "wanted_nr", &nr, sizeof(nr));
        lab_set_bool(&lab, "collect_ustack", stacks);
        lab_set_bool(&lab, "collect_build_id", stacks);
        lab_start(&lab);
        (void)syscall(SYS_getppid, 11, 22, 33, 44, 55, 66);
        (void)syscall(SYS_getppid, 11, 22, 33, 44, 55, 66);
        lab_drain(&lab);
        assert_int_equal(lab.n_samples, 2);
        assert_int_equal(lab_lost(&lab), 0);
        return lab.samples[1];
}

static uint64_t element(const struct sample *sample, const char *field, size_t i) {
        uint64_t value;

        memcpy(&value, sample->data + lab_offset(&lab, field, NULL) + i * sizeof(value),
               sizeof(value));
        return value;
}

static unsigned highest_bit(uint64_t value) {
        return value == 0 ? 0 : 63 - (unsigned)__builtin_clzll(value);
}

static void test_bits_and_hashes(void **state) {
        const struct sample *sample = call_getppid(LAB_THIS_KERNEL, 0, false);
        uint32_t fnv32 = 2166136261u;
        uint64_t fnv64 = 14695981039346656037u;

        for (size_t i = 0; i < N_VALUES; i++) {
                unsigned bit = highest_bit(values[i]);

                assert_int_equal(element(sample, "log2", i), highest_bit((uint32_t)values[i]));
                assert_int_equal(element(sample, "log2l", i), bit);
                assert_int_equal(element(sample, "slot", i), MIN(bit, N_SLOTS - 1u));
                for (size_t byte = 0; byte < sizeof(values[i]); byte++)
                        fnv32 = (fnv32 ^ (uint8_t)(values[i] >> 8 * byte)) * 16777619u;
                fnv64 = (fnv64 ^ (uint8_t)values[i]) * 1099511628211u;
        }
        assert_int_equal(sample_uint(&lab, sample, "fnv32"), fnv32);
        assert_int_equal(sample_uint(&lab, sample, "fnv64"), fnv64);
}

static void check_arguments(enum lab_kernel kernel) {
        const struct sample *sample = call_getppid(kernel, 0, false);

        for (size_t i = 0; i < 6; i++)
                assert_int_equal(element(sample, "args", i), 11 * (i + 1));
        assert_int_equal(sample_int(&lab, sample, "raw_nr"), SYS_getppid);
        assert_int_equal(sample_uint(&lab, sample, "raw_arg1"), 11);
        assert_int_equal(sample_int(&lab, sample, "task_state"), 0); /* running */
        assert_int_equal(sample_uint(&lab, sample, "counted"), 4);
        assert_int_equal(sample_uint(&lab, sample, "passes"), 1);
        assert_int_equal(sample_uint(&lab, sample, "passes_named"), 1);
}

static void test_arguments(void **state) {
        check_arguments(LAB_THIS_KERNEL);
}

static void test_arguments_on_an_old_kernel(void **state) {
        check_arguments(LAB_OLD_KERNEL);
}

/* The path is what /proc says, for files, directories, roots and what lies below a mount. */
static void test_paths(void **state) {
        static const char *const paths[] = { "/etc/hostname", "/proc/self/status", "/",
                                             "/proc",         "/sys/kernel",       "/tmp" };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                const struct sample *sample;
                char link[64];
                char expected[PATH_MAX];
                struct stat st;
                ssize_t n;
                int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

                assert_true(fd >= 0);
                assert_int_equal(fstat(fd, &st), 0);
                snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
                n = readlink(link, expected, sizeof(expected) - 1);
                assert_true(n > 0);
                expected[n] = '\0';

                sample = call_getppid(LAB_THIS_KERNEL, fd, false);
                assert_string_equal(sample_str(&lab, sample, "path"), expected);
                assert_int_equal(sample_int(&lab, sample, "path_len"), n + 1);
                assert_int_equal(sample_int(&lab, sample, "no_such_fd"), -1);
                if (i == 0) /* nobody changes it meanwhile */
                        assert_int_equal(sample_uint(&lab, sample, "ctime"),
                                         (uint64_t)st.st_ctim.tv_sec * NSEC_PER_SEC +
                                                 (uint64_t)st.st_ctim.tv_nsec);
                lab_done(&lab);
                close(fd);
        }
}

static void test_paths_of_unlinked_things(void **state) {
        int memfd = memfd_create("some-name", MFD_CLOEXEC);
        int fds[2];

        assert_true(memfd >= 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_string_equal(sample_str(&lab, call_getppid(LAB_THIS_KERNEL, memfd, false), "path"),
                            "/memfd:some-name");
        lab_done(&lab);
        assert_string_equal(sample_str(&lab, call_getppid(LAB_THIS_KERNEL, fds[0], false), "path"),
                            "/");
        close(memfd);
        close(fds[0]);
        close(fds[1]);
}

/* 100 directories deep: the last components are kept, whole. */
static void test_deep_path(void **state) {
        char dir[] = "/tmp/deep-path-XXXXXX";
        const struct sample *sample;
        char expected[1024] = "";
        int fds[101];

        assert_non_null(mkdtemp(dir));
        fds[0] = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 1; i < ARRAY_SIZE(fds); i++) {
                char name[16];

                snprintf(name, sizeof(name), "d%zu", i);
                assert_int_equal(mkdirat(fds[i - 1], name, 0700), 0);
                fds[i] = openat(fds[i - 1], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(fds[i] >= 0);
                if (i > ARRAY_SIZE(fds) - 1 - 80)
                        snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
                                 "/%s", name);
        }

        sample = call_getppid(LAB_THIS_KERNEL, fds[ARRAY_SIZE(fds) - 1], false);
        assert_string_equal(sample_str(&lab, sample, "path"), expected);

        for (size_t i = ARRAY_SIZE(fds) - 1; i > 0; i--) {
                char name[16];

                snprintf(name, sizeof(name), "d%zu", i);
                assert_int_equal(unlinkat(fds[i - 1], name, AT_REMOVEDIR), 0);
                close(fds[i]);
        }
        close(fds[0]);
        rmdir(dir);
}

static void test_kernel_stack(void **state) {
        uint64_t addresses[127] = { 0 };
        int64_t kstack;
        uint32_t id;
        int fd;

        kstack = sample_int(&lab, call_getppid(LAB_THIS_KERNEL, 0, false), "kstack");
        assert_in_range(kstack, 0, INT32_MAX);
        id = (uint32_t)kstack;
        fd = bpf_object__find_map_fd_by_name(lab.object, "ig_kstack");
        assert_int_equal(bpf_map_lookup_elem(fd, &id, addresses), 0);
        assert_true(addresses[1] >> 63); /* more than one frame, in the kernel */
}

/* Without --collect-ustack nothing of it is filled in. */
static void test_no_user_stack(void **state) {
        const struct sample *sample = call_getppid(LAB_THIS_KERNEL, 0, false);
        size_t size;
        size_t offset = lab_offset(&lab, "ustack", &size);

        for (size_t i = 0; i < size; i++)
                assert_int_equal(sample->data[offset + i], 0);
        assert_int_equal(sample_uint(&lab, sample, "build_ids"), 0);
}

static uint64_t pid_namespace_of(pid_t pid) {
        char path[64];
        struct stat st;

        snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
        assert_int_equal(stat(path, &st), 0);
        return st.st_ino;
}

static void test_user_stack(void **state) {
        const struct sample *sample = call_getppid(LAB_THIS_KERNEL, 0, true);
        uint64_t addresses[127] = { 0 };
        uint64_t frames = 0;
        uint32_t id;
        struct stat st;
        int fd;

        assert_int_equal(stat("/proc/self/exe", &st), 0);
        assert_int_equal(sample_uint(&lab, sample, "ustack.major"), major(st.st_dev));
        assert_int_equal(sample_uint(&lab, sample, "ustack.minor"), minor(st.st_dev));
        assert_int_equal(sample_uint(&lab, sample, "ustack.inode"), st.st_ino);
        assert_int_equal(sample_uint(&lab, sample, "ustack.mtime_sec"), st.st_mtim.tv_sec);
        assert_int_equal(sample_uint(&lab, sample, "ustack.mtime_nsec"), st.st_mtim.tv_nsec);
        assert_int_equal(sample_uint(&lab, sample, "ustack.tgid_level0"), getpid());
        assert_int_equal(sample_uint(&lab, sample, "ustack.pid_level0"), gettid());
        assert_int_equal(sample_uint(&lab, sample, "ustack.pidns_level0"),
                         pid_namespace_of(getpid()));
        assert_int_equal(sample_uint(&lab, sample, "ustack.pid_level1"), 0);
        assert_int_not_equal(sample_uint(&lab, sample, "ustack.base_addr_hash"), 0);

        id = (uint32_t)sample_uint(&lab, sample, "ustack.stack_id");
        fd = bpf_object__find_map_fd_by_name(lab.object, "ig_ustack");
        assert_int_equal(bpf_map_lookup_elem(fd, &id, addresses), 0);
        while (frames < ARRAY_SIZE(addresses) && addresses[frames] != 0)
                assert_int_equal(addresses[frames++] >> 63, 0);
        assert_true(frames > 0);
        assert_in_range(sample_uint(&lab, sample, "build_ids"), 1, frames);
}

/* A child in a PID namespace of its own has two numbers. */
static void test_user_stack_in_a_pid_namespace(void **state) {
        const struct sample *sample;
        uint64_t inner_pidns;
        int go[2];
        int status;
        pid_t pid;

        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_BPF_RAW_TP);
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
        assert_true(pid >= 0);
        if (pid == 0) {
                char c;

                close(go[1]);
                if (read(go[0], &c, 1) == 1)
                        (void)syscall(SYS_getppid);
                _exit(0);
        }
        close(go[0]);

        lab_open(&lab, OBJECT, LAB_THIS_KERNEL);
        lab_set_u32(&lab, "targ_pid", (uint32_t)pid);
        lab_set_bool(&lab, "collect_ustack", true);
        lab_start(&lab);
        inner_pidns = pid_namespace_of(pid);
        assert_int_equal(write(go[1], "", 1), 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(go[1]);
        lab_drain(&lab);
        assert_int_equal(lab.n_samples, 1);

        sample = lab.samples[0];
        assert_int_equal(sample_uint(&lab, sample, "ustack.tgid_level0"), pid);
        assert_int_equal(sample_uint(&lab, sample, "ustack.pidns_level0"),
                         pid_namespace_of(getpid()));
        assert_int_equal(sample_uint(&lab, sample, "ustack.pid_level1"), 1);
        assert_int_equal(sample_uint(&lab, sample, "ustack.pidns_level1"), inner_pidns);
}

#define TEST(_test) cmocka_unit_test_teardown(_test, teardown)

static const struct CMUnitTest tests[] = {
        TEST(test_bits_and_hashes),
        TEST(test_arguments),
        TEST(test_arguments_on_an_old_kernel),
        TEST(test_paths),
        TEST(test_paths_of_unlinked_things),
        TEST(test_deep_path),
        TEST(test_kernel_stack),
        TEST(test_no_user_stack),
        TEST(test_user_stack),
        TEST(test_user_stack_in_a_pid_namespace),
};

TEST_MAIN_SETUP("sdk/helpers", tests, lab_mount_tracefs, NULL)
