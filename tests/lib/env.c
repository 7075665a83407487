/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/env.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/file.h"

#define ARGS_MAX 64

/* The tests' own processes use this lock so that one env's snapshot of the kernel's lists does not
 * meet another's. */
#define LOCK_PATH "/run/lock/gadgetd-tests.lock"

static int lock_fd = -1;

const char *env_stage(void) {
        static char stage[512];
        const char *given = getenv("GADGET_TEST_STAGE");
        char command[1024];

        if (stage[0])
                return stage;
        if (given) {
                snprintf(stage, sizeof(stage), "%s", given);
                return stage;
        }
        snprintf(command, sizeof(command), "'%s/tests/lib/stage.sh' '%s'", TEST_SOURCE_DIR,
                 TEST_BUILD_DIR);
        if (system(command) != 0)
                fail_msg("cannot stage the build tree: %s", command);
        snprintf(stage, sizeof(stage), "%s/stage", TEST_BUILD_DIR);
        return stage;
}

const char *env_path(const struct env *env, const char *fmt, ...) {
        static char paths[4][512];
        static unsigned int turn;
        char *path = paths[turn++ % ARRAY_SIZE(paths)];
        va_list args;
        int n;

        n = snprintf(path, sizeof(paths[0]), "%s", env->root);
        va_start(args, fmt);
        vsnprintf(path + n, sizeof(paths[0]) - (size_t)n, fmt, args);
        va_end(args);
        return path;
}

/* ROOT/PATH -> STAGE/PATH */
static int link_path(const struct env *env, const char *path, size_t n) {
        char target[600];

        snprintf(target, sizeof(target), "%s%.*s", env_stage(), (int)n, path);
        return symlink(target, env_path(env, "%.*s", (int)n, path));
}

/* The installed programs and data, but not the configuration: that is the test's own. It lies
 * outside of the prefix in packages (/usr), and inside in what is built by hand (/usr/local). */
static int link_prefix(const struct env *env) {
        static const char *const children[] = { "bin", "libexec", "share", "lib", "include" };
        const char *bindir = GADGET_BINDIR, *confdir = GADGET_CONFDIR;
        size_t first = strcspn(bindir + 1, "/") + 1;
        size_t n = (size_t)(strrchr(bindir, '/') - bindir);
        char path[256];
        int r;

        if (strncmp(bindir, confdir, first) != 0 || confdir[first] != '/')
                return link_path(env, bindir, first);
        snprintf(path, sizeof(path), "%.*s", (int)n, bindir);
        r = make_dirs(AT_FDCWD, env_path(env, "%s", path), 0755, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(children) && r == 0; i++) {
                snprintf(path, sizeof(path), "%.*s/%s", (int)n, bindir, children[i]);
                r = link_path(env, path, strlen(path));
        }
        return r;
}

int env_setup(void **state) {
        struct env *env = calloc(1, sizeof(*env));

        if (!env)
                return -1;
        *state = env;
        /* Before the lock: the need of root skips the test, and nothing below would work without.
         */
        if (geteuid() != 0)
                return 0;
        lock_fd = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock_fd < 0 || fcntl(lock_fd, F_SETLKW, &(struct flock){ .l_type = F_WRLCK }) < 0)
                return -1;
        snprintf(env->root, sizeof(env->root), "/tmp/gadget-test-XXXXXX");
        if (!mkdtemp(env->root) || chmod(env->root, 0755) < 0 || link_prefix(env) < 0)
                return -1;
        env->leaks = leaks_new();
        return env->leaks ? 0 : -1;
}

/* Ends the daemon, however it goes, and keeps its log. */
static void forget_daemon(struct env *env) {
        char *log;

        if (!env->daemon)
                return;
        if (asprintf(&log, "%s%s", env->log ? env->log : "", run_err(env->daemon)) >= 0) {
                free(env->log);
                env->log = log;
        }
        env->daemon = run_free(env->daemon);
}

/* Several gadgetd share the cgroup hierarchy. An instance's cgroup is this env's when its daemon
 * has logged that instance. */
