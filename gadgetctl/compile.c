/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/compile.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/proc.h"
#include "gadget/api.h"
#include "gadgetctl/cflags.h"
#include "gadgetctl/session.h"
#include "gadgetctl/signals.h"

extern char **environ;

const char *const target_names[_TARGET_MAX] = {
        [TARGET_AMD64] = "amd64", [TARGET_ARM64] = "arm64"
};

static const char *const target_macros[_TARGET_MAX] = {
        [TARGET_AMD64] = "-D__TARGET_ARCH_x86",
        [TARGET_ARM64] = "-D__TARGET_ARCH_arm64",
};

static bool exists(const char *path) {
        struct stat st;

        return stat(path, &st) == 0;
}

static const char *from_environment(const char *name, const char *otherwise) {
        const char *value = getenv(name);

        return value && value[0] ? value : otherwise;
}

/* Runs a program of the user's PATH to its end; its output is our standard error. */
static int run_tool(const char *const *argv, struct error *err) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t defaults;
        int r, status;
        char text[64];
        pid_t pid;

        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        posix_spawnattr_init(&attr);
        posix_spawnattr_setsigdefault(&attr, &defaults);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
        r = posix_spawnp(&pid, argv[0], &actions, &attr, (char *const *)argv, environ);
        posix_spawnattr_destroy(&attr);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                return error_set(err, ERROR_UNAVAILABLE, -r, "cannot run '%s': %s", argv[0],
                                 strerror(r));
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_set(err, ERROR_INTERNAL, -errno, "waitpid: %m");
        /* Ctrl-C reaches the compiler as well. */
        if (status != 0 && signals_count > 0)
                return error_set(err, ERROR_UNAVAILABLE, -EINTR, "'%s': interrupted", argv[0]);
        if (status != 0)
                return error_set(err, ERROR_INVALID, -EINVAL, "'%s' %s", argv[0],
                                 proc_status_text(status, text, sizeof(text)));
        return 0;
}

/* The directory that paths in the object are relative to, so that they do not say where it was
 * built. */
static char *prefix_map(const char *program) {
        cleanup_free char *real = realpath(program, NULL);
        char *slash = real ? strrchr(real, '/') : NULL, *option;

        if (!slash)
                return NULL;
        *slash = '\0';
        return asprintf(&option, "-ffile-prefix-map=%s=.", real) < 0 ? NULL : option;
}

int target_of(const char *platform, enum target *ret) {
        const char *arch = str_after(platform, "linux/") ?: platform;

        for (enum target target = 0; target < _TARGET_MAX; target++)
                if (str_eq(arch, target_names[target])) {
                        *ret = target;
                        return 0;
                }
        return -EINVAL;
}

/* The directories that belong to one call of the compiler. */
struct places {
        char *include;
        char *arch_include;
        char *map;
        char *source;
};

static void places_done(struct places *places) {
        free(places->include);
        free(places->arch_include);
        free(places->map);
        free(places->source);
}

static int find_places(const struct args *args, const char *program, enum target target,
                       struct places *ret, struct error *err) {
        cleanup_free char *sdk = path_in_root(args, GADGET_DATADIR "/sdk/");

        *ret = (struct places){
                .include = path_in_root(args, GADGET_DATADIR "/sdk/include"),
                .map = prefix_map(program),
                .source = realpath(program, NULL),
        };
        if (!sdk || asprintf(&ret->arch_include, "%s%s", sdk, target_names[target]) < 0)
                ret->arch_include = NULL;
        if (!ret->include || !ret->arch_include || !ret->map || !ret->source)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        if (!exists(ret->include))
                return error_set(err, ERROR_UNAVAILABLE, -ENOENT,
                                 "the headers for gadgets are not installed: there is no '%s'",
                                 ret->include);
        return 0;
}

static int run_clang(const struct args *args, const char *program, enum target target,
                     const char *object, struct error *err) {
        cleanup(places_done) struct places places = { .include = NULL };
        cleanup(cflags_done) struct cflags cflags = { .n = 0 };
        int r;

        r = cflags_read(&args->cflags, &cflags, err);
        if (r == 0)
                r = find_places(args, program, target, &places, err);
        if (r < 0)
                return r;
        const char *const first[] = {
                from_environment("CLANG", "clang"),
                "-target",
                "bpf",
                "-O2",
                "-g",
                "-Wall",
                target_macros[target],
                "-I",
                places.include,
                "-I",
                places.arch_include,
#if defined(__aarch64__)
                "-idirafter",
                "/usr/include/aarch64-linux-gnu",
#else
                "-idirafter",
                "/usr/include/x86_64-linux-gnu",
#endif
        };
        /* Behind the user's, so that these are not theirs to change. */
        const char *const last[] = {
                places.map, "-fdebug-compilation-dir=.", "-c", places.source, "-o", object, NULL
        };
        const char *argv[ARRAY_SIZE(first) + CFLAGS_MAX + ARRAY_SIZE(last)];

        memcpy(argv, first, sizeof(first));
        memcpy(argv + ARRAY_SIZE(first), cflags.words, cflags.n * sizeof(*argv));
        memcpy(argv + ARRAY_SIZE(first) + cflags.n, last, sizeof(last));
        return run_tool(argv, err);
}

int read_input(const char *path, const char *what, struct buf *b, struct error *err) {
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INVALID, -errno,
                                 "cannot open %s '%s': %m", what, path);
        r = read_fd(fd, b);
        if (r == -EFBIG)
                return error_set(err, ERROR_LIMIT, r, "%s '%s' is larger than %zu bytes", what,
                                 path, b->max);
        if (r < 0)
                return error_set(err, ERROR_INVALID, r, "cannot read %s '%s': %s", what, path,
                                 strerror(-r));
        return 0;
}

static char *in_dir(const char *dir, const char *name) {
        char *path;

        return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int compile_in(const struct args *args, const char *dir, const char *program,
                      enum target target, struct buf *ret, struct error *err) {
        cleanup_free char *full = in_dir(dir, "full.o"), *object = in_dir(dir, "program.o");
        const char *strip[] = {
                from_environment("LLVM_STRIP", "llvm-strip"), "-g", full, "-o", object, NULL
        };
        int r;

        if (!full || !object)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        r = run_clang(args, program, target, full, err);
        if (r == 0)
                r = run_tool(strip, err);
        return r < 0 ? r : read_input(object, "object", ret, err);
}

int compile(const struct args *args, const char *program, enum target target, struct buf *ret,
            struct error *err) {
        cleanup_free char *dir = NULL;
        int r;

        if (asprintf(&dir, "%s/gadget-build-XXXXXX", from_environment("TMPDIR", "/tmp")) < 0 ||
            !mkdtemp(dir))
                return error_set(err, ERROR_INTERNAL, -errno,
                                 "cannot make a temporary directory: %m");
        r = compile_in(args, dir, program, target, ret, err);
        if (r < 0)
                error_prefix(err, r, "%s for %s", program, target_names[target]);
        (void)remove_tree(AT_FDCWD, dir);
        return r;
}
