/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where processes execute which files: of this test itself, of one with more mappings than anybody
 * looks at, of those that have ended or are none of the gadget's business; and the files.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "tests/unit/broker/bed.h"

struct asked {
        struct bed bed;
        struct reply reply;
        struct error err;
        struct broker_process process;
        struct broker_mapping mappings[LIMIT_MAPPINGS_MAX];
};

static void begin(struct asked *a) {
        *a = (struct asked){ 0 };
        bed_init(&a->bed);
        a->bed.broker->is_host_wide = true;
        a->reply = (struct reply){ .payload = BUF_INIT(1 << 20), .fd = -1 };
}

static void end(struct asked *a) {
        buf_done(&a->reply.payload);
        bed_done(&a->bed);
}

static int ask(struct asked *a, pid_t pid) {
        struct broker_pair want = { .object = (uint32_t)pid };
        struct request request = { .type = BROKER_PROCESS, .body = &want };

        buf_reset(&a->reply.payload);
        a->reply.result = 0;
        a->err = (struct error){ 0 };
        if (on_process(a->bed.broker, &request, &a->reply, &a->err) < 0)
                return -EPROTO;
        if (a->reply.result < 0)
                return a->reply.result;
        assert_true(a->reply.payload.len >= sizeof(a->process));
        memcpy(&a->process, a->reply.payload.data, sizeof(a->process));
        assert_true(a->process.n_mappings <= LIMIT_MAPPINGS_MAX);
        assert_int_equal(a->reply.payload.len,
                         sizeof(a->process) + a->process.n_mappings * sizeof(*a->mappings));
        memcpy(a->mappings, a->reply.payload.data + sizeof(a->process),
               a->process.n_mappings * sizeof(*a->mappings));
        return 0;
}

static int ask_file(struct asked *a, pid_t pid, const struct broker_mapping *m, uint64_t start_ns,
                    struct broker_file *ret) {
        struct broker_mapped_file want = {
                .pid = (uint32_t)pid, .start_ns = start_ns, .start = m->start, .end = m->end
        };
        struct request request = { .type = BROKER_MAPPED_FILE, .body = &want };

        buf_reset(&a->reply.payload);
        a->reply.result = 0;
        a->reply.fd = -1;
        assert_int_equal(on_mapped_file(a->bed.broker, &request, &a->reply, &a->err), 0);
        if (a->reply.result < 0)
                return a->reply.result;
        assert_int_equal(a->reply.payload.len, sizeof(*ret));
        memcpy(ret, a->reply.payload.data, sizeof(*ret));
        return a->reply.fd;
}

static const struct broker_mapping *mapping_of(const struct asked *a, const void *place) {
        uint64_t address = (uint64_t)(uintptr_t)place;

        for (uint32_t i = 0; i < a->process.n_mappings; i++)
                if (address >= a->mappings[i].start && address < a->mappings[i].end)
                        return &a->mappings[i];
        return NULL;
}

static void test_own_mappings(void **state) {
        const struct broker_mapping *own;
        struct asked a;
        struct stat st;

        begin(&a);
        assert_int_equal(ask(&a, getpid()), 0);
        assert_int_equal(a.process.n_missing, 0);
        assert_true(a.process.start_ns < clock_ns(CLOCK_BOOTTIME));
        own = mapping_of(&a, (void *)test_own_mappings);
        assert_non_null(own);
        assert_int_equal(stat("/proc/self/exe", &st), 0);
        assert_int_equal(own->inode, st.st_ino);
        assert_true(a.process.start_code >= own->start && a.process.start_code < own->end);
        assert_non_null(mapping_of(&a, (void *)printf));
        assert_null(mapping_of(&a, &a));    /* not executed */
        assert_null(mapping_of(&a, state)); /* nor this */
        end(&a);
}

static void test_own_file(void **state) {
        const struct broker_mapping *own;
        struct broker_mapping moved;
        struct broker_file file;
        struct asked a;
        struct stat st;
        char magic[4];
        int fd;

        test_needs(NEED_ROOT); /* map_files */
        begin(&a);
        assert_int_equal(ask(&a, getpid()), 0);
        own = mapping_of(&a, (void *)test_own_file);
        fd = ask_file(&a, getpid(), own, a.process.start_ns, &file);
        assert_true(fd >= 0);
        assert_true(a.reply.is_fd_ours);
        assert_int_equal(pread(fd, magic, 4, 0), 4);
        assert_memory_equal(magic, "\177ELF", 4);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(stat("/proc/self/exe", &st), 0);
        assert_int_equal(file.inode, st.st_ino);
        assert_int_equal(file.dev, st.st_dev);
        assert_int_equal(file.size, st.st_size);
        close(fd);
        /* The pid is another process's now. */
        assert_int_equal(ask_file(&a, getpid(), own, a.process.start_ns + 1, &file), -ESRCH);
        moved = *own;
        moved.end += 4096;
        assert_int_equal(ask_file(&a, getpid(), &moved, a.process.start_ns, &file), -ENOENT);
        end(&a);
}

