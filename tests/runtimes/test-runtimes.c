/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each runtime for real, with a daemon and state of its own (runtime.sh): containers are named as
 * the runtime names them, each one's first exec is seen, once, by who chose it by name, and a start
 * takes no longer than it may.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/lib/env.h"

#define STARTS 15

struct runtime {
        const char *name;   /* of runtime.sh */
        const char *shown;  /* runtime.runtimeName */
        const char *image;  /* known by its first exec; NULL = it is not */
        const char *digest; /* what digests of images begin with, as far as they have one */
        const char *labels; /* of the pod of gt-earlier */
        const char *socket; /* of its API */
};

static const struct runtime runtimes[] = {
        { "runc", "runc", NULL },
        { "crun", "crun", NULL },
        { "docker", "docker", "gt:1" },
        { "podman", "podman", "localhost/gt:1", .digest = "sha256:" },
        { "podman-crun", "podman", "localhost/gt:1", .digest = "sha256:" },
        { "ctr", "containerd", .digest = "sha256:", .socket = "containerd.sock" },
        { "cri", "containerd", "localhost/gt:1", .labels = "app=gt-earlier,tier=test",
          .socket = "containerd.sock" },
};

static const struct runtime *current;
static char directory[64]; /* of all runtimes of this test */

static int make_directory(void **state) {
        (void)state;
        snprintf(directory, sizeof(directory), "/tmp/gadget-runtimes-XXXXXX");
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        char command[128];

        (void)state;
        snprintf(command, sizeof(command), "rm -rf --one-file-system %s", directory);
        return system(command);
}

/* runtime.sh VERB RUNTIME DIR ARGUMENTS; returns its exit code. */
static int call(const struct runtime *runtime, const char *verb, const char *arguments) {
        char command[1024];

        snprintf(command, sizeof(command), "%s/tests/runtimes/runtime.sh %s %s %s/%s %s 2>%s/err",
                 TEST_SOURCE_DIR, verb, runtime->name, directory, runtime->name, arguments,
                 directory);
        return system(command);
}

/* Skips the test where this runtime makes no container, without any gadgetd. */
static void start_runtime(const struct runtime *runtime) {
        char path[128], why[256] = "";
        size_t n;
        FILE *file;

        if (call(runtime, "up", TEST_BUILD_DIR "/tests/system/nothing") == 0)
                return;
        (void)call(runtime, "down", "");
        snprintf(path, sizeof(path), "%s/err", directory);
        file = fopen(path, "re");
        n = file ? fread(why, 1, sizeof(why) - 1, file) : 0;
        while (n > 0 && why[n - 1] == '\n')
                why[--n] = '\0';
        for (size_t i = 0; i < n; i++)
                if (why[i] == '\n')
                        why[i] = ' ';
        if (file)
                fclose(file);
        test_unmet(runtime->name, why);
}

static uint64_t start_many(const struct runtime *runtime, const char *prefix, unsigned int n) {
        uint64_t begin = now_ns();
        char arguments[64];

        snprintf(arguments, sizeof(arguments), "%s %u", prefix, n);
        assert_int_equal(call(runtime, "many", arguments), 0);
        return (now_ns() - begin) / n;
}

/* Rows of containers PREFIX-*, which must be those of the entrypoint. */
static size_t count_rows(struct run *run, const struct runtime *runtime, const char *prefix) {
        json_t *rows = run_rows(run), *row;
        size_t i, n = 0;

        json_array_foreach(rows, i, row) {
                const char *name = row_str(row, "runtime.containerName");

                if (strncmp(name, prefix, strlen(prefix)) != 0)
                        continue;
                assert_string_equal(row_str(row, "runtime.runtimeName"), runtime->shown);
                assert_string_equal(row_str(row, "file"), "/nothing");
                if (runtime->image)
                        assert_string_equal(row_str(row, "runtime.containerImageName"),
                                            runtime->image);
                n++;
        }
        json_decref(rows);
        return n;
}

static bool has_all(struct run *run, const struct runtime *runtime, size_t n) {
        return count_rows(run, runtime, "gt-with-") >= n;
}

static struct run *trace(struct env *env, const char *name, const char *option, const char *value) {
        env_ctl(env, 0, "run", "trace_exec", "-d", "--name", name, option, value, NULL);
        return env_attach(env, name);
}

static bool is_listed(struct env *env, const char *name, const struct runtime *runtime) {
        json_t *list = env_ctl_json(env, "containers", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) found |= str_eq(row_str(item, "name"), name) &&
                                                   str_eq(row_str(item, "runtime"), runtime->shown);
        json_decref(list);
        return found;
}

