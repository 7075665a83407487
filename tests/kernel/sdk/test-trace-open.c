/* SPDX-License-Identifier: Apache-2.0 */
/* trace_open's object under plain libbpf, watching this process: every call, every field, exact
 * counts. */
#include "tests/lib/needs.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/kernel/sdk/lab.h"

#define OBJECT GADGET_OBJECT_DIR "/trace_open-" GADGET_ARCH ".bpf.o"
#define MISSING "/nonexistent/gadget/file"

static struct lab lab;

static uint64_t mntns_of_self(void) {
        struct stat st;

        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
        return st.st_ino;
}

static void open_lab(enum lab_kernel kernel) {
        test_needs(NEED_BPF_TRACEPOINT);
        lab_open(&lab, OBJECT, kernel);
        lab_set_u32(&lab, "targ_pid", (uint32_t)getpid());
}

static int teardown(void **state) {
        lab_done(&lab);
        return 0;
}

/* Opens what must open and closes it; the descriptor's number is returned. */
static int open_ok(int fd) {
        assert_true(fd >= 0);
        close(fd);
        return fd;
}

static void check_event(size_t i, const char *path, int flags, unsigned mode, int fd, int error) {
        const struct sample *sample;
        size_t fname = lab_offset(&lab, "fname", NULL);

        assert_true(i < lab.n_samples);
        sample = lab.samples[i];
        assert_string_equal(sample_str(&lab, sample, "fname"), path);
        assert_int_equal(sample_uint(&lab, sample, "flags_raw"), flags);
        assert_int_equal(sample_uint(&lab, sample, "mode_raw"), mode);
        assert_int_equal(sample_int(&lab, sample, "fd"), fd);
        assert_int_equal(sample_uint(&lab, sample, "error_raw"), error);
        /* Only what the path needs was sent; a perf buffer rounds up. */
        if (lab.ring)
                assert_int_equal(sample->len, fname + strlen(path) + 1);
        else
                assert_in_range(sample->len, fname + strlen(path) + 1, fname + strlen(path) + 9);
}

