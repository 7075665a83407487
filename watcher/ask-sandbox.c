/* SPDX-License-Identifier: Apache-2.0 */
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "watcher/ask.h"

/* clang-format off */
static const struct {
        int nr;
        const char *why;
} calls[] = {
        { SCMP_SYS(epoll_wait),      "the loop" },
        { SCMP_SYS(epoll_pwait),     "the loop, on arm64" },
        { SCMP_SYS(epoll_ctl),       "the loop" },
        { SCMP_SYS(epoll_create1),   "the loop" },
        { SCMP_SYS(recvmsg),         "the channel" },
        { SCMP_SYS(sendmsg),         "the channel, the log" },
        { SCMP_SYS(sendto),          "the runtime" },
        { SCMP_SYS(recvfrom),        "the runtime" },
        { SCMP_SYS(read),            "the runtime, curl's own wake-ups" },
        { SCMP_SYS(write),           "the same" },
        { SCMP_SYS(poll),            "curl" },
        { SCMP_SYS(ppoll),           "curl" },
        { SCMP_SYS(socketpair),      "curl's own wake-ups" },
        { SCMP_SYS(eventfd2),        "the same, of a later curl" },
        { SCMP_SYS(pipe2),           "the same" },
        { SCMP_SYS(fcntl),           "curl: sockets that do not block" },
        { SCMP_SYS(getsockopt),      "curl: errors" },
        { SCMP_SYS(setsockopt),      "curl" },
        { SCMP_SYS(getsockname),     "curl" },
        { SCMP_SYS(getpeername),     "curl" },
        { SCMP_SYS(shutdown),        "curl" },
        { SCMP_SYS(close),           "the runtime" },
        { SCMP_SYS(mmap),            "memory" },
        { SCMP_SYS(munmap),          "memory" },
        { SCMP_SYS(mremap),          "memory" },
        { SCMP_SYS(mprotect),        "memory" },
        { SCMP_SYS(madvise),         "memory" },
        { SCMP_SYS(brk),             "memory" },
        { SCMP_SYS(futex),           "libc's locks" },
        { SCMP_SYS(getrandom),       "seeds" },
        { SCMP_SYS(clock_gettime),   "deadlines, where there is no vDSO" },
        { SCMP_SYS(gettimeofday),    "seeds" },
        { SCMP_SYS(getpid),          "seeds" },
        { SCMP_SYS(rt_sigprocmask),  "curl: SIGPIPE" },
        { SCMP_SYS(rt_sigaction),    "curl: SIGPIPE" },
        { SCMP_SYS(rt_sigreturn),    "signals" },
        { SCMP_SYS(restart_syscall), "a stopped and continued wait" },
        { SCMP_SYS(exit_group),      "the end" },
};

/* Tried by libraries, which do without. */
static const struct {
        int nr;
        int errnum;
        const char *why;
} refused[] = {
        { SCMP_SYS(connect),    EINPROGRESS, "curl 7.88 connects also what is connected; it then finds that it is" },
        { SCMP_SYS(socket),     EACCES,      "curl: is there IPv6?" },
        { SCMP_SYS(openat),     EACCES,      "seeds, the locale" },
        { SCMP_SYS(newfstatat), EACCES,      "the locale" },
        { SCMP_SYS(ioctl),      EACCES,      "curl" },
        { SCMP_SYS(uname),      EACCES,      "libc" },
        { SCMP_SYS(sysinfo),    EACCES,      "libc's qsort()" },
};
/* clang-format on */

/* No file, no interface, nobody else's sockets by name. */
static int leave_host(void) {
        if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555") <
                    0 ||
            chdir("/run") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
            umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return -errno;
        return mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     NULL) < 0
                       ? -errno
                       : 0;
}

static int drop_privileges(uid_t uid) {
        const struct rlimit memory = { 128u << 20, 128u << 20 }, none = { 0, 0 };
        cap_t no_caps;
        int r = 0;

        if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0 ||
            setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0)
                return -errno;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
                        return -errno;
        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        no_caps = cap_init();
        if (!no_caps || cap_set_proc(no_caps) < 0)
                r = -EPERM;
        cap_free(no_caps);
        return r;
}

static int install_filter(void) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = filter ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
                if (calls[i].nr >= 0)
                        r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, calls[i].nr, 0);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(refused); i++)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ERRNO((uint32_t)refused[i].errnum),
                                           refused[i].nr, 0);
        if (r == 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

int ask_sandbox(uid_t uid, struct error *err) {
        int r = leave_host();

        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "sandbox: empty root: %s", strerror(-r));
        r = drop_privileges(uid);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "sandbox: uid %u: %s", uid, strerror(-r));
        r = install_filter();
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "sandbox: seccomp filter: %s",
                                 strerror(-r))
                     : 0;
}
