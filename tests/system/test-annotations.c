/* SPDX-License-Identifier: Apache-2.0 */
/* What a definition says of a data source: how it is shown and when it is read. */
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/file.h"
#include "tests/system/act.h"

static const char object[] = TEST_BUILD_DIR "/gadgets/snapshot_process-" TEST_ARCH ".bpf.o";

/* Two arrays of one row, then it is finished. */
#define TWO "--count", "2", "--interval", "10ms", "--max-entries", "1"
#define ARRAYS ((const char *const[]){ TWO, NULL })
#define ARRAYS_AS(_mode) ((const char *const[]){ TWO, "-o", _mode, NULL })
#define ANNOTATED(_annotations) "datasources:\n  processes:\n    annotations:\n" _annotations

static struct run *run_annotated(struct env *env, const char *definition,
                                 const char *const *options, int stdout_fd) {
        const char *path = env_path(env, "/mine.yaml");
        const char *argv[16] = { "run", object, "--host", "--definition", path };

        for (size_t n = 5; *options; options++) {
                assert_true(n + 1 < ARRAY_SIZE(argv));
                argv[n++] = *options;
        }
        assert_int_equal(write_file_atomic(AT_FDCWD, path, definition, strlen(definition), 0644),
                         0);
        return env_run_to(env, stdout_fd, argv);
}

static pid_t sleeper(void) {
        pid_t pid = fork();

        if (pid == 0) {
                pause();
                _exit(0);
        }
        assert_true(pid > 0);
        return pid;
}

static json_t *row_of(const json_t *rows, pid_t pid) {
        json_t *row;
        size_t i;

        json_array_foreach(rows, i, row) if (row_int(row, "proc.pid") == pid) return row;
        return NULL;
}

static void test_output_modes(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        run = run_annotated(env, ANNOTATED("      cli.default-output-mode: json\n"), ARRAYS, 0);
        assert_int_equal(run_exit(run), 0);
        assert_memory_equal(run_out(run), "[{\"", 3);
        run = run_annotated(env, ANNOTATED("      cli.default-output-mode: json\n"),
                            ARRAYS_AS("yaml"), 0);
        assert_int_equal(run_exit(run), 0);
        assert_memory_equal(run_out(run), "---\n", 4);
        run = run_annotated(env, ANNOTATED("      cli.supported-output-modes: json,yaml\n"),
                            ARRAYS_AS("csv"), 0);
        assert_int_equal(run_exit(run), 2);
        assert_string_equal(run_out(run), "");
        assert_non_null(strstr(run_err(run), "-o csv: data source 'processes' supports json, "
                                             "yaml, none only"));
        env_stop(env);
}

/* Each array is drawn over the last one, though an iterator's usually are not. */
static void test_clear_screen_before(void **state) {
        static const char clear[] = "\033[H\033[J";
        const struct winsize size = { .ws_row = 24, .ws_col = 80 };
        cleanup_close int master = -1, terminal = -1;
        struct env *env = *state;
        char text[8192];
        size_t len = 0;
        const char *at;
        ssize_t n;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        /* Behind gadgetd, which would have it open as well. */
        assert_int_equal(openpty(&master, &terminal, NULL, NULL, &size), 0);
        assert_int_equal(
                run_exit(run_annotated(env, ANNOTATED("      cli.clear-screen-before: \"true\"\n"),
                                       ARRAYS, terminal)),
                0);
        /* The end of what a terminal was given comes when nobody has it open. */
        close_fd(&terminal);
        while (len < sizeof(text) - 1 && (n = read(master, text + len, sizeof(text) - 1 - len)) > 0)
                len += (size_t)n;
        text[len] = '\0';
        at = strstr(text, clear);
        assert_non_null(at);
        at = strstr(at + 1, clear);
        assert_non_null(at);
        assert_null(strstr(at + 1, clear));
        env_stop(env);
}

/* It is the end that is shown: a process that began after the run did is there, one that has ended
 * meanwhile is not. */
static void test_fetch_on_stop(void **state) {
        struct env *env = *state;
        pid_t gone, here;
        struct run *run;
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        gone = sleeper();
        run = run_annotated(env, ANNOTATED("      ebpf.iter.fetch-on-stop: true\n"),
                            (const char *const[]){ "--name", "at-stop", "-o", "json", NULL }, 0);
        env_wait_state(env, "at-stop", "running");
        kill(gone, SIGKILL);
        assert_int_equal(waitpid(gone, NULL, 0), gone);
        here = sleeper();
        assert_int_equal(run_out_size(run), 0);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        rows = json_loads(run_out(run), 0, NULL);
        assert_true(json_is_array(rows)); /* exactly one */
        assert_non_null(row_of(rows, here));
        assert_non_null(row_of(rows, getpid()));
        assert_null(row_of(rows, gone));
        json_decref(rows);
        kill(here, SIGKILL);
        waitpid(here, NULL, 0);
        env_stop(env);
}

static void test_column_order(void **state) {
        static const char definition[] = "datasources:\n  processes:\n    fields:\n"
                                         "      proc.comm:\n        annotations:\n"
                                         "          columns.order: 100000\n"
                                         "      proc.pid:\n        annotations:\n"
                                         "          columns.order: 0\n";
        struct env *env = *state;
        const char *header, *end;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        run = run_annotated(env, definition, ARRAYS_AS("csv"), 0);
        assert_int_equal(run_exit(run), 0);
        header = run_out(run);
        end = strchr(header, '\n');
        assert_true(end && end - header > 19);
        assert_memory_equal(header, "proc.pid,", 9);
        assert_memory_equal(end - 10, ",proc.comm", 10);
        env_stop(env);
}

/* What is meant for others is not silently taken. */
static void test_without_effect(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        run = run_annotated(env,
                            ANNOTATED("      ebpf.map.flush-on-stop: true\n"
                                      "      cli.default-output-mode: raw\n"
                                      "      logs.name: x\n"),
                            ARRAYS, 0);
        assert_int_equal(run_exit(run), 0);
        run_wait_err(env->daemon, "annotation 'ebpf.map.flush-on-stop' is for maps and has no "
                                  "effect on data source 'processes'");
        run_wait_err(env->daemon, "annotation 'cli.default-output-mode': mode 'raw' is for other "
                                  "clients");
        run_wait_err(env->daemon, "annotation 'logs.name' is for exporters of logs");
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_output_modes),   ENV_TEST(test_clear_screen_before),
        ENV_TEST(test_fetch_on_stop),  ENV_TEST(test_column_order),
        ENV_TEST(test_without_effect),
};

TEST_MAIN("annotations", tests)
