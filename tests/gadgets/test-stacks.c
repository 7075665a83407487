/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User stacks with names, through the whole chain: a program of which every frame is known, with
 * and without symbols, in a mount namespace of its own, deleted, and ended before anybody looked.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/lib/pod.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)
#define HERE TEST_BUILD_DIR "/tests/gadgets/"
#define OBJECT HERE "stacks-" TEST_ARCH ".bpf.o"
#define LIBRARY "libgadget-stack.so"
#define LIBRARY_ID "00112233445566778899aabbccddeeff00112233"
#define PROGRAM_ID "ffeeddccbbaa99887766554433221100ffeeddcc"
#define FUNCTION_MAX 256
#define COLLECT "--collect-ustack"

/* --- a program --- */

struct program {
        pid_t pid;
        int in_fd;        /* a byte each makes it do its system call */
        uint64_t outer;   /* program_outer() */
        uint64_t library; /* library_inner() */
        char dir[32];     /* where it has its files, if they are hidden */
};

static void copy_file(const char *from, const char *to) {
        struct buf data = BUF_INIT(16 << 20);
        int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

        if (fd < 0 || read_file_at(AT_FDCWD, from, &data) < 0 ||
            write(fd, data.data, data.len) != (ssize_t)data.len)
                _exit(1);
        close(fd);
        buf_done(&data);
}

/* Where nobody else sees it: copies in a file system of its own, and not even there any more once
 * it runs. */
static void hide(const char *path, const char *dir) {
        char to[128];

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", dir, "tmpfs", 0, NULL) < 0)
                _exit(1);
        snprintf(to, sizeof(to), "%s/program", dir);
        copy_file(path, to);
        snprintf(to, sizeof(to), "%s/" LIBRARY, dir);
        copy_file(HERE LIBRARY, to);
        setenv("LD_LIBRARY_PATH", dir, 1);
}

static struct program start_program(const char *name, bool is_hidden) {
        int in[2], out[2];
        struct program p;
        char path[512], line[128];
        ssize_t n;

        snprintf(p.dir, sizeof(p.dir), "/tmp/gadget-test-stack-XXXXXX");
        assert_non_null(mkdtemp(p.dir));
        snprintf(path, sizeof(path), HERE "stack-program-%s", name);
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        p.pid = fork();
        if (p.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (is_hidden) {
                        hide(path, p.dir);
                        snprintf(path, sizeof(path), "%s/program", p.dir);
                }
                dup2(in[0], STDIN_FILENO);
                dup2(out[1], STDOUT_FILENO);
                execl(path, "program", NULL);
                _exit(1);
        }
        close(in[0]);
        close(out[1]);
        n = read(out[0], line, sizeof(line) - 1);
        assert_true(n > 0);
        line[n] = '\0';
        assert_int_equal(sscanf(line, "%" SCNx64 " %" SCNx64, &p.outer, &p.library), 2);
        close(out[0]);
        if (is_hidden) {
                char hidden[128];

                for (int i = 0; i < 2; i++) {
                        snprintf(hidden, sizeof(hidden), "/proc/%d/root%s/%s", p.pid, p.dir,
                                 i ? LIBRARY : "program");
                        assert_int_equal(unlink(hidden), 0);
                }
        }
        p.in_fd = in[1];
        return p;
}

static void act(const struct program *p) {
        assert_int_equal(write(p->in_fd, "x", 1), 1);
}

