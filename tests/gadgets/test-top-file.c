/* SPDX-License-Identifier: Apache-2.0 */
/* top_file: what this test reads and writes, call by call and byte by byte. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/uio.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define N 100
#define SIZE 50

struct totals {
        json_int_t reads, writes, read_bytes, written_bytes;
};

/* Over all arrays: entries are taken as they are read. */
static struct totals sum(struct run *run, const char *file) {
        struct totals total = { 0 };
        const char *at = run_out(run);

        for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
                json_t *rows = json_loadb(at, (size_t)(end - at), 0, NULL), *row;
                size_t i;

                json_array_foreach(rows, i, row) {
                        if (!str_eq(row_str(row, "file"), file))
                                continue;
                        assert_int_equal(row_int(row, "pid"), getpid());
                        assert_string_equal(row_str(row, "comm"), "test-top-file");
                        total.reads += row_int(row, "reads");
                        total.writes += row_int(row, "writes");
                        total.read_bytes += row_int(row, "read_bytes_raw");
                        total.written_bytes += row_int(row, "written_bytes_raw");
                }
                json_decref(rows);
        }
        return total;
}

static struct run *start(struct env *env, const char *more) {
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", getpid());
        return env_run(env, "run", "top_file", "--host", "--pid", pid, "--interval", "100ms",
                       "--max-entries", "0", "-o", "json", more, NULL);
}

static void test_every_call(void **state) {
        char path[] = "/tmp/test-top-file-XXXXXX", marker[] = "/tmp/test-top-file-XXXXXX",
             data[SIZE] = { 0 };
        struct iovec iov[] = { { data, 10 }, { data, 20 } };
        struct env *env = *state;
        struct totals total;
        struct run *run;
        int fd, marker_fd;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        fd = mkostemp(path, O_CLOEXEC);
        marker_fd = mkostemp(marker, O_CLOEXEC);
        assert_true(fd >= 0 && marker_fd >= 0);
        run = start(env, "--all-files=false");
        assert_true(WAIT_UNTIL(
                (assert_int_equal(write(marker_fd, "x", 1), 1), sum(run, marker).writes > 0),
                WAIT_DEFAULT));
        for (int i = 0; i < N; i++) {
                assert_int_equal(write(fd, data, SIZE), SIZE);
                assert_int_equal(pwrite(fd, data, 5, 0), 5);
                assert_int_equal(writev(fd, iov, 2), 30);
                assert_int_equal(pwritev(fd, iov, 1, 0), 10);
        }
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        for (int i = 0; i < N; i++) {
                assert_int_equal(read(fd, data, 7), 7);
                assert_int_equal(pread(fd, data, SIZE, 0), SIZE);
                assert_int_equal(readv(fd, iov, 2), 30);
                assert_int_equal(preadv(fd, iov, 2, 0), 30);
        }
        /* Nothing: the end of the file. And an error, which does not count. */
        assert_int_equal(pread(fd, data, SIZE, 1 << 20), 0);
        assert_int_equal(pread(fd, data, SIZE, -1), -1);
        assert_true(WAIT_UNTIL(sum(run, path).reads >= 4 * N + 1, WAIT_DEFAULT));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        total = sum(run, path);
        assert_int_equal(total.writes, 4 * N);
        assert_int_equal(total.written_bytes, N * (SIZE + 5 + 30 + 10));
        assert_int_equal(total.reads, 4 * N + 1);
        assert_int_equal(total.read_bytes, N * (7 + SIZE + 30 + 30));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(unlink(marker), 0);
        close(fd);
        close(marker_fd);
        env_stop(env);
}

/* With --all-files a pipe is one too, and says so. */
static void test_other_files(void **state) {
        struct env *env = *state;
        struct run *run;
        int fds[2];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        run = start(env, "--all-files");
        assert_true(WAIT_UNTIL(
                ((void)!write(fds[1], "x", 1), strstr(run_out(run), "\"type\":\"PIPE\"")),
                WAIT_DEFAULT));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        close(fds[0]);
        close(fds[1]);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_every_call),
        ENV_TEST(test_other_files),
};
TEST_MAIN("gadget-top-file", tests)
