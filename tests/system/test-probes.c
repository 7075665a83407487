/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uprobes and USDT probes in containers. The test plays gadget-watch: a container's root is a
 * directory that the test has filled, and who executes the program in it is in namespaces of its
 * own (box.h).
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/box.h"
#include "tests/lib/watch.h"
#include "tests/system/act.h"

#define N 50

enum kind { FUNCTION, RETURN, USDT, LIBRARY, _KIND_MAX };

static const char *const kinds[] = { "FUNCTION", "RETURN", "USDT", "LIBRARY" };

struct command {
        char rounds[8];
        char program[200];
        char library[200];
};

/* In the box: the program N times around. */
static int run_program(const void *arg) {
        const struct command *command = arg;
        char *const argv[] = { (char *)(uintptr_t) "probed", (char *)(uintptr_t)command->rounds,
                               command->library[0] ? (char *)(uintptr_t)command->library : NULL,
                               NULL };
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                execv(command->program, argv);
                _exit(99);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return -ECHILD;
        return status;
}

static void run_rounds(struct box *box, unsigned int n, const char *program, const char *library) {
        struct command command = { 0 };

        snprintf(command.rounds, sizeof(command.rounds), "%u", n);
        snprintf(command.program, sizeof(command.program), "%s", program);
        snprintf(command.library, sizeof(command.library), "%s", library ?: "");
        assert_int_equal(box_call(box, run_program, &command, sizeof(command), NULL), 0);
}

/* N rounds that count. */
static void run_in(struct box *box, const char *program, const char *library) {
        run_rounds(box, 1 + N, program, library);
}

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void shell(const char *fmt, ...) {
        char command[2048];
        va_list args;

        va_start(args, fmt);
        vsnprintf(command, sizeof(command), fmt, args);
        va_end(args);
        if (system(command) != 0)
                fail_msg("%s", command);
}

/* ROOT/NAME with a copy of the program as /app. */
static const char *make_root(struct env *env, const char *name) {
        shell("mkdir -p %s/usr/lib %s/etc && cp %s/tests/system/probed %s/app",
              env_path(env, "/%s", name), env_path(env, "/%s", name), TEST_BUILD_DIR,
              env_path(env, "/%s", name));
        return env_path(env, "/%s", name);
}

static void copy_library(struct env *env, const char *name, const char *path) {
        shell("mkdir -p $(dirname %s) && cp %s/tests/system/libprobed.so %s",
              env_path(env, "/%s%s", name, path), TEST_BUILD_DIR,
              env_path(env, "/%s%s", name, path));
}

static struct msg_container_added describe(const struct box *box, const char *name) {
        return (struct msg_container_added){
                .mntns = box_namespace(box, "mnt"),
                .pid = (uint32_t)box_pid(box),
                .name = name,
                .id = name,
                .runtime = "fake",
        };
}

/* Values count from 0, and those of returns from 1000. The first round is for finding out whether
 * the probes are in place. */
static size_t count_rounds(struct run *run, const char *name, enum kind kind, bool is_first) {
        json_t *rows = run_rows(run), *row;
        size_t i, n = 0;

        json_array_foreach(rows, i, row) n += str_eq(row_str(row, "runtime.containerName"), name) &&
                                              str_eq(row_str(row, "kind"), kinds[kind]) &&
                                              (row_int(row, "value") % 1000 == 0) == is_first;
        json_decref(rows);
        return n;
}

static size_t count(struct run *run, const char *name, enum kind kind) {
        return count_rounds(run, name, kind, false);
}

static bool has(struct run *run, const char *name, const size_t *n) {
        for (size_t i = 0; i < _KIND_MAX; i++)
                if (count(run, name, (enum kind)i) < n[i])
                        return false;
        return true;
}

/* Exactly so many rows of each kind, and none of another container. */
static void expect(struct run *run, const char *name, const size_t *n) {
        if (!WAIT_UNTIL(has(run, name, n), WAIT_DEFAULT))
                run_fail(run, "%s: %zu %zu %zu %zu rows", name, count(run, name, FUNCTION),
                         count(run, name, RETURN), count(run, name, USDT),
                         count(run, name, LIBRARY));
        for (size_t i = 0; i < _KIND_MAX; i++)
                if (count(run, name, (enum kind)i) != n[i])
                        run_fail(run, "%s: %zu rows of kind %s", name,
                                 count(run, name, (enum kind)i), kinds[i]);
}