static void end_program(struct program *p) {
        int status;

        close_fd(&p->in_fd);
        assert_int_equal(wait_child(p->pid, WAIT_DEFAULT, &status), 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(rmdir(p->dir), 0);
}

/* --- the gadget --- */

/* Detached: gadgetctl comes back when the program is attached. `more`: may be NULL. */
static struct run *start_gadget(struct env *env, const struct program *p, const char *more,
                                bool build_ids) {
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", p ? p->pid : 0);
        env_ctl(env, 0, "run", OBJECT, "--detach", "--name", "t", "--host", "--pid", pid,
                "--collect-build-id", build_ids ? "true" : "false", more, NULL);
        return env_run(env, "attach", "t", "-o", "json", "--tail", "all", NULL);
}

static void stop_gadget(struct env *env, struct run *run) {
        env_ctl(env, 0, "stop", "t", NULL);
        assert_int_equal(run_exit(run), 0);
}

static json_t *find_row(struct run *run, pid_t pid, size_t n) {
        json_t *rows = run_rows(run), *row, *found = NULL;
        size_t i;

        json_array_foreach(rows, i, row) if (!found && row_int(row, "pid") == pid && n-- == 0)
                found = json_incref(row);
        json_decref(rows);
        return found;
}

/* The process's row with this number, from 0. The caller decrefs. */
static json_t *wait_row(struct run *run, pid_t pid, size_t n) {
        json_t *row = NULL;

        assert_true(WAIT_UNTIL((row = find_row(run, pid, n)) != NULL, WAIT_DEFAULT));
        return row;
}

/* The frame with this number, up to the next one; valid until the next call. */
static const char *frame(const json_t *row, const char *field, unsigned int i) {
        const char *text = row_str(row, field), *at, *end;
        static char found[256];
        char number[16];

        snprintf(number, sizeof(number), "[%u]", i);
        at = strstr(text, number);
        if (!at)
                fail_msg("no frame %u in '%s'", i, text);
        at += strlen(number);
        end = strstr(at, "; ");
        snprintf(found, sizeof(found), "%.*s", (int)(end ? end - at : (ssize_t)strlen(at)), at);
        return found;
}

static uint64_t address(const json_t *row, unsigned int i) {
        uint64_t value;

        assert_int_equal(sscanf(frame(row, "ustack.addresses", i), "0x%" SCNx64, &value), 1);
        return value;
}

static const char *const named[] = { "library_inner", "library_outer", "program_inner",
                                     "program_outer", "main" };

static void expect_names(const json_t *row, const char *const *names) {
        for (unsigned int i = 0; i < ARRAY_SIZE(named); i++)
                assert_string_equal(frame(row, "ustack.symbols", i), names[i]);
}

/* Frames that lie where the program says its functions are, and which file they are of. */
static void expect_places(const struct program *p, const json_t *row) {
        assert_true(address(row, 0) - p->library < FUNCTION_MAX);
        assert_true(address(row, 3) - p->outer < FUNCTION_MAX);
        for (unsigned int i = 0; i < ARRAY_SIZE(named); i++) {
                const char *id = frame(row, "ustack.buildid", i);

                assert_non_null(str_after(id, i < 2 ? LIBRARY_ID "+0x" : PROGRAM_ID "+0x"));
        }
}

/* --- tests --- */

static void test_names(void **state) {
        static const char *const kinds[] = { "pie", "fixed", "stripped" };
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                struct program p = start_program(kinds[i], false);
                struct run *run = start_gadget(env, &p, COLLECT, false);
                json_t *row;

                act(&p);
                row = wait_row(run, p.pid, 0);
                assert_int_equal(row_int(row, "pid"), p.pid);
                assert_int_equal(row_int(row, "ustack_raw.tgid_level0"), p.pid);
                expect_names(row, named);
                expect_places(&p, row);
                json_decref(row);
                stop_gadget(env, run);
                end_program(&p);
        }
        env_stop(env);
}

/* What is exported has a name, the rest of a stripped program has none. */
static void test_nameless(void **state) {
        static const char *const names[] = { "library_inner", "library_outer", "[unknown]",
                                             "[unknown]", "[unknown]" };
        struct env *env = *state;
        struct program p;
        struct run *run;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        p = start_program("nameless", false);
        run = start_gadget(env, &p, COLLECT, false);
        act(&p);
        row = wait_row(run, p.pid, 0);
        expect_names(row, names);
        expect_places(&p, row);
        json_decref(row);
        stop_gadget(env, run);
        end_program(&p);
        env_stop(env);
}

/* Files of another mount namespace, which are deleted as well. */
static void test_hidden_files(void **state) {
        struct env *env = *state;
        struct program p;
        struct run *run;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        p = start_program("pie", true);
        run = start_gadget(env, &p, COLLECT, false);
        act(&p);
        row = wait_row(run, p.pid, 0);
        expect_names(row, named);
        expect_places(&p, row);
        json_decref(row);
        stop_gadget(env, run);
        end_program(&p);
        env_stop(env);
}

/* --- a container --- */

struct orders {
        int exe_fd;
        int fds[2]; /* standard input and output */
};

static int execute(void *arg) {
        static char name[] = "program";
        static char *const args[] = { name, NULL }, *const environment[] = { NULL };
        const struct orders *orders = arg;

        dup2(orders->fds[0], STDIN_FILENO);
        dup2(orders->fds[1], STDOUT_FILENO);
        fexecve(orders->exe_fd, args, environment);
        return 1;
}

static struct program start_in_pod(struct pod *pod) {
        struct orders *orders = pod_shared(sizeof(*orders));
        int in[2], out[2];
        struct program p = { 0 };
        char line[128];
        ssize_t n;