static bool is_foreign(struct env *env, const char *line) {
        const char *dir = strstr(line, "/gadgetd/");
        char id[13];

        /* Tests of other build trees mount things in directories of their own. */
        if (str_after(line, "mount ") && strstr(line, " /tmp/") && !strstr(line, env->root))
                return true;
        if (!str_after(line, "cgroup "))
                return false;
        if (!dir)
                return true; /* ours are all below HIERARCHY/gadgetd */
        if (!env->log)
                return false; /* a private daemon's, as far as anybody can tell */
        snprintf(id, sizeof(id), "%.12s", dir + strlen("/gadgetd/"));
        return strstr(env->log, id) == NULL;
}

/* Prints what is left behind and ours; false when there is none of that. */
static bool print_leftovers(struct env *env, char *text) {
        bool any = false;
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                if (is_foreign(env, line))
                        continue;
                print_error("left behind: %s\n", line);
                any = true;
        }
        return any;
}

int env_teardown(void **state) {
        struct env *env = *state;
        char text[8192];
        int r = 0;

        if (env->leaks) {
                for (size_t i = 0; i < env->n_runs; i++)
                        run_free(env->runs[i]);
                if (env->daemon && run_is_alive(env->daemon)) {
                        run_signal(env->daemon, SIGTERM);
                        if (!WAIT_UNTIL(!run_is_alive(env->daemon), WAIT_DEFAULT)) {
                                print_error("gadgetd does not end on SIGTERM:\n%s\n",
                                            run_err(env->daemon));
                                r = -1;
                        }
                }
                /* A small disk, when a test has given the daemon one. */
                umount2(env_path(env, "%s", GADGET_STATEDIR), MNT_DETACH);
                forget_daemon(env);
                if (leaks_check(env->leaks, 5 * NSEC_PER_SEC, text, sizeof(text)) < 0 &&
                    print_leftovers(env, text)) {
                        print_error("--- gadgetd\n%s\n", env->log ? env->log : "");
                        r = -1;
                }
                leaks_free(env->leaks);
        }
        if (env->root[0] && remove_tree(AT_FDCWD, env->root) < 0)
                r = -1;
        free(env->log);
        free(env);
        close_fd(&lock_fd);
        return r;
}

/* argv = { program, "--root", ROOT, args..., NULL } */
static struct run *start_spec(struct env *env, const char *program, struct run_spec spec,
                              const char *const *args) {
        const char *argv[ARGS_MAX] = { program, "--root", env->root };
        size_t n = 3;

        spec.argv = argv;
        spec.dir = env->root;
        for (; *args; args++) {
                assert_true(n + 1 < ARGS_MAX);
                argv[n++] = *args;
        }
        return run_new(&spec);
}

static struct run *start(struct env *env, const char *program, uid_t uid, const char *const *args) {
        return start_spec(env, program, (struct run_spec){ .uid = uid }, args);
}

static struct run *keep(struct env *env, struct run *run) {
        assert_true(env->n_runs < ENV_RUNS_MAX);
        env->runs[env->n_runs++] = run;
        return run;
}

/* Collects the variable arguments after _last into a local array `args`. */
#define COLLECT(_last)                                                                             \
        const char *args[ARGS_MAX];                                                                \
        do {                                                                                       \
                va_list _list;                                                                     \
                size_t _n = 0;                                                                     \
                va_start(_list, _last);                                                            \
                while ((args[_n] = va_arg(_list, const char *)))                                   \
                        assert_true(++_n < ARGS_MAX);                                              \
                va_end(_list);                                                                     \
        } while (0)

static const char *gadgetctl_path(const struct env *env) {
        return env_path(env, "%s/gadgetctl", GADGET_BINDIR);
}

int env_connect(struct env *env) {
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        cleanup_close int fd = -1;

        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s%s/gadgetd.sock", env->root,
                 GADGET_RUNDIR);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static bool listens(struct env *env) {
        cleanup_close int fd = -1;

        if (!run_is_alive(env->daemon))
                run_fail(env->daemon, "gadgetd ended before it listened");
        fd = env_connect(env);
        return fd >= 0;
}

void env_start(struct env *env, ...) {
        COLLECT(env);

        forget_daemon(env);
        env->daemon = start(env, env_path(env, "%s/gadgetd", GADGET_BINDIR), 0, args);
        if (!WAIT_UNTIL(listens(env), WAIT_DEFAULT))
                run_fail(env->daemon, "gadgetd does not listen");
}

