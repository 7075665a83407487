/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs on instances, as users type them: run, attach, list, show, stop, with real rows. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/system/act.h"

static bool is_id(const char *text) {
        return strspn(text, "0123456789abcdef") == 64;
}

static bool has_no_instances(struct env *env) {
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL);
        bool is_empty = json_is_array(list) && json_array_size(list) == 0;

        json_decref(list);
        return is_empty;
}

static void assert_no_instances(struct env *env) {
        assert_true(has_no_instances(env));
}

static void test_run_prints_rows(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *row;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_open", "-o", "json", NULL);
        row = act_open_until_row(run, "rows");
        assert_string_equal(row_str(row, "error"), "ENOENT");
        assert_string_equal(row_str(row, "proc.comm"), "test-run");
        assert_int_equal(row_int(row, "proc.pid"), getpid());
        assert_non_null(row_get(row, "timestamp"));
        assert_non_null(row_get(row, "flags"));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        assert_no_instances(env);
        env_stop(env);
}

/* As root with no daemon: one of its own, which ends with it. The teardown looks for what it left.
 */
static void test_run_without_daemon(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        run = env_run(env, "run", "trace_open", "-o", "json", NULL);
        act_open_until_row(run, "private");
        assert_int_equal(env_connect(env), -ENOENT);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
}

static void test_timeout_ends_a_run(void **state) {
        struct env *env = *state;
        struct run *run;
        uint64_t begun;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        begun = now_ns();
        run = env_run(env, "run", "trace_open", "--timeout", "500ms", NULL);
        assert_int_equal(run_exit(run), 0);
        assert_true(now_ns() - begun >= 500 * NSEC_PER_MSEC);
        assert_true(now_ns() - begun < 5 * NSEC_PER_SEC);
        assert_no_instances(env);
}

static void test_detached_life(void **state) {
        struct env *env = *state;
        struct run *run, *attached;
        json_t *list, *item, *row, *shown;
        int status;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_ctl(env, 0, "run", "trace_exec", "--detach", "--name", "e", NULL);
        assert_true(is_id(run_out(run)));
        assert_string_equal(run_out(run) + 64, "\n");

        list = env_ctl_json(env, "list", "-o", "json", NULL);
        assert_int_equal(json_array_size(list), 1);
        item = json_array_get(list, 0);
        assert_string_equal(row_str(item, "name"), "e");
        assert_string_equal(row_str(item, "state"), "running");
        assert_memory_equal(row_str(item, "id"), run_out(run), 64);
        assert_non_null(strstr(row_str(item, "image"), "trace_exec"));
        /* Times are text, as those of images. */
        assert_int_equal(strlen(row_str(item, "created")), strlen("2026-11-22T02:31:54Z"));
        assert_int_equal(row_str(item, "created")[10], 'T');
        assert_true(json_is_null(row_get(item, "ended")));
        json_decref(list);

        shown = act_show(env, "e");
        assert_string_equal(row_str(shown, "name"), "e");
        assert_true(json_array_size(row_get(shown, "permissions.hooks")) > 0);
        assert_true(json_array_size(row_get(shown, "permissions.helpers")) > 0);
        assert_true(row_int(shown, "permissions.map_bytes") > 0);
        json_decref(shown);

        attached = env_run(env, "attach", "e", "-o", "json", "--timeout", "10", NULL);
        do {
                pid = fork();
                if (pid == 0) {
                        execl("/bin/true", "true", "seen-by-test-run", NULL);
                        _exit(127);
                }
                assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        } while (!strstr(run_out(attached), "seen-by-test-run") && run_is_alive(attached));
        row = run_wait_row(attached, "proc.comm", "true");
        assert_non_null(strstr(run_out(attached), "seen-by-test-run"));
        assert_true(row_int(row, "proc.pid") > 0);
        list = env_ctl_json(env, "list", "-o", "json", NULL);
        assert_true(row_int(json_array_get(list, 0), "rows") > 0);
        assert_int_equal(row_int(json_array_get(list, 0), "lost"), 0);
        json_decref(list);

        env_ctl(env, 0, "stop", "e", NULL);
        assert_int_equal(run_exit(attached), 0);
        assert_no_instances(env);
        env_stop(env);
}