#define EXPECT(_run, _name, _function, _return, _usdt, _library)                                   \
        expect(_run, _name, (size_t[]){ _function, _return, _usdt, _library })

static struct run *start(struct env *env, struct watch *watch) {
        struct run *run = env_run(env, "run", act_object("probes"), "--name", "p", "-o", "json",
                                  "--containers", NULL);

        watch_accept(watch);
        env_wait_state(env, "p", "running");
        return run;
}

/* A worker that has been told of a container puts its probes there: one round again and again until
 * all of them are. */
static bool is_probed(struct run *run, struct box *box, const char *name, const char *program,
                      const char *library) {
        run_rounds(box, 1, program, library);
        for (enum kind kind = FUNCTION; kind < (library ? _KIND_MAX : LIBRARY); kind++)
                if (count_rounds(run, name, kind, true) == 0)
                        return false;
        return true;
}

static void wait_probed(struct run *run, struct box *box, const char *name, const char *program,
                        const char *library) {
        if (!WAIT_UNTIL(is_probed(run, box, name, program, library), WAIT_DEFAULT))
                run_fail(run, "%s: first rounds: %zu %zu %zu %zu", name,
                         count_rounds(run, name, FUNCTION, true),
                         count_rounds(run, name, RETURN, true), count_rounds(run, name, USDT, true),
                         count_rounds(run, name, LIBRARY, true));
}

/* Calls are counted, arguments read, and each container has its own copy of everything. */
static void test_copies(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *one = NULL, *two = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info;
        struct run *run;
        json_t *rows, *row;
        size_t i;
        bool seen[1 + N] = { 0 };

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_UPROBE);
        assert_int_equal(box_new(&one), 0);
        assert_int_equal(box_new(&two), 0);
        make_root(env, "one");
        copy_library(env, "one", "/usr/lib/libprobed.so.1");
        make_root(env, "two");
        copy_library(env, "two", "/opt/lib/libprobed.so.2");
        shell("ln -s libprobed.so.2 %s; ldconfig -r %s -X /opt/lib",
              env_path(env, "/two/opt/lib/libprobed.so"), env_path(env, "/two"));
        watch = watch_start(env, NULL);
        run = start(env, watch);
        info = describe(one, "one");
        watch_add_root(watch, info, env_path(env, "/one"));
        info = describe(two, "two");
        watch_add_root(watch, info, env_path(env, "/two"));
        wait_probed(run, one, "one", env_path(env, "/one/app"),
                    env_path(env, "/one/usr/lib/libprobed.so.1"));
        wait_probed(run, two, "two", env_path(env, "/two/app"),
                    env_path(env, "/two/opt/lib/libprobed.so.2"));
        run_in(one, env_path(env, "/one/app"), env_path(env, "/one/usr/lib/libprobed.so.1"));
        run_in(two, env_path(env, "/two/app"), env_path(env, "/two/opt/lib/libprobed.so.2"));
        run_in(two, env_path(env, "/two/app"), NULL);
        EXPECT(run, "one", N, N, N, N);
        EXPECT(run, "two", 2 * N, 2 * N, 2 * N, N);
        rows = run_rows(run);
        json_array_foreach(rows, i, row) {
                if (!str_eq(row_str(row, "kind"), "USDT") ||
                    !str_eq(row_str(row, "runtime.containerName"), "one"))
                        continue;
                assert_true(row_int(row, "value") >= 0 && row_int(row, "value") <= N);
                assert_int_equal(row_int(row, "second"), 7 * row_int(row, "value"));
                seen[row_int(row, "value")] = true;
        }
        for (i = 0; i <= N; i++)
                assert_true(seen[i]);
        json_decref(rows);
        env_stop(env);
}