void env_stop(struct env *env) {
        run_signal(env->daemon, SIGTERM);
        assert_int_equal(run_exit(env->daemon), 0);
}

struct run *env_run_argv(struct env *env, const char *const *args) {
        return keep(env, start(env, gadgetctl_path(env), 0, args));
}

struct run *env_run_to(struct env *env, int stdout_fd, const char *const *args) {
        return keep(env, start_spec(env, gadgetctl_path(env),
                                    (struct run_spec){ .stdout_fd = stdout_fd }, args));
}

struct run *env_run(struct env *env, ...) {
        COLLECT(env);

        return env_run_argv(env, args);
}

struct run *env_run_as(struct env *env, uid_t uid, ...) {
        COLLECT(uid);

        return keep(env, start(env, gadgetctl_path(env), uid, args));
}

struct run *env_exec(struct env *env, ...) {
        COLLECT(env);

        return keep(env, run_new(&(struct run_spec){ .argv = args, .dir = env->root }));
}

struct run *env_ctl(struct env *env, int exit_code, ...) {
        COLLECT(exit_code);
        struct run *run = env_run_argv(env, args);
        int got = run_exit(run);

        if (got != exit_code)
                run_fail(run, "exit code %d instead of %d", got, exit_code);
        return run;
}

/* Runs to the end, frees the run, and hands the JSON over. */
static json_t *ctl_json(struct env *env, const char *const *args) {
        struct run *run = env_run_argv(env, args);
        json_error_t error;
        json_t *json;
        int got = run_exit(run);

        if (got != 0)
                run_fail(run, "exit code %d", got);
        json = json_loads(run_out(run), JSON_DECODE_ANY, &error);
        if (!json)
                run_fail(run, "output is not JSON: %s", error.text);
        env->n_runs--;
        run_free(run);
        return json;
}

json_t *env_ctl_json(struct env *env, ...) {
        COLLECT(env);

        return ctl_json(env, args);
}

static bool has_state(struct env *env, const char *name, const char *state) {
        const char *const args[] = { "list", "-o", "json", NULL };
        json_t *list = ctl_json(env, args), *item;
        bool is_listed = false, matches = false;
        size_t i;

        json_array_foreach(list, i, item) {
                if (!str_eq(row_str(item, "name"), name))
                        continue;
                is_listed = true;
                matches = str_eq(row_str(item, "state"), state);
        }
        json_decref(list);
        return is_listed ? matches : str_eq(state, "gone");
}

void env_wait_state(struct env *env, const char *name, const char *state) {
        if (!WAIT_UNTIL(has_state(env, name, state), WAIT_DEFAULT))
                run_fail(env->daemon, "instance '%s' is never '%s'", name, state);
}

static json_int_t n_attached(struct env *env, const char *name) {
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL), *item;
        json_int_t n = 0;
        size_t i;

        json_array_foreach(list, i, item) if (str_eq(row_str(item, "name"), name)) n =
                row_int(item, "attached");
        json_decref(list);
        return n;
}

struct run *env_attach(struct env *env, const char *name) {
        json_int_t before = n_attached(env, name);
        struct run *run = env_run(env, "attach", name, "-o", "json", NULL);

        if (!WAIT_UNTIL(n_attached(env, name) > before, WAIT_DEFAULT))
                run_fail(run, "it does not attach to '%s'", name);
        return run;
}

size_t env_daemon_fds(struct env *env) {
        struct dirent *entry;
        char path[64];
        size_t n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", run_pid(env->daemon));
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

pid_t env_child(struct env *env, pid_t parent, const char *comm) {
        char path[64], name[32];
        pid_t pid, found = 0;
        FILE *children, *f;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
        children = fopen(path, "re");
        while (children && !found && fscanf(children, "%d", &pid) == 1) {
                snprintf(path, sizeof(path), "/proc/%d/comm", pid);
                f = fopen(path, "re");
                if (f && fscanf(f, "%31s", name) == 1 && str_eq(name, comm))
                        found = pid;
                if (f)
                        fclose(f);
        }
        if (children)
                fclose(children);
        return found;
}
