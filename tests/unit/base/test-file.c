/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/lib/needs.h"

/* A fresh directory for each test; its fd is the state. */
struct place {
        char path[64];
        int fd;
};

static int setup(void **state) {
        struct place *place = calloc(1, sizeof(*place));

        snprintf(place->path, sizeof(place->path), "/tmp/test-file-XXXXXX");
        if (!mkdtemp(place->path))
                return -1;
        place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = place;
        return place->fd < 0 ? -1 : 0;
}

static int teardown(void **state) {
        struct place *place = *state;
        int r = remove_tree(AT_FDCWD, place->path);

        close(place->fd);
        free(place);
        return r;
}

static int dir_of(void **state) {
        return ((struct place *)*state)->fd;
}

static void put(int dir_fd, const char *name, const char *text) {
        assert_int_equal(write_file_atomic(dir_fd, name, text, strlen(text), 0644), 0);
}

static void test_read_write(void **state) {
        cleanup_buf struct buf b = BUF_INIT(1 << 20);
        int dir = dir_of(state);
        struct stat st;

        assert_int_equal(write_file_atomic(dir, "f", "hello", 5, 0600), 0);
        assert_int_equal(fstatat(dir, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(read_file_at(dir, "f", &b), 0);
        assert_int_equal(b.len, 5);
        assert_memory_equal(b.data, "hello", 5);

        /* Replaced, and no temporary file is left. */
        put(dir, "f", "other text");
        buf_reset(&b);
        assert_int_equal(read_file_at(dir, "f", &b), 0);
        assert_memory_equal(b.data, "other text", 10);
        assert_int_equal(unlinkat(dir, "f", 0), 0);
        assert_int_equal(unlinkat(AT_FDCWD, ((struct place *)*state)->path, AT_REMOVEDIR), 0);
        assert_int_equal(mkdir(((struct place *)*state)->path, 0700), 0);
}

static void test_write_failure_leaves_nothing(void **state) {
        int dir = dir_of(state);

        assert_int_equal(mkdirat(dir, "taken", 0755), 0);
        assert_int_equal(write_file_atomic(dir, "taken", "x", 1, 0644), -EISDIR);
        assert_int_equal(write_file_atomic(dir, "absent/f", "x", 1, 0644), -ENOENT);
        /* Only the directory is left, so it can be removed. */
        assert_int_equal(unlinkat(dir, "taken", AT_REMOVEDIR), 0);
        assert_int_equal(rmdir(((struct place *)*state)->path), 0);
        assert_int_equal(mkdir(((struct place *)*state)->path, 0700), 0);
}

static void test_read_bounds(void **state) {
        cleanup_buf struct buf exact = BUF_INIT(5), small = BUF_INIT(4), proc = BUF_INIT(1 << 16);
        int dir = dir_of(state);

        put(dir, "f", "12345");
        assert_int_equal(read_file_at(dir, "f", &exact), 0);
        assert_int_equal(exact.len, 5);
        assert_int_equal(read_file_at(dir, "f", &small), -EFBIG);
        assert_int_equal(read_file_at(dir, "absent", &small), -ENOENT);
        /* A file that says it has no size. */
        assert_int_equal(read_file_at(AT_FDCWD, "/proc/self/status", &proc), 0);
        assert_true(proc.len > 100);
}

static void test_read_fd_starts_at_0(void **state) {
        cleanup_buf struct buf b = BUF_INIT(100);
        cleanup_close int fd = memfd_sealed("t", "abcdef", 6);
        char c;

        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(read(fd, &c, 1), 1);
        assert_int_equal(read_fd(fd, &b), 0);
        assert_int_equal(b.len, 6);
}

static void test_open_beneath(void **state) {
        int dir = dir_of(state), fd;

        assert_int_equal(make_dirs(dir, "a/b", 0755, NULL), 0);
        put(dir, "a/b/../../f", "x"); /* the path is ours here */
        assert_int_equal(symlinkat("f", dir, "link"), 0);
        assert_int_equal(symlinkat("/etc", dir, "out"), 0);

        fd = open_beneath(dir, "a/b/../../f", O_RDONLY, 0);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
        fd = open_beneath(dir, "a/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
        assert_true(fd >= 0);
        close(fd);

        assert_int_equal(open_beneath(dir, "link", O_RDONLY, 0), -ELOOP);
        assert_int_equal(open_beneath(dir, "out/passwd", O_RDONLY, 0), -ELOOP);
        assert_int_equal(open_beneath(dir, "../x", O_RDONLY, 0), -EXDEV);
        assert_int_equal(open_beneath(dir, "/etc/passwd", O_RDONLY, 0), -EXDEV);
        assert_int_equal(open_beneath(dir, "a/../../x", O_RDONLY, 0), -EXDEV);
        assert_int_equal(open_beneath(dir, "absent", O_RDONLY, 0), -ENOENT);
}

static void test_make_dirs(void **state) {
        cleanup_close int fd = -1;
        int dir = dir_of(state);
        char path[128];
        struct stat st;

        assert_int_equal(make_dirs(dir, "x/y//z/", 0750, &fd), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
        assert_int_equal(make_dirs(dir, "x/y/z", 0750, NULL), 0);
        snprintf(path, sizeof(path), "%s/abs/olute", ((struct place *)*state)->path);
        assert_int_equal(make_dirs(AT_FDCWD, path, 0755, NULL), 0);
        assert_int_equal(make_dirs(AT_FDCWD, "/", 0755, NULL), 0);

        put(dir, "file", "x");
        assert_int_equal(make_dirs(dir, "file", 0755, NULL), -ENOTDIR);
        assert_int_equal(make_dirs(dir, "file/below", 0755, NULL), -ENOTDIR);
        assert_int_equal(make_dirs(dir, "", 0755, NULL), -ENOENT);
}

static void test_remove_tree(void **state) {
        int dir = dir_of(state);

        assert_int_equal(make_dirs(dir, "t/a/b/c", 0755, NULL), 0);
        put(dir, "t/a/f", "x");
        put(dir, "kept", "x");
        assert_int_equal(symlinkat("../kept", dir, "t/link"), 0);
        assert_int_equal(symlinkat("..", dir, "t/a/up"), 0);
        assert_int_equal(remove_tree(dir, "t"), 0);
        assert_int_equal(faccessat(dir, "t", F_OK, 0), -1);
        assert_int_equal(faccessat(dir, "kept", F_OK, 0), 0);
        assert_int_equal(remove_tree(dir, "t"), 0);
        assert_int_equal(remove_tree(dir, "kept"), 0);
        assert_int_equal(faccessat(dir, "kept", F_OK, 0), -1);
}

static void test_memfd_sealed(void **state) {
        cleanup_close int fd = memfd_sealed("t", "abc", 3);

        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GET_SEALS),
                         F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
        assert_int_equal(pwrite(fd, "x", 1, 0), -1);
        assert_int_equal(errno, EPERM);
}

static void test_memfd_sized(void **state) {
        cleanup_close int fd = memfd_sized("t", 10000);
        struct stat st;

        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 10000);
        assert_int_equal(pwrite(fd, "x", 1, 0), 1);
        assert_int_equal(ftruncate(fd, 1), -1);
        assert_int_equal(ftruncate(fd, 20000), -1);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void test_socket_pair(void **state) {
        cleanup_close int a = -1, b = -1;
        char c;

        assert_int_equal(socket_pair(SOCK_SEQPACKET, &a, &b), 0);
        assert_int_equal(read(a, &c, 1), -1);
        assert_int_equal(errno, EAGAIN);
        assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(write_all(b, "x", 1), 0);
        assert_int_equal(read(a, &c, 1), 1);
}

static void test_write_all_reports(void **state) {
        cleanup_close int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

        assert_int_equal(write_all(fd, "x", 1), -ENOSPC);
        assert_int_equal(write_all(fd, "x", 0), 0);
        assert_int_equal(write_all(-1, "x", 1), -EBADF);
}

#define TEST(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)
static const struct CMUnitTest tests[] = {
        TEST(test_read_write),        TEST(test_write_failure_leaves_nothing),
        TEST(test_read_bounds),       TEST(test_read_fd_starts_at_0),
        TEST(test_open_beneath),      TEST(test_make_dirs),
        TEST(test_remove_tree),       TEST(test_memfd_sealed),
        TEST(test_memfd_sized),       TEST(test_socket_pair),
        TEST(test_write_all_reports),
};
TEST_MAIN("base-file", tests)