static void test_instances_are_named_three_ways(void **state) {
        struct env *env = *state;
        const char *const addresses[] = { "n0", NULL, NULL };
        char id[65] = "", prefix[13] = "";
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        for (size_t i = 0; i < 3; i++) {
                run = env_ctl(env, 0, "run", "trace_open", "--detach", "--name", "n0", NULL);
                snprintf(id, sizeof(id), "%.64s", run_out(run));
                snprintf(prefix, sizeof(prefix), "%.12s", id);
                env_ctl(env, 0, "stop", addresses[i] ? addresses[i] : i == 1 ? id : prefix, NULL);
                assert_no_instances(env);
        }
        run = env_ctl(env, 1, "stop", "n0", NULL);
        assert_non_null(strstr(run_err(run), "n0"));

        env_ctl(env, 0, "run", "trace_open", "--detach", "--name", "twice", NULL);
        run = env_ctl(env, 1, "run", "trace_open", "--detach", "--name", "twice", NULL);
        assert_non_null(strstr(run_err(run), "twice"));
        env_ctl(env, 0, "rm", "twice", NULL);
        assert_no_instances(env);
}

static void test_several_clients_see_the_same(void **state) {
        struct env *env = *state;
        struct run *runs[3];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_detach(env, "trace_open", "shared", getpid());
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                runs[i] = env_attach(env, "shared");
                act_open_until_row(runs[i], "warm");
        }
        act_open_numbered("shared", 1, 100);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                char path[64];

                for (unsigned int n = 1; n <= 100; n++) {
                        snprintf(path, sizeof(path), "/nonexistent/shared/%u", n);
                        run_wait_row(runs[i], "fname", path);
                }
        }
        run_signal(runs[0], SIGINT);
        assert_int_equal(run_exit(runs[0]), 0);
        env_wait_state(env, "shared", "running");
        env_ctl(env, 0, "stop", "shared", NULL);
        assert_int_equal(run_exit(runs[1]), 0);
        assert_int_equal(run_exit(runs[2]), 0);
}

/* `count` numbers the events of the gadget, and the child makes no others. */
static void test_tail_replays_then_follows(void **state) {
        struct env *env = *state;
        struct act_child child;
        struct run *first, *late;
        json_t *rows;
        char pid[16];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_fork(&child);
        snprintf(pid, sizeof(pid), "%d", child.pid);
        env_ctl(env, 0, "run", act_object("ring4k"), "--detach", "--name", "t", "--pid", pid, NULL);
        first = env_run(env, "attach", "t", "-o", "json", "--tail", "all", NULL);
        for (unsigned int i = 0; i < 20; i++)
                act_flood(&child, 1);
        run_wait_row(first, "count", "19");

        late = env_run(env, "attach", "t", "--tail", "7", "-o", "json", NULL);
        run_wait_row(late, "count", "19");
        rows = run_rows(late);
        assert_int_equal(json_array_size(rows), 7);
        assert_int_equal(row_int(json_array_get(rows, 0), "count"), 13);
        json_decref(rows);
        act_flood(&child, 1);
        run_wait_row(late, "count", "20");
        env_ctl(env, 0, "stop", "t", NULL);
        assert_int_equal(run_exit(late), 0);
        assert_int_equal(run_exit(first), 0);
        act_end(&child);
}

static bool has_open(struct run *run, const char *path) {
        assert_int_equal(open(path, O_RDONLY | O_CLOEXEC), -1);
        if (!run_is_alive(run))
                run_fail(run, "ended early");
        return strstr(run_out(run), path) != NULL;
}