        orders->exe_fd = open(HERE "stack-program-static", O_RDONLY | O_CLOEXEC);
        assert_true(orders->exe_fd >= 0);
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        orders->fds[0] = in[0];
        orders->fds[1] = out[1];
        p.pid = pod_start(pod, execute, orders);
        close(in[0]);
        close(out[1]);
        close(orders->exe_fd);
        n = read(out[0], line, sizeof(line) - 1);
        assert_true(n > 0);
        line[n] = '\0';
        assert_int_equal(sscanf(line, "%" SCNx64 " %" SCNx64, &p.outer, &p.library), 2);
        close(out[0]);
        p.in_fd = in[1];
        return p;
}

/* Not the whole host: the gadget sees processes of containers, and their files, alone. */
static void test_container(void **state) {
        struct env *env = *state;
        struct program p;
        struct run *run;
        struct pod *pod;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_RUNC);
        env_start(env, NULL);
        pod = pod_new(env, "gt-stacks");
        p = start_in_pod(pod);
        env_ctl(env, 0, "run", OBJECT, "--detach", "--name", "t", "-c", "gt-stacks", COLLECT, NULL);
        run = env_run(env, "attach", "t", "-o", "json", "--tail", "all", NULL);
        act(&p);
        row = wait_row(run, p.pid, 0);
        assert_string_equal(row_str(row, "runtime.containerName"), "gt-stacks");
        expect_names(row, named);
        assert_true(address(row, 0) - p.library < FUNCTION_MAX);
        json_decref(row);
        stop_gadget(env, run);
        close_fd(&p.in_fd);
        pod_stop(pod);
        env_stop(env);
}

/* Nobody asked for stacks: there is nothing of one, and the map is small. */
static void test_not_collected(void **state) {
        struct env *env = *state;
        struct program p;
        struct run *run;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        p = start_program("pie", false);
        run = start_gadget(env, &p, NULL, false);
        act(&p);
        row = wait_row(run, p.pid, 0);
        assert_string_equal(row_str(row, "ustack.symbols"), "");
        assert_string_equal(row_str(row, "ustack.addresses"), "");
        assert_string_equal(row_str(row, "ustack.buildid"), "");
        assert_int_equal(row_int(row, "ustack_raw.tgid_level0"), 0);
        json_decref(row);
        stop_gadget(env, run);
        end_program(&p);
        env_stop(env);
}

static pid_t worker_of(struct env *env) {
        pid_t broker = env_child(env, run_pid(env->daemon), "gadget-broker");

        assert_true(broker > 0);
        return env_child(env, broker, "gadget-worker");
}

static char state_of(pid_t pid) {
        char path[32], text[256] = "";
        cleanup_close int fd = -1;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
        return strrchr(text, ')')[2];
}

static void pause_worker(pid_t worker) {
        assert_int_equal(kill(worker, SIGSTOP), 0);
        assert_true(WAIT_UNTIL(state_of(worker) == 'T', WAIT_DEFAULT));
}

/* The process has ended before the worker looks: what was known of it stays known, and of another
 * one the build ids tell whose functions they are. */
static void test_ended(void **state) {
        static const char *const nothing[] = { "[unknown]", "[unknown]", "[unknown]", "[unknown]",
                                               "[unknown]" };
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, "--no-spare", NULL);
        for (int build_ids = 0; build_ids < 2; build_ids++) {
                struct run *run = start_gadget(env, NULL, COLLECT, build_ids);
                struct program p = start_program("pie", false), q;
                json_t *row;
                pid_t worker = worker_of(env);

                act(&p);
                row = wait_row(run, p.pid, 0);
                expect_names(row, named);
                json_decref(row);
                q = start_program("pie", false);
                pause_worker(worker);
                act(&p);
                act(&q);
                end_program(&p);
                end_program(&q);
                assert_int_equal(kill(worker, SIGCONT), 0);
                row = wait_row(run, p.pid, 1);
                expect_names(row, named);
                json_decref(row);
                row = wait_row(run, q.pid, 0);
                expect_names(row, build_ids ? named : nothing);
                if (build_ids)
                        expect_places(&q, row);
                json_decref(row);
                stop_gadget(env, run);
        }
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_names),
        ENV_TEST(test_nameless),
        ENV_TEST(test_hidden_files),
        ENV_TEST(test_not_collected),
        ENV_TEST(test_ended),
        cmocka_unit_test_setup_teardown(test_container, env_setup, pod_teardown),
};
TEST_MAIN("gadget-stacks", tests)
