/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "gadget/api.h"

#define NOBODY 65534
#define OPEN_WRITE_MASK (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)

static const cap_value_t kept[] = {
        CAP_SYS_PTRACE,      /* /proc/PID/{ns,exe,cwd,root} of others */
        CAP_DAC_READ_SEARCH, /* state files and bundles, whoever owns them */
        CAP_SYS_ADMIN,       /* fanotify permission events */
        CAP_SETUID,          /* a new parser in place of a dead one */
        CAP_SETGID,          /* the same */
        CAP_KILL,            /* the same */
};

/* clang-format off */
static const struct {
        int nr;
        const char *why;
} watch_calls[] = {
        { SCMP_SYS(epoll_wait),      "the loop" },
        { SCMP_SYS(epoll_pwait),     "the loop, on arm64" },
        { SCMP_SYS(epoll_ctl),       "the loop" },
        { SCMP_SYS(recvmsg),         "the channel" },
        { SCMP_SYS(sendmsg),         "the channel, the log, a file for the parser" },
        { SCMP_SYS(recvfrom),        "the parser's answer" },
        { SCMP_SYS(sendto),          "the log" },
        { SCMP_SYS(read),            "proc, inotify, fanotify" },
        { SCMP_SYS(pread64),         "files" },
        { SCMP_SYS(write),           "answers to fanotify" },
        { SCMP_SYS(close),           "files" },
        { SCMP_SYS(fstat),           "sizes" },
        { SCMP_SYS(newfstatat),      "ids of cgroups and namespaces" },
        { SCMP_SYS(readlink),        "namespaces, executables" },
        { SCMP_SYS(readlinkat),      "namespaces, executables" },
        { SCMP_SYS(getdents64),      "proc, cgroups, state directories" },
        { SCMP_SYS(lseek),           "directories" },
        { SCMP_SYS(fcntl),           "libc's directories" },
        { SCMP_SYS(inotify_add_watch), "cgroups that appear" },
        { SCMP_SYS(inotify_rm_watch), "cgroups that go" },
        { SCMP_SYS(setitimer),       "the end of a process that is stuck" },
        { SCMP_SYS(fanotify_mark),   "the file system of a container that is being made" },
        { SCMP_SYS(pidfd_open),      "the end of containers" },
        { SCMP_SYS(poll),            "the parser" },
        { SCMP_SYS(ppoll),           "the parser" },
        { SCMP_SYS(clock_gettime),   "timers, where there is no vDSO" },
        { SCMP_SYS(sysinfo),         "libc's qsort()" },
        { SCMP_SYS(mmap),            "memory" },
        { SCMP_SYS(munmap),          "memory" },
        { SCMP_SYS(mremap),          "memory" },
        { SCMP_SYS(mprotect),        "memory" },
        { SCMP_SYS(madvise),         "memory" },
        { SCMP_SYS(brk),             "memory" },
        { SCMP_SYS(getpid),          "libc" },
        { SCMP_SYS(gettid),          "abort()" },
        { SCMP_SYS(tgkill),          "abort()" },
        { SCMP_SYS(getrandom),       "libc's allocator" },
        { SCMP_SYS(futex),           "libc's locks" },
        { SCMP_SYS(rt_sigprocmask),  "fork(), abort()" },
        { SCMP_SYS(rt_sigaction),    "abort()" },
        { SCMP_SYS(rt_sigreturn),    "signals" },
        { SCMP_SYS(restart_syscall), "a stopped and continued wait" },
        { SCMP_SYS(socketpair),      "a new parser" },
        { SCMP_SYS(clone),           "a new parser" },
        { SCMP_SYS(set_robust_list), "a new parser" },
        { SCMP_SYS(rseq),            "a new parser" },
        { SCMP_SYS(kill),            "a parser that takes too long" },
        { SCMP_SYS(wait4),           "the same" },
        { SCMP_SYS(dup2),            "what the parser inherits" },
        { SCMP_SYS(dup3),            "the same, on arm64" },
        { SCMP_SYS(close_range),     "what it does not inherit" },
        { SCMP_SYS(prctl),           "the parser gives its privileges up" },
        { SCMP_SYS(prlimit64),       "the same" },
        { SCMP_SYS(setgroups),       "the same" },
        { SCMP_SYS(setresuid),       "the same" },
        { SCMP_SYS(setresgid),       "the same" },
        { SCMP_SYS(capset),          "the same" },
        { SCMP_SYS(capget),          "the same" },
        { SCMP_SYS(seccomp),         "the same" },
        { SCMP_SYS(exit_group),      "the end" },
};