/* Every output mode shows the same open() in its own way, and ends well. */
static void test_output_modes(void **state) {
        static const struct {
                const char *mode, *begins, *holds;
        } modes[] = {
                { "columns", NULL, "FNAME" },    { "json", "{", "\"fname\":" },
                { "jsonpretty", "{", "\n  \"" }, { "yaml", NULL, "fname: " },
                { "csv", NULL, "fname" },
        };
        struct env *env = *state;
        struct run *run;
        char pid[16];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(pid, sizeof(pid), "%d", getpid());
        for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
                run = env_run(env, "run", "trace_open", "--pid", pid, "-o", modes[i].mode, NULL);
                if (!WAIT_UNTIL(has_open(run, "/nonexistent/mode"), WAIT_DEFAULT))
                        run_fail(run, "no row");
                run_signal(run, SIGINT);
                assert_int_equal(run_exit(run), 0);
                if (!strstr(run_out(run), modes[i].holds))
                        run_fail(run, "no '%s'", modes[i].holds);
                if (modes[i].begins && !str_after(run_out(run), modes[i].begins))
                        run_fail(run, "does not begin with '%s'", modes[i].begins);
        }
        run = env_run(env, "run", "trace_open", "--pid", pid, "-o", "none", "--timeout", "300ms",
                      NULL);
        assert_int_equal(run_exit(run), 0);
        assert_string_equal(run_out(run), "");
}

static void test_fields_choose_columns(void **state) {
        struct env *env = *state;
        struct run *run;
        char pid[16];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(pid, sizeof(pid), "%d", getpid());
        run = env_run(env, "run", "trace_open", "--pid", pid, "--fields", "fname,error", NULL);
        if (!WAIT_UNTIL(has_open(run, "/nonexistent/fields"), WAIT_DEFAULT))
                run_fail(run, "no row");
        assert_non_null(str_after(run_out(run), "FNAME"));
        assert_null(strstr(run_out(run), "TIMESTAMP"));
        assert_non_null(strstr(run_out(run), "ENOENT"));
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        run = env_ctl(env, 2, "run", "trace_open", "--fields", "fnme", NULL);
        if (!strstr(run_err(run), "'fnme'") || !strstr(run_err(run), "'fname'"))
                run_fail(run, "names neither the field nor the one that was meant");
        /* It ran until the client saw the schema; now it is being stopped. */
        assert_true(WAIT_UNTIL(has_no_instances(env), WAIT_DEFAULT));
}

static void test_exit_codes(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        run = env_ctl(env, 3, "list", NULL);
        assert_non_null(strstr(run_err(run), "gadgetd"));
        env_ctl(env, 2, "run", NULL);
        env_ctl(env, 2, "rnu", NULL);
        env_ctl(env, 2, "list", "--no-such-option", NULL);
        env_ctl(env, 2, "run", "trace_open", "--timeout", "soon", NULL);
        env_start(env, NULL);
        run = env_ctl(env, 1, "run", "no_such_gadget", NULL);
        assert_non_null(strstr(run_err(run), "no_such_gadget"));
        env_ctl(env, 1, "attach", "nobody", NULL);
        env_ctl(env, 1, "show", "nobody", NULL);
        run = env_ctl(env, 2, "run", "trace_open", "--no-such-param", "1", NULL);
        assert_non_null(strstr(run_err(run), "no-such-param"));
        env_ctl(env, 0, "version", NULL);
        run = env_exec(env, env_path(env, "%s/gadgetctl", GADGET_BINDIR), "--version", NULL);
        assert_int_equal(run_exit(run), 0);
        assert_no_instances(env);
}

/* Not root, and no policy that lets this user in. */
static void test_strangers_are_denied(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        run = env_run_as(env, 65534, "run", "trace_open", "--timeout", "1", NULL);
        assert_int_equal(run_exit(run), 4);
        assert_true(strlen(run_err(run)) > 0);
        run = env_run_as(env, 65534, "list", NULL);
        assert_int_equal(run_exit(run), 4);
        run = env_run_as(env, 65534, "version", NULL);
        assert_int_equal(run_exit(run), 0);
        assert_null(strstr(run_out(run), "does not run"));
}