/* Only programs and libraries that everybody may read. */
static void test_refused_files(void **state) {
        static const struct {
                const char *content;
                mode_t mode;
                int result;
        } cases[] = {
                { "\177ELF and so on", 0644, 0 },
                { "\177ELF and so on", 0640, -EACCES },
                { "a secret of somebody", 0644, -ENOEXEC },
                { "ELF", 0644, -ENOEXEC },
        };
        struct asked a;

        test_needs(NEED_ROOT);
        begin(&a);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char path[] = "/tmp/gadget-test-mapped-XXXXXX";
                struct broker_mapping m = { 0 };
                struct broker_file file;
                int fd = mkstemp(path), r;
                void *p;

                assert_int_equal(write(fd, cases[i].content, strlen(cases[i].content)),
                                 strlen(cases[i].content));
                assert_int_equal(fchmod(fd, cases[i].mode), 0);
                p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
                assert_true(p != MAP_FAILED);
                unlink(path); /* which makes no difference */
                m.start = (uint64_t)(uintptr_t)p;
                m.end = m.start + 4096;
                assert_int_equal(ask(&a, getpid()), 0);
                assert_non_null(mapping_of(&a, p));
                r = ask_file(&a, getpid(), &m, a.process.start_ns, &file);
                if (cases[i].result < 0) {
                        assert_int_equal(r, cases[i].result);
                } else {
                        assert_true(r >= 0);
                        close(r);
                }
                munmap(p, 4096);
                close(fd);
        }
        end(&a);
}

/* A child that lives until it is told to end. */
static pid_t start_child(int *ret_fd) {
        int fds[2];
        pid_t pid;
        char c;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(fds[1]);
                (void)!read(fds[0], &c, 1);
                _exit(0);
        }
        close(fds[0]);
        *ret_fd = fds[1];
        return pid;
}

static void test_ended(void **state) {
        struct asked a;
        siginfo_t info;
        int fd;
        pid_t pid;

        begin(&a);
        pid = start_child(&fd);
        assert_int_equal(ask(&a, pid), 0);
        close(fd);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(ask(&a, pid), -ESRCH); /* a zombie has no memory */
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(ask(&a, pid), -ESRCH);
        assert_int_equal(ask(&a, 0), -ESRCH);
        assert_int_equal(ask(&a, -1), -ESRCH);
        end(&a);
}

/* A name that looks like the rest of the line. */
static void test_odd_name(void **state) {
        struct asked a;
        char old[16];

        begin(&a);
        prctl(PR_GET_NAME, old);
        assert_int_equal(prctl(PR_SET_NAME, ") R 1 1 1 (x)"), 0);
        assert_int_equal(ask(&a, getpid()), 0);
        assert_non_null(mapping_of(&a, (void *)(uintptr_t)a.process.start_code));
        prctl(PR_SET_NAME, old);
        end(&a);
}

static void test_mappings_limit(void **state) {
        size_t n = LIMIT_MAPPINGS_MAX + 50;
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        struct asked a;
        uint8_t *p;

        begin(&a);
        p = mmap(NULL, 2 * n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(p != MAP_FAILED);
        for (size_t i = 0; i < n; i++) /* with holes, or they would become one */
                assert_true(mmap(p + 2 * i * 4096, 4096, PROT_READ | PROT_EXEC,
                                 MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED);
        assert_int_equal(ask(&a, getpid()), 0);
        assert_int_equal(a.process.n_mappings, LIMIT_MAPPINGS_MAX);
        assert_true(a.process.n_missing >= 50);
        munmap(p, 2 * n * 4096);
        close(fd);
        end(&a);
}

/* What a gadget may not see has no files for it. */
static void test_visibility(void **state) {
        struct container_row row = { .root_fd = -1 };
        struct broker_mapping any = { 0 };
        struct broker_file file;
        struct asked a;
        struct stat st;

        begin(&a);
        a.bed.broker->is_host_wide = false;
        assert_int_equal(ask(&a, getpid()), -EACCES);
        assert_int_equal(ask_file(&a, getpid(), &any, 0, &file), -EACCES);
        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
        row.mntns = st.st_ino;
        a.bed.broker->containers.items = &row;
        a.bed.broker->containers.n = 1;
        assert_int_equal(ask(&a, getpid()), 0);
        row.is_filtered_out = true; /* the container has ended */
        assert_int_equal(ask(&a, getpid()), -EACCES);
        a.bed.broker->containers.items = NULL;
        a.bed.broker->containers.n = 0;
        end(&a);
}

/* Pids of events are the host's; ours of the same number are other processes. */
static void test_own_pids(void **state) {
        struct broker_mapping any = { 0 };
        struct broker_file file;
        struct asked a;

        begin(&a);
        a.bed.broker->has_own_pids = true;
        assert_int_equal(ask(&a, getpid()), -ESRCH);
        assert_int_equal(ask_file(&a, getpid(), &any, 0, &file), -ESRCH);
        end(&a);
}

static void test_without_stacks(void **state) {
        struct asked a;

        begin(&a);
        a.bed.broker->has_stacks = false;
        assert_int_equal(ask(&a, getpid()), -EPROTO);
        assert_non_null(strstr(a.err.msg, "without a map of stacks"));
        end(&a);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_mappings),  cmocka_unit_test(test_own_file),
        cmocka_unit_test(test_refused_files), cmocka_unit_test(test_ended),
        cmocka_unit_test(test_odd_name),      cmocka_unit_test(test_mappings_limit),
        cmocka_unit_test(test_visibility),    cmocka_unit_test(test_without_stacks),
        cmocka_unit_test(test_own_pids),
};
TEST_MAIN("broker-process", tests)