/* Descriptors of the process that lead to files below this directory. */
static size_t count_open(pid_t pid, const char *dir) {
        char path[64], target[512];
        struct dirent *entry;
        size_t n = 0;
        DIR *fds;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        fds = opendir(path);
        assert_non_null(fds);
        while ((entry = readdir(fds))) {
                ssize_t len = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

                target[MAX(len, (ssize_t)0)] = '\0';
                n += str_after(target, dir) != NULL;
        }
        closedir(fds);
        return n;
}

/* One file that two containers have (a hard link, and an overlay's lower layer twice) is probed
 * once; it is let go of when the last one ends, and not before. */
static void test_shared_file(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *first = NULL, *second = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added first_info, second_info;
        struct run *run;
        pid_t broker;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_UPROBE);
        assert_int_equal(box_new(&first), 0);
        assert_int_equal(box_new(&second), 0);
        make_root(env, "first");
        shell("mkdir %s && ln %s %s", env_path(env, "/second"), env_path(env, "/first/app"),
              env_path(env, "/second/app"));
        watch = watch_start(env, "--no-spare", NULL);
        run = start(env, watch);
        first_info = describe(first, "first");
        watch_add_root(watch, first_info, env_path(env, "/first"));
        second_info = describe(second, "second");
        watch_add_root(watch, second_info, env_path(env, "/second"));
        wait_probed(run, first, "first", env_path(env, "/first/app"), NULL);
        wait_probed(run, second, "second", env_path(env, "/second/app"), NULL);
        run_in(first, env_path(env, "/first/app"), NULL);
        run_in(second, env_path(env, "/second/app"), NULL);
        EXPECT(run, "first", N, N, N, 0);
        EXPECT(run, "second", N, N, N, 0);
        watch_remove(watch, first_info.mntns);
        second_info.serial = 1;
        watch_add_held(watch, &second_info);
        run_in(second, env_path(env, "/second/app"), NULL);
        EXPECT(run, "second", 2 * N, 2 * N, 2 * N, 0);
        broker = env_child(env, run_pid(env->daemon), "gadget-broker");
        assert_true(count_open(broker, env->root) > 0);
        watch_remove(watch, second_info.mntns);
        assert_true(WAIT_UNTIL(count_open(broker, env_path(env, "/first")) == 0 &&
                                       count_open(broker, env_path(env, "/second")) == 0,
                               WAIT_DEFAULT));
        env_stop(env);
}

static void test_overlays(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *first = NULL, *second = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        const char *const names[] = { "first", "second" };
        struct msg_container_added info;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_UPROBE);
        test_needs(NEED_OVERLAY);
        make_root(env, "lower");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                shell("mkdir -p %s %s %s", env_path(env, "/%s", names[i]),
                      env_path(env, "/upper-%s", names[i]), env_path(env, "/work-%s", names[i]));
                shell("mount -t overlay overlay -o lowerdir=%s,upperdir=%s,workdir=%s %s",
                      env_path(env, "/lower"), env_path(env, "/upper-%s", names[i]),
                      env_path(env, "/work-%s", names[i]), env_path(env, "/%s", names[i]));
        }
        assert_int_equal(box_new(&first), 0);
        assert_int_equal(box_new(&second), 0);
        watch = watch_start(env, NULL);
        run = start(env, watch);
        info = describe(first, "first");
        watch_add_root(watch, info, env_path(env, "/first"));
        info = describe(second, "second");
        watch_add_root(watch, info, env_path(env, "/second"));
        wait_probed(run, first, "first", env_path(env, "/first/app"), NULL);
        wait_probed(run, second, "second", env_path(env, "/second/app"), NULL);
        run_in(first, env_path(env, "/first/app"), NULL);
        run_in(second, env_path(env, "/second/app"), NULL);
        EXPECT(run, "first", N, N, N, 0);
        EXPECT(run, "second", N, N, N, 0);
        env_stop(env);
        first = box_free(first);
        second = box_free(second);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(umount2(env_path(env, "/%s", names[i]), MNT_DETACH), 0);
}

