/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_process against /proc: the same processes, and of our own every field. */
#include <ctype.h>
#include <dirent.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tests/lib/env.h"

#define ENV_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, env_teardown)

/* The only array that the run printed, one line; the caller decrefs. */
static json_t *snapshot(struct env *env, const char *option, const char *value) {
        struct run *run = env_ctl(env, 0, "run", "snapshot_process", "--host", "-o", "json", option,
                                  value, NULL);
        json_t *rows = json_loads(run_out(run), 0, NULL);

        if (!json_is_array(rows))
                run_fail(run, "not one array of rows");
        return rows;
}

static json_t *row_of(const json_t *rows, const char *field, json_int_t value) {
        size_t i;
        json_t *row;

        json_array_foreach(rows, i, row) if (row_int(row, field) == value) return row;
        return NULL;
}

static bool has_process(pid_t pid) {
        char path[32];

        snprintf(path, sizeof(path), "/proc/%d", pid);
        return access(path, F_OK) == 0;
}

/* Every process that was there before and is there afterwards is in the snapshot. */
static void test_as_proc_has_them(void **state) {
        struct env *env = *state;
        pid_t before[4096];
        size_t n = 0, i;
        struct dirent *entry;
        json_t *rows, *row;
        DIR *proc;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        proc = opendir("/proc");
        while ((entry = readdir(proc)) && n < ARRAY_SIZE(before))
                if (isdigit((unsigned char)entry->d_name[0]))
                        before[n++] = (pid_t)strtol(entry->d_name, NULL, 10);
        closedir(proc);
        assert_true(n > 1);
        rows = snapshot(env, NULL, NULL);
        for (i = 0; i < n; i++)
                /* The kernel of the machines that we are tested on leaves init out of iter/task:
                 * bpftool's reading of a program of three lines shows the same. Debian's do not. */
                if (before[i] != 1 && has_process(before[i]) &&
                    !row_of(rows, "proc.pid", before[i]))
                        fail_msg("process %d is missing", before[i]);
        /* Nothing is there twice, and threads are not there. */
        json_array_foreach(rows, i, row) {
                assert_ptr_equal(row_of(rows, "proc.pid", row_int(row, "proc.pid")), row);
                assert_int_equal(row_int(row, "proc.pid"), row_int(row, "proc.tid"));
        }
        json_decref(rows);
        env_stop(env);
}

static void test_every_field(void **state) {
        struct env *env = *state;
        json_t *rows, *row;
        struct stat st;
        char pid[32];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        assert_int_equal(prctl(PR_SET_NAME, "seen here"), 0);
        snprintf(pid, sizeof(pid), "proc.pid==%d", getpid());
        rows = snapshot(env, "--filter", pid);
        assert_int_equal(json_array_size(rows), 1);
        row = json_array_get(rows, 0);
        assert_string_equal(row_str(row, "proc.comm"), "seen here");
        assert_int_equal(row_int(row, "proc.creds.uid"), getuid());
        assert_int_equal(row_int(row, "proc.creds.gid"), getgid());
        assert_string_equal(row_str(row, "proc.creds.user"), getpwuid(getuid())->pw_name);
        assert_string_equal(row_str(row, "proc.creds.group"), getgrgid(getgid())->gr_name);
        assert_int_equal(row_int(row, "proc.parent.pid"), getppid());
        assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
        assert_int_equal(row_int(row, "proc.mntns_id"), st.st_ino);
        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        assert_int_equal(row_int(row, "netns_id"), st.st_ino);
        assert_true(json_is_false(row_get(row, "is_kernel_thread")));
        json_decref(rows);
        env_stop(env);
}

static void *wait_for_main(void *barrier) {
        pthread_barrier_wait(barrier);
        return NULL;
}

static void test_threads(void **state) {
        struct env *env = *state;
        pthread_barrier_t barrier;
        struct run *run;
        pthread_t thread;
        json_t *rows;
        char filter[32];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        pthread_barrier_init(&barrier, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, wait_for_main, &barrier), 0);
        snprintf(filter, sizeof(filter), "proc.pid==%d", getpid());
        run = env_ctl(env, 0, "run", "snapshot_process", "--host", "--threads=true", "--filter",
                      filter, "-o", "json", NULL);
        rows = json_loads(run_out(run), 0, NULL);
        assert_int_equal(json_array_size(rows), 2);
        assert_non_null(row_of(rows, "proc.tid", getpid()));
        json_decref(rows);
        pthread_barrier_wait(&barrier);
        pthread_join(thread, NULL);
        env_stop(env);
}

/* Nothing to show is an array as well, and what is wrong is said before anything runs. */
static void test_filters_and_order(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *rows;
        size_t n;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        rows = snapshot(env, "--filter", "proc.pid==0");
        assert_int_equal(json_array_size(rows), 0);
        json_decref(rows);

        run = env_ctl(env, 0, "run", "snapshot_process", "--host", "--sort", "-proc.pid",
                      "--max-entries", "3", "-o", "json", NULL);
        rows = json_loads(run_out(run), 0, NULL);
        n = json_array_size(rows);
        assert_int_equal(n, 3);
        for (size_t i = 1; i < n; i++)
                assert_true(row_int(json_array_get(rows, i - 1), "proc.pid") >
                            row_int(json_array_get(rows, i), "proc.pid"));
        json_decref(rows);

        run = env_ctl(env, 2, "run", "snapshot_process", "--filter", "proc.com==x", NULL);
        assert_non_null(strstr(run_err(run), "data source 'processes' has no field 'proc.com'; did "
                                             "you mean 'proc.comm'?"));
        run = env_ctl(env, 2, "run", "snapshot_process", "--filter", "proc.comm~(", NULL);
        assert_non_null(strstr(run_err(run), "'(' has no ')'"));
        run = env_ctl(env, 2, "run", "snapshot_process", "--sort", "uid", NULL);
        assert_non_null(strstr(run_err(run), "sort: data source 'processes' has no field 'uid'"));
        run = env_ctl(env, 2, "run", "snapshot_process", "--max-entries", "many", NULL);
        assert_non_null(strstr(run_err(run), "max-entries: 'many' is not a number"));
        env_stop(env);
}

/* Again and again when asked to; then it ends by itself. */
static void test_interval_and_count(void **state) {
        struct env *env = *state;
        struct run *run;
        size_t n_lines = 0;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_ITER);
        env_start(env, NULL);
        run = env_ctl(env, 0, "run", "snapshot_process", "--host", "--interval", "50ms", "--count",
                      "4", "-o", "json", NULL);
        for (const char *p = run_out(run); (p = strchr(p, '\n')); p++)
                n_lines++;
        assert_int_equal(n_lines, 4);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_as_proc_has_them),  ENV_TEST(test_every_field),        ENV_TEST(test_threads),
        ENV_TEST(test_filters_and_order), ENV_TEST(test_interval_and_count),
};
TEST_MAIN("gadget-snapshot-process", tests)