static bool has_prefix(const char *text, const char *prefix) {
        return !prefix || strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What the runtime's API says, or what it keeps on disk. */
static bool is_described(struct env *env, const struct runtime *runtime) {
        json_t *list = env_ctl_json(env, "containers", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) found |=
                str_eq(row_str(item, "name"), "gt-earlier") &&
                has_prefix(row_str(item, "image"), runtime->digest ? "localhost/gt:1" : NULL) &&
                has_prefix(row_str(item, "digest"), runtime->digest) &&
                has_prefix(row_str(item, "k8s_labels"), runtime->labels);
        json_decref(list);
        return found;
}

/* One that runs before gadgetd does is found and named as well. */
static void check_earlier(struct env *env, const struct runtime *runtime) {
        assert_true(is_listed(env, "gt-earlier", runtime));
        assert_true(WAIT_UNTIL(is_described(env, runtime), WAIT_DEFAULT));
        assert_int_equal(call(runtime, "rm", "gt-earlier"), 0);
        assert_true(WAIT_UNTIL(!is_listed(env, "gt-earlier", runtime), WAIT_DEFAULT));
}

static void check_starts(struct env *env, const struct runtime *runtime) {
        struct run *by_name = trace(env, "by-name", "-c", "gt-with-*");
        struct run *all = trace(env, "all", "-r", runtime->shown);
        uint64_t with;

        with = start_many(runtime, "gt-with", STARTS);
        start_many(runtime, "gt-other", 3);
        if (!WAIT_UNTIL(has_all(by_name, runtime, STARTS), WAIT_DEFAULT))
                run_fail(by_name, "%s: %zu of %d first execs were seen", runtime->name,
                         count_rows(by_name, runtime, "gt-with-"), STARTS);
        if (!WAIT_UNTIL(count_rows(all, runtime, "gt-") >= STARTS + 3, WAIT_DEFAULT))
                run_fail(all, "%s: %zu of %d first execs were seen", runtime->name,
                         count_rows(all, runtime, "gt-"), STARTS + 3);
        assert_int_equal(count_rows(by_name, runtime, "gt-"), STARTS);
        assert_int_equal(count_rows(all, runtime, "gt-"), STARTS + 3);
        printf("%s: a start takes %llu us while gadgets choose by name\n", runtime->name,
               (unsigned long long)(with / 1000));
        env_ctl(env, 0, "stop", "by-name", NULL);
        env_ctl(env, 0, "stop", "all", NULL);
}

/* runc and crun keep their state where nobody would look, containerd has a socket of its own. */
static void write_config(struct env *env, const struct runtime *runtime) {
        cleanup_close int fd = -1;
        char yaml[512];
        int n = snprintf(yaml, sizeof(yaml), "containers:\n  state-roots: [%s/%s/state]\n",
                         directory, runtime->name);

        if (runtime->socket)
                n += snprintf(yaml + n, sizeof(yaml) - (size_t)n,
                              "  sockets:\n    containerd: %s/%s/%s\n", directory, runtime->name,
                              runtime->socket);
        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "%s", GADGET_CONFDIR), 0755, &fd), 0);
        assert_int_equal(write_file_atomic(fd, "gadgetd.yaml", yaml, (size_t)n, 0644), 0);
}

static bool was_late(struct env *env) {
        return strstr(run_err(env->daemon), "was not known everywhere within") != NULL;
}

/* The labels of a pod are the API's to tell: the first exec is held for them. */
static void check_selector(struct env *env, const struct runtime *runtime) {
        struct run *run = trace(env, "by-label", "--k8s-selector", "tier=test,!app=gt-out-2");

        start_many(runtime, "gt-out", 3);
        /* The API of a busy machine may take more than its 100 ms: then that is counted. */
        if (!WAIT_UNTIL(count_rows(run, runtime, "gt-out-") >= 2 || was_late(env), WAIT_DEFAULT))
                run_fail(run, "%zu of 2 first execs were seen", count_rows(run, runtime, "gt-"));
        assert_int_equal(count_rows(run, runtime, "gt-out-2"), 0);
        assert_true(was_late(env) || count_rows(run, runtime, "gt-out-1") == 1);
        assert_true(was_late(env) || count_rows(run, runtime, "gt-out-3") == 1);
        env_ctl(env, 0, "stop", "by-label", NULL);
}

static void test_runtime(void **state) {
        const struct runtime *runtime = current;
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        start_runtime(runtime);
        assert_int_equal(call(runtime, "run", "gt-earlier stay"), 0);
        write_config(env, runtime);
        env_start(env, NULL);
        check_earlier(env, runtime);
        check_starts(env, runtime);
        if (runtime->labels)
                check_selector(env, runtime);
        env_stop(env);
}

static int begin(void **state) {
        current = *state;
        return env_setup(state);
}

static int end(void **state) {
        int r = call(current, "down", "");

        return env_teardown(state) ?: r;
}

int main(void) {
        struct CMUnitTest tests[ARRAY_SIZE(runtimes)];

        for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
                tests[i] = (struct CMUnitTest){ .name = runtimes[i].name,
                                                .test_func = test_runtime,
                                                .setup_func = begin,
                                                .teardown_func = end,
                                                .initial_state = (void *)(uintptr_t)&runtimes[i] };
        return test_main("runtimes", tests, ARRAY_SIZE(tests), make_directory, remove_directory);
}