/* Whatever a container's links say, no file outside of its root is reached. */
static void test_links_out(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *out = NULL, *in = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_UPROBE);
        assert_int_equal(box_new(&out), 0);
        assert_int_equal(box_new(&in), 0);
        make_root(env, "host");
        copy_library(env, "host", "/libprobed.so");
        /* One that points to the host's program and library, one whose link is in its own terms. */
        shell("mkdir -p %s", env_path(env, "/out/usr/lib"));
        shell("ln -s ../../../../../..%s %s", env_path(env, "/host/app"),
              env_path(env, "/out/app"));
        shell("ln -s %s %s", env_path(env, "/host/libprobed.so"),
              env_path(env, "/out/usr/lib/libprobed.so.1"));
        shell("ln -s /proc/1/root %s", env_path(env, "/out/lib"));
        shell("mkdir -p %s && cp %s %s && ln -s /../../bin/real %s", env_path(env, "/in/bin"),
              env_path(env, "/host/app"), env_path(env, "/in/bin/real"), env_path(env, "/in/app"));
        watch = watch_start(env, NULL);
        run = start(env, watch);
        info = describe(out, "out");
        watch_add_root(watch, info, env_path(env, "/out"));
        info = describe(in, "in");
        watch_add_root(watch, info, env_path(env, "/in"));
        wait_probed(run, in, "in", env_path(env, "/in/bin/real"), NULL);
        run_in(in, env_path(env, "/in/bin/real"), NULL);
        run_in(out, env_path(env, "/host/app"), env_path(env, "/host/libprobed.so"));
        /* It is looked into before "in", and comes after it in the stream. */
        run_rounds(in, 2, env_path(env, "/in/bin/real"), NULL);
        EXPECT(run, "in", N + 1, N + 1, N + 1, 0);
        for (enum kind kind = FUNCTION; kind < _KIND_MAX; kind++) {
                assert_int_equal(count(run, "out", kind), 0);
                assert_int_equal(count_rounds(run, "out", kind, true), 0);
        }
        env_stop(env);
}

/* Files that lie are told of, and left out; the other containers have their probes, and the gadget
 * runs on. */
static void test_hostile_files(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *good = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        static const char *const bad[] = { "cache", "sections", "names", "fifo" };
        struct msg_container_added info;
        struct run *run;
        uint64_t begin;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_UPROBE);
        assert_int_equal(box_new(&good), 0);
        make_root(env, "good");
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                make_root(env, bad[i]);
        shell("truncate -s 100M %s", env_path(env, "/cache/etc/ld.so.cache"));
        /* e_shoff behind the end; e_shnum and what follows all ones; a fifo that nobody fills. */
        shell("printf '\\377\\377\\377\\377\\377\\377\\377\\177' | "
              "dd of=%s bs=1 seek=40 conv=notrunc status=none",
              env_path(env, "/sections/app"));
        shell("printf '\\377\\377\\377\\377' | dd of=%s bs=1 seek=60 conv=notrunc status=none",
              env_path(env, "/names/app"));
        shell("rm %s && mkfifo -m 644 %s", env_path(env, "/fifo/app"), env_path(env, "/fifo/app"));
        watch = watch_start(env, NULL);
        run = start(env, watch);
        begin = now_ns();
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                info = (struct msg_container_added){
                        .mntns = 100 + i, .pid = 2, .name = bad[i], .id = bad[i]
                };
                watch_add_root(watch, info, env_path(env, "/%s", bad[i]));
        }
        info = describe(good, "good");
        watch_add_root(watch, info, env_path(env, "/good"));
        wait_probed(run, good, "good", env_path(env, "/good/app"), NULL);
        assert_true(now_ns() - begin < 10 * NSEC_PER_SEC);
        run_in(good, env_path(env, "/good/app"), NULL);
        EXPECT(run, "good", N, N, N, 0);
        run_wait_err(env->daemon, "container 'cache': its list of libraries is larger than");
        run_wait_err(env->daemon, "its tables lie behind its end");
        run_wait_err(env->daemon, "its tables are too large, or of an unknown form");
        run_wait_err(env->daemon, "container 'fifo'");
        env_wait_state(env, "p", "running");
        env_stop(env);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                ENV_TEST(test_copies),    ENV_TEST(test_shared_file),   ENV_TEST(test_overlays),
                ENV_TEST(test_links_out), ENV_TEST(test_hostile_files),
        };

        return test_main("probes", tests, ARRAY_SIZE(tests), NULL, NULL);
}
