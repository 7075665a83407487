/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Iterators of the kernel, each row compared with what the same thing looks like from outside: open
 * files with /proc/PID/fd, symbols with /proc/kallsyms, a map's elements with what the test did.
 * One object with data sources of several kinds: JSON says which one a line is of.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define OBJECT(_name) TEST_BUILD_DIR "/tests/gadgets/types/" _name ".bpf.o"
#define N 100
#define FD_HIGH 777

static char pid_text[16];

/* --- iter/task_file --- */

/* A process that has a few files open, and does nothing. */
static pid_t fork_quiet(void) {
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
        (void)socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)dup2(0, FD_HIGH);
        for (;;)
                pause();
}

static bool has_fd(pid_t pid, int fd, struct stat *st) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
        return stat(path, st) == 0;
}

static size_t count_fds(pid_t pid) {
        char path[64];
        size_t n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        dir = opendir(path);
        assert_non_null(dir);
        for (struct dirent *e; (e = readdir(dir));)
                n += e->d_name[0] != '.';
        closedir(dir);
        return n;
}

static void test_open_files(void **state) {
        struct env *env = *state;
        bool has_high = false;
        json_t *rows, *row;
        char pid_of_child[16];
        struct stat st;
        struct run *run;
        pid_t pid;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        pid = fork_quiet();
        assert_true(WAIT_UNTIL(has_fd(pid, FD_HIGH, &st), WAIT_DEFAULT));
        snprintf(pid_of_child, sizeof(pid_of_child), "%d", pid);
        run = env_ctl(env, 0, "run", OBJECT("iter_task_file"), "--host", "--only_pid", pid_of_child,
                      "-o", "json", NULL);
        rows = json_loads(run_out(run), 0, NULL);
        json_array_foreach(rows, i, row) {
                int fd = (int)row_int(row, "fd");

                assert_int_equal(row_int(row, "pid"), pid);
                assert_true(has_fd(pid, fd, &st));
                assert_int_equal(row_int(row, "inode"), st.st_ino);
                has_high |= fd == FD_HIGH;
        }
        assert_true(has_high);
        assert_int_equal(json_array_size(rows), count_fds(pid));
        json_decref(rows);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        env_stop(env);
}

/* --- iter/ksym --- */

#define PREFIX "vfs_" /* of some hundred symbols */

/* Lines of /proc/kallsyms whose name begins so, and what they are made of. */
static size_t count_symbols(uint64_t *sum) {
        FILE *list = fopen("/proc/kallsyms", "re");
        char line[1024], name[512], type;
        size_t n = 0;

        assert_non_null(list);
        *sum = 0;
        while (fgets(line, sizeof(line), list)) {
                if (sscanf(line, "%*s %c %511s", &type, name) != 2 || !str_after(name, PREFIX))
                        continue;
                n++;
                *sum += (uint64_t)(unsigned char)type * 1000 + MIN(strlen(name), (size_t)127);
        }
        fclose(list);
        return n;
}

static void test_kernel_symbols(void **state) {
        uint64_t expected, found = 0;
        struct env *env = *state;
        json_t *rows, *row;
        struct run *run;
        size_t i, n;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        n = count_symbols(&expected);
        assert_true(n > 50);
        run = env_ctl(env, 0, "run", OBJECT("iter_ksym"), "--host", "--filter", "name~^" PREFIX,
                      "-o", "json", NULL);
        rows = json_loads(run_out(run), 0, NULL);
        json_array_foreach(rows, i, row) found +=
                (uint64_t)row_int(row, "type") * 1000 + strlen(row_str(row, "name"));
        assert_int_equal(json_array_size(rows), n);
        assert_int_equal(found, expected);
        json_decref(rows);
        env_stop(env);
}

/* --- iter/bpf_map_elem, iter.s, and a tracer beside them --- */

/* The last array of this data source with a row whose field has the value: that row's other field,
 * or -1. Each line names its data source, since there are several. */
static json_int_t last_value(struct run *run, const char *source, const char *field,
                             json_int_t value, const char *other) {
        const char *at = run_out(run);
        json_int_t found = -1;

        for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
                json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL), *rows, *row;
                const char *name = json_string_value(row_get(line, "datasource"));
                size_t i;

                if (!name)
                        run_fail(run, "a line names no data source");
                rows = row_get(line, "rows");
                json_array_foreach(rows, i,
                                   row) if (str_eq(name, source) && row_int(row, field) == value)
                        found = row_int(row, other);
                json_decref(line);
        }
        return found;
}

static void test_elements_of_a_map(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        run = env_run(env, "run", OBJECT("iter_map_elem"), "--host", "--only_pid", pid_text,
                      "--interval", "50ms", "-o", "json", NULL);
        assert_true(WAIT_UNTIL((syscall(SYS_getppid),
                                last_value(run, "counts", "number", SYS_getppid, "count") > 0),
                               WAIT_DEFAULT));
        for (int i = 0; i < N; i++)
                syscall(SYS_getsid, 0);
        assert_true(WAIT_UNTIL(last_value(run, "counts", "number", SYS_getsid, "count") == N,
                               WAIT_DEFAULT));
        assert_int_equal(last_value(run, "tasks", "pid", getpid(), "pid"), getpid());
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        assert_int_equal(last_value(run, "counts", "number", SYS_getsid, "count"), N);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_open_files),
        ENV_TEST(test_kernel_symbols),
        ENV_TEST(test_elements_of_a_map),
};

int main(void) {
        snprintf(pid_text, sizeof(pid_text), "%d", getpid());
        return test_main("gadget-iterators", tests, ARRAY_SIZE(tests), NULL, NULL);
}