static const struct {
        int nr;
        const char *why;
} parser_calls[] = {
        { SCMP_SYS(recvmsg),    "a file" },
        { SCMP_SYS(sendto),     "an answer" },
        { SCMP_SYS(sendmsg),    "the log" },
        { SCMP_SYS(pread64),    "the file" },
        { SCMP_SYS(fstat),      "the file" },
        { SCMP_SYS(newfstatat), "the same, by this libc" },
        { SCMP_SYS(close),      "the file" },
        { SCMP_SYS(mmap),       "memory" },
        { SCMP_SYS(munmap),     "memory" },
        { SCMP_SYS(mremap),     "memory" },
        { SCMP_SYS(madvise),    "memory" },
        { SCMP_SYS(brk),        "memory" },
        { SCMP_SYS(futex),      "libc's locks" },
        { SCMP_SYS(getrandom),  "the seed of jansson's hash tables" },
        { SCMP_SYS(clock_gettime), "the same" },
        { SCMP_SYS(getpid),     "the same" },
        { SCMP_SYS(exit_group), "the end" },
};
/* clang-format on */

static int set_capabilities(const cap_value_t *caps, int n) {
        cap_t set = cap_init();
        int r = 0;

        if (!set)
                return -ENOMEM;
        if (n > 0 && (cap_set_flag(set, CAP_PERMITTED, n, caps, CAP_SET) < 0 ||
                      cap_set_flag(set, CAP_EFFECTIVE, n, caps, CAP_SET) < 0))
                r = -errno;
        if (r == 0 && cap_set_proc(set) < 0)
                r = -errno;
        cap_free(set);
        return r;
}

static int drop_bounding_set(void) {
        for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++)
                if (cap_get_bound(cap) > 0 && cap_drop_bound(cap) < 0)
                        return -errno;
        return 0;
}

static int load(scmp_filter_ctx filter, int r) {
        if (r == 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

static int filter_watch(void) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = filter ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(watch_calls); i++)
                if (watch_calls[i].nr >= 0)
                        r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, watch_calls[i].nr, 0);
        /* Reading is all that a file is opened for. */
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                           SCMP_A2(SCMP_CMP_MASKED_EQ, OPEN_WRITE_MASK, 0));
        return load(filter, r);
}

static int filter_parser(void) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = filter ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parser_calls); i++)
                if (parser_calls[i].nr >= 0)
                        r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, parser_calls[i].nr, 0);
        /* jansson looks for a better seed there; it does without. */
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0);
        return load(filter, r);
}

int sandbox_watch(struct error *err) {
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "gadget-watch: no_new_privs");
        r = drop_bounding_set();
        if (r == 0)
                r = set_capabilities(kept, ARRAY_SIZE(kept));
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r,
                                 "gadget-watch cannot drop capabilities: %s", strerror(-r));
        r = filter_watch();
        return r < 0 ? error_set(err, ERROR_INTERNAL, r,
                                 "gadget-watch cannot install its seccomp filter: %s", strerror(-r))
                     : 0;
}

int sandbox_parser(int fd) {
        const struct rlimit memory = { 64u << 20, 64u << 20 }, none = { 0, 0 };
        int r;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        /* The log is CHILD_FD_LOG; all else of gadget-watch is none of its business. */
        if (dup2(fd, CHILD_FD_CHANNEL) < 0 || close_range(CHILD_FD_LOG + 1, ~0u, 0) < 0)
                return -errno;
        if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0 ||
            setrlimit(RLIMIT_CORE, &none) < 0)
                return -errno;
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
                return -errno;
        r = set_capabilities(NULL, 0);
        return r < 0 ? r : filter_parser();
}