/* The owner of a foreground run goes in the hardest way; its gadget goes with it. */
static void test_a_killed_client_takes_its_run_along(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *list;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_open", "--name", "orphan", "-o", "json", NULL);
        act_open_until_row(run, "orphan");
        list = env_ctl_json(env, "list", "-o", "json", NULL);
        assert_int_equal(json_array_size(list), 1);
        json_decref(list);
        run_signal(run, SIGKILL);
        assert_int_equal(run_exit(run), 128 + SIGKILL);
        env_wait_state(env, "orphan", "gone");
        env_stop(env);
}

/* `run | head`: a reader that leaves ends the run quietly. */
static void test_closed_pipe_ends_a_run(void **state) {
        struct env *env = *state;
        char script[512];
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        snprintf(script, sizeof(script),
                 "'%s' --root '%s' run trace_open -o json | { head -n 1; }; "
                 "exit \"${PIPESTATUS[0]}\"",
                 env_path(env, "%s/gadgetctl", GADGET_BINDIR), env->root);
        run = env_exec(env, "bash", "-c", script, NULL);
        (void)WAIT_UNTIL(({
                                 act_open_numbered("pipe", 0, 1);
                                 !run_is_alive(run);
                         }),
                         WAIT_DEFAULT);
        assert_int_equal(run_exit(run), 0);
        assert_string_equal(run_err(run), "");
        assert_non_null(strchr(run_out(run), '{'));
        env_wait_state(env, "pipe", "gone");
        assert_no_instances(env);
}

/* What was just built runs without an image. */
static void test_run_object_and_directory(void **state) {
        struct env *env = *state;
        struct act_child child;
        struct run *run;
        char pid[16];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_CLANG_BPF);
        env_start(env, NULL);
        act_fork(&child);
        snprintf(pid, sizeof(pid), "%d", child.pid);
        run = env_run(env, "run", act_object("ring4k"), "--pid", pid, "-o", "json", NULL);
        (void)WAIT_UNTIL(({
                                 act_flood(&child, 1);
                                 run_out_size(run) > 0 || !run_is_alive(run);
                         }),
                         WAIT_DEFAULT);
        run_wait_row(run, "pid", pid);
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);

        run = env_run(env, "run", TEST_SOURCE_DIR "/gadgets/trace_open", "-o", "json", NULL);
        act_open_until_row(run, "directory");
        run_signal(run, SIGINT);
        assert_int_equal(run_exit(run), 0);
        act_end(&child);
}

/* The daemon's descriptors are back to what they were after a hundred lives. */
static void test_nothing_adds_up(void **state) {
        struct env *env = *state;
        size_t before;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, "--no-spare", NULL);
        act_detach(env, "trace_open", "first", 0);
        env_ctl(env, 0, "stop", "first", NULL);
        before = env_daemon_fds(env);
        for (int i = 0; i < 20; i++) {
                act_detach(env, "trace_open", "again", 0);
                env_ctl(env, 0, "stop", "again", NULL);
        }
        /* The count before may have held what was being cleared away; twenty leaks are more than
         * that. */
        assert_true(WAIT_UNTIL(env_daemon_fds(env) <= before, WAIT_DEFAULT));
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_run_prints_rows),
        ENV_TEST(test_run_without_daemon),
        ENV_TEST(test_timeout_ends_a_run),
        ENV_TEST(test_detached_life),
        ENV_TEST(test_instances_are_named_three_ways),
        ENV_TEST(test_several_clients_see_the_same),
        ENV_TEST(test_tail_replays_then_follows),
        ENV_TEST(test_output_modes),
        ENV_TEST(test_fields_choose_columns),
        ENV_TEST(test_exit_codes),
        ENV_TEST(test_strangers_are_denied),
        ENV_TEST(test_a_killed_client_takes_its_run_along),
        ENV_TEST(test_closed_pipe_ends_a_run),
        ENV_TEST(test_run_object_and_directory),
        ENV_TEST(test_nothing_adds_up),
};

TEST_MAIN("run", tests)
