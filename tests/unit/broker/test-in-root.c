/* SPDX-License-Identifier: Apache-2.0 */
/* Paths in a root directory that belongs to somebody else. */
#include "broker/in-root.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/lib/needs.h"

static struct {
        char dir[64];
        int top_fd;
        int root_fd;
} fx;

static void put(const char *path, const char *text, mode_t mode) {
        assert_int_equal(write_file_atomic(fx.top_fd, path, text, strlen(text), mode), 0);
}

static int setup(void **state) {
        snprintf(fx.dir, sizeof(fx.dir), "/tmp/gadget-in-root-XXXXXX");
        if (!mkdtemp(fx.dir))
                return -1;
        fx.top_fd = open(fx.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (make_dirs(fx.top_fd, "root/usr/lib", 0755, NULL) < 0 ||
            make_dirs(fx.top_fd, "root/deep/er", 0755, NULL) < 0)
                return -1;
        fx.root_fd = openat(fx.top_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        put("secret", "outside", 0644);
        put("root/file", "inside", 0644);
        put("root/private", "inside", 0600);
        put("root/usr/lib/libx.so.1", "no ELF", 0644);
        return fx.root_fd < 0 ? -1 : 0;
}

static int teardown(void **state) {
        char command[128];

        close_fd(&fx.root_fd);
        close_fd(&fx.top_fd);
        snprintf(command, sizeof(command), "rm -rf '%s'", fx.dir);
        return system(command);
}

static void link_to(const char *target, const char *path) {
        assert_int_equal(symlinkat(target, fx.top_fd, path), 0);
}

/* What the file holds, or the error as text. */
static const char *read_in(const char *path) {
        static char text[64];
        int fd = -1, r = in_root_open_file(fx.root_fd, path, &fd);
        ssize_t n;

        if (r < 0)
                return strerrorname_np(-r);
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[MAX(n, (ssize_t)0)] = '\0';
        return text;
}

static void test_paths(void **state) {
        assert_string_equal(read_in("/file"), "inside");
        assert_string_equal(read_in("file"), "inside");
        assert_string_equal(read_in("//deep/./er/../../file"), "inside");
        assert_string_equal(read_in("/../../../file"), "inside");
        assert_string_equal(read_in("/../secret"), "ENOENT");
        assert_string_equal(read_in("/nothing"), "ENOENT");
        assert_string_equal(read_in("/file/x"), "ENOTDIR");
        assert_string_equal(read_in("/file/"), "ENOTDIR");
        assert_string_equal(read_in("/"), "EACCES");
        assert_string_equal(read_in("/deep"), "EACCES");
        assert_string_equal(read_in("/private"), "EACCES");
}

/* Each link means what it means to who lives there. */
static void test_links(void **state) {
        char out[128];

        snprintf(out, sizeof(out), "%s/secret", fx.dir);
        link_to("/file", "root/absolute");
        link_to("../file", "root/deep/relative");
        link_to("../../../../../file", "root/deep/er/far");
        link_to(out, "root/out");
        link_to("../secret", "root/above");
        link_to("/../../../../../../../../../../../../../etc/passwd", "root/passwd");
        link_to("/proc/self/root/etc/passwd", "root/magic");
        link_to("deep", "root/dir");
        link_to("loop", "root/loop");
        link_to("/absolute/", "root/slash");
        assert_string_equal(read_in("/absolute"), "inside");
        assert_string_equal(read_in("/deep/relative"), "inside");
        assert_string_equal(read_in("/dir/relative"), "inside");
        assert_string_equal(read_in("/deep/er/far"), "inside");
        assert_string_equal(read_in("/out"), "ENOENT");
        assert_string_equal(read_in("/above"), "ENOENT");
        assert_string_equal(read_in("/passwd"), "ENOENT");
        assert_string_equal(read_in("/magic"), "ENOENT");
        assert_string_equal(read_in("/loop"), "ELOOP");
        assert_string_equal(read_in("/slash"), "ENOTDIR");
}

/* Chains, depth and length have ends, and nothing is left open. */
static void test_bounds(void **state) {
        char path[8192] = "/", name[32], target[32];
        int before = dup(0), after;

        close(before);
        for (unsigned int i = 0; i < 50; i++) {
                snprintf(name, sizeof(name), "root/chain%u", i);
                snprintf(target, sizeof(target), "chain%u", i + 1);
                link_to(i == 49 ? "file" : target, name);
        }
        assert_string_equal(read_in("/chain30"), "inside");
        assert_string_equal(read_in("/chain0"), "ELOOP");
        for (size_t n = 1; n < sizeof(path) - 10; n += 2)
                memcpy(path + n, "./", 3);
        assert_string_equal(read_in(path), "ENAMETOOLONG");
        memset(path, 'n', 300);
        path[300] = '\0';
        assert_string_equal(read_in(path), "ENAMETOOLONG");
        path[0] = '\0';
        for (unsigned int i = 0; i < 70; i++) {
                memcpy(path + 2 * i, "d/", 3);
                snprintf(target, sizeof(target), "root/");
        }
        {
                char deep[256];

                snprintf(deep, sizeof(deep), "root/%s", path);
                assert_int_equal(make_dirs(fx.top_fd, deep, 0755, NULL), 0);
        }
        assert_string_equal(read_in(path), "ENAMETOOLONG");
        after = dup(0);
        close(after);
        assert_int_equal(before, after);
}

/* A name that would do, of a file that is none, and a fifo that nobody writes to. */
static void test_no_programs(void **state) {
        char path[256];
        int fd = -1;

        assert_int_equal(in_root_open_library(fx.root_fd, "libx", path, sizeof(path), &fd),
                         -ENOENT);
        assert_int_equal(fd, -1);
        assert_int_equal(mkfifoat(fx.top_fd, "root/fifo", 0644), 0);
        assert_string_equal(read_in("/fifo"), "EACCES");
        assert_true(in_root_is_library("libx.so.1", "libx"));
        assert_true(in_root_is_library("libx.so", "libx"));
        assert_true(in_root_is_library("libx.so.1", "libx.so.1"));
        assert_false(in_root_is_library("libxy.so", "libx"));
        assert_false(in_root_is_library("libx", "libx"));
}

static void test_library(void **state) {
        char path[256];
        int fd = -1, from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        struct buf self = BUF_INIT(16 << 20);

        assert_int_equal(read_file_at(AT_FDCWD, "/proc/self/exe", &self), 0);
        assert_int_equal(
                write_file_atomic(fx.top_fd, "root/usr/lib/libx.so.1.2", self.data, self.len, 0644),
                0);
        assert_int_equal(in_root_open_library(fx.root_fd, "libx", path, sizeof(path), &fd), 0);
        assert_string_equal(path, "/usr/lib/libx.so.1.2");
        close_fd(&fd);
        close_fd(&from);
        buf_done(&self);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths),   cmocka_unit_test(test_links),
                cmocka_unit_test(test_bounds),  cmocka_unit_test(test_no_programs),
                cmocka_unit_test(test_library),
        };

        return test_main("broker-in-root", tests, ARRAY_SIZE(tests), setup, teardown);
}