/* glibc's open() is openat(), so each call is made by number. */
static void check_every_call(enum lab_kernel kernel) {
        struct open_how how = { .flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0640 };
        char dir[] = "/tmp/trace-open-XXXXXX";
        char longest[PATH_MAX];
        char path[64];
        int fds[4];
        size_t i = 0;

        open_lab(kernel);
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/file", dir);
        memset(longest, '/', sizeof(longest));
        memcpy(longest + sizeof(longest) - 9, "etc/none", 9);

        lab_start(&lab);
        fds[0] = open_ok(
                (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC, 0777));
        fds[1] = open_ok((int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
        fds[2] = open_ok((int)syscall(SYS_openat, AT_FDCWD, dir, O_TMPFILE | O_RDWR, 0600));
        assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
        assert_int_equal(syscall(SYS_openat, AT_FDCWD, longest, O_RDONLY), -1);
        assert_int_equal(syscall(SYS_openat, AT_FDCWD, (void *)8, O_RDONLY), -1);
#ifdef SYS_open
        fds[3] = open_ok((int)syscall(SYS_open, "/dev/zero", O_RDONLY));
#endif
        lab_drain(&lab);

        check_event(i++, "/dev/null", O_WRONLY | O_CLOEXEC, 0, fds[0], 0);
        check_event(i++, path, O_RDWR | O_CREAT | O_EXCL, 0640, fds[1], 0);
        check_event(i++, dir, O_TMPFILE | O_RDWR, 0600, fds[2], 0);
        check_event(i++, MISSING, O_RDONLY, 0, -1, ENOENT);
        check_event(i++, longest, O_RDONLY, 0, -1, ENOENT);
        check_event(i++, "", O_RDONLY, 0, -1, EFAULT);
#ifdef SYS_open
        check_event(i++, "/dev/zero", O_RDONLY, 0, fds[3], 0);
#endif
        assert_int_equal(lab.n_received, i);
        assert_int_equal(lab_lost(&lab), 0);

        unlink(path);
        rmdir(dir);
}

static void test_every_call(void **state) {
        check_every_call(LAB_THIS_KERNEL);
}

static void test_every_call_on_an_old_kernel(void **state) {
        check_every_call(LAB_OLD_KERNEL);
}

static void check_process(enum lab_kernel kernel) {
        const struct sample *sample;
        char parent_comm[16] = "";
        char comm[16] = "";
        struct timespec before;
        struct timespec after;
        uint64_t when;
        char path[64];
        FILE *f;

        open_lab(kernel);
        snprintf(path, sizeof(path), "/proc/%d/comm", getppid());
        f = fopen(path, "re");
        assert_non_null(f);
        assert_true(fscanf(f, "%15[^\n]", parent_comm) == 1);
        fclose(f);
        assert_int_equal(prctl(PR_GET_NAME, comm), 0);
        lab_start(&lab);

        clock_gettime(CLOCK_BOOTTIME, &before);
        open_ok((int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY));
        clock_gettime(CLOCK_BOOTTIME, &after);
        lab_drain(&lab);
        assert_int_equal(lab.n_samples, 1);
        sample = lab.samples[0];

        when = sample_uint(&lab, sample, "timestamp_raw");
        assert_in_range(when, (uint64_t)before.tv_sec * NSEC_PER_SEC + (uint64_t)before.tv_nsec,
                        (uint64_t)after.tv_sec * NSEC_PER_SEC + (uint64_t)after.tv_nsec);
        assert_string_equal(sample_str(&lab, sample, "proc.comm"), comm);
        assert_int_equal(sample_uint(&lab, sample, "proc.pid"), getpid());
        assert_int_equal(sample_uint(&lab, sample, "proc.tid"), gettid());
        assert_int_equal(sample_uint(&lab, sample, "proc.mntns_id"), mntns_of_self());
        assert_int_equal(sample_uint(&lab, sample, "proc.creds.uid"), getuid());
        assert_int_equal(sample_uint(&lab, sample, "proc.creds.gid"), getgid());
        assert_int_equal(sample_uint(&lab, sample, "proc.parent.pid"), getppid());
        assert_string_equal(sample_str(&lab, sample, "proc.parent.comm"), parent_comm);
}

static void test_process(void **state) {
        check_process(LAB_THIS_KERNEL);
}

static void test_process_on_an_old_kernel(void **state) {
        check_process(LAB_OLD_KERNEL);
}

static void test_failed_only(void **state) {
        open_lab(LAB_THIS_KERNEL);
        lab_set_bool(&lab, "failed_only", true);
        lab_start(&lab);

        for (int i = 0; i < 20; i++) {
                open_ok((int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY));
                assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
        }
        lab_drain(&lab);
        assert_int_equal(lab.n_received, 20);
        for (size_t i = 0; i < lab.n_samples; i++)
                check_event(i, MISSING, O_RDONLY, 0, -1, ENOENT);
}

/* The filters of filter.h: with a value that fits us, and with one that does not. */
static void test_filters(void **state) {
        static const struct {
                const char *variable;
                uint32_t (*fitting)(void);
        } filters[] = {
                { "targ_pid", (uint32_t(*)(void))getpid },
                { "targ_tid", (uint32_t(*)(void))gettid },
                { "targ_uid", getuid },
                { "targ_gid", getgid },
        };

        for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
                for (uint32_t off = 0; off <= 1; off++) {
                        open_lab(LAB_THIS_KERNEL);
                        lab_set_u32(&lab, filters[i].variable, filters[i].fitting() + off);
                        lab_start(&lab);
                        assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
                        lab_drain(&lab);
                        assert_int_equal(lab.n_received, off == 0 ? 1 : 0);
                        lab_done(&lab);
                }
        }
}

static void test_filter_by_comm(void **state) {
        static const struct {
                const char *comm;
                uint64_t n_events;
        } names[] = {
                { "", 1 },     { "fifteen-letters", 1 }, { "fifteen-lettere", 0 },
                { "fift", 0 }, { "fifteen-letter", 0 },  { "another", 0 },
        };

        assert_int_equal(pthread_setname_np(pthread_self(), "fifteen-letters"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                char comm[16] = "";

                memcpy(comm, names[i].comm, strlen(names[i].comm));
                open_lab(LAB_THIS_KERNEL);
                lab_set(&lab, "targ_comm", comm, sizeof(comm));
                lab_start(&lab);
                assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
                lab_drain(&lab);
                assert_int_equal(lab.n_received, names[i].n_events);
                lab_done(&lab);
        }
}

/* Which containers are of interest changes while the gadget runs. */
static void check_filter_by_mntns(enum lab_kernel kernel) {
        uint64_t mntns = mntns_of_self();
        uint32_t one = 1;
        int fd;

        open_lab(kernel);
        lab_set_bool(&lab, "gadget_filter_by_mntns", true);
        lab_start(&lab);
        fd = bpf_object__find_map_fd_by_name(lab.object, "gadget_mntns_filter_map");

        for (int round = 0; round < 3; round++) {
                assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
                lab_drain(&lab);
                assert_int_equal(lab.n_received, 0);

                assert_int_equal(bpf_map_update_elem(fd, &mntns, &one, BPF_ANY), 0);
                assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
                lab_drain(&lab);
                assert_int_equal(lab.n_received, 1);

                assert_int_equal(bpf_map_delete_elem(fd, &mntns), 0);
                lab_forget(&lab);
        }
}

static void test_filter_by_mntns(void **state) {
        check_filter_by_mntns(LAB_THIS_KERNEL);
}

static void test_filter_by_mntns_on_an_old_kernel(void **state) {
        check_filter_by_mntns(LAB_OLD_KERNEL);
}

/* A ring of one page that nobody reads, then one that is read as fast as can be: nothing is lost
 * uncounted. */
static void test_full_ring(void **state) {
        struct bpf_map *events;
        uint64_t received;

        open_lab(LAB_THIS_KERNEL);
        events = bpf_object__find_map_by_name(lab.object, "events");
        assert_int_equal(bpf_map__set_max_entries(events, 4096), 0);
        lab_start(&lab);

        for (int i = 0; i < 1000; i++)
                assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
        lab_drain(&lab);
        assert_in_range(lab.n_received, 20, 40);
        assert_int_equal(lab.n_received + lab_lost(&lab), 1000);
        received = lab.n_received;

        /* There is room again. */
        assert_int_equal(syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY), -1);
        lab_drain(&lab);
        assert_int_equal(lab.n_received, received + 1);
        assert_int_equal(lab.n_received + lab_lost(&lab), 1001);
}

#define FLOOD_OPENS 50000
#define FLOOD_THREADS 3

static void *flood(void *arg) {
        atomic_int *n_running = arg;

        for (int i = 0; i < FLOOD_OPENS; i++)
                (void)syscall(SYS_openat, AT_FDCWD, MISSING, O_RDONLY);
        atomic_fetch_sub(n_running, 1);
        return NULL;
}

static void check_flood(enum lab_kernel kernel) {
        atomic_int n_running = FLOOD_THREADS;
        pthread_t threads[FLOOD_THREADS];
        struct bpf_map *events;

        open_lab(kernel);
        events = bpf_object__find_map_by_name(lab.object, "events");
        if (kernel == LAB_THIS_KERNEL)
                assert_int_equal(bpf_map__set_max_entries(events, 4096), 0);
        lab_start(&lab);

        for (size_t i = 0; i < FLOOD_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, flood, &n_running), 0);
        while (atomic_load(&n_running) > 0)
                lab_drain(&lab);
        for (size_t i = 0; i < FLOOD_THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        lab_drain(&lab);

        assert_true(lab.n_received > 0);
        assert_true(lab_lost(&lab) > 0);
        assert_int_equal(lab.n_received + lab_lost(&lab), FLOOD_OPENS * FLOOD_THREADS);
}

static void test_flood(void **state) {
        check_flood(LAB_THIS_KERNEL);
}

static void test_flood_on_an_old_kernel(void **state) {
        check_flood(LAB_OLD_KERNEL);
}

static void test_kernel_memory(void **state) {
        open_lab(LAB_THIS_KERNEL);
        lab_start(&lab);
        assert_in_range(lab_map_bytes(&lab), 512 << 10, 1 << 20);
}

#define TEST(_test) cmocka_unit_test_teardown(_test, teardown)

static const struct CMUnitTest tests[] = {
        TEST(test_every_call),
        TEST(test_every_call_on_an_old_kernel),
        TEST(test_process),
        TEST(test_process_on_an_old_kernel),
        TEST(test_failed_only),
        TEST(test_filters),
        TEST(test_filter_by_comm),
        TEST(test_filter_by_mntns),
        TEST(test_filter_by_mntns_on_an_old_kernel),
        TEST(test_full_ring),
        TEST(test_flood),
        TEST(test_flood_on_an_old_kernel),
        TEST(test_kernel_memory),
};

TEST_MAIN_SETUP("sdk/trace_open", tests, lab_mount_tracefs, NULL)
