/* SPDX-License-Identifier: Apache-2.0 */
/* The order matters: files are copied while the host's root is still visible, the filter comes
 * last. */
#include "fetcher/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "gadget/api.h"

#define ROOT "/run"

/* Copies the resolver's files into the new root; a missing one is left out, as it is on the host.
 */
static int copy_resolver_files(int root_fd) {
        static const char order[] = "hosts: files dns\n";
        static const char *const names[] = { "resolv.conf", "hosts", "services" };
        cleanup_close int from_fd = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        cleanup_close int to_fd = -1;
        int r = make_dirs(root_fd, "etc", 0755, &to_fd);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
                cleanup_buf struct buf content = BUF_INIT(64 << 10);

                if (read_file_at(from_fd, names[i], &content) < 0)
                        continue;
                r = write_file_atomic(to_fd, names[i], content.data, content.len, 0444);
        }
        return r ?: write_file_atomic(to_fd, "nsswitch.conf", order, sizeof(order) - 1, 0444);
}

static int enter_empty_root(void) {
        cleanup_close int root_fd = -1;
        int r;

        /* IPC and UTS: nothing there is of use to a fetcher. The network stays the host's. */
        if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
                return -errno;
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        if (mount("tmpfs", ROOT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=512k,mode=0755") <
            0)
                return -errno;
        root_fd = open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        r = copy_resolver_files(root_fd);
        if (r < 0)
                return r;
        if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
                return -errno;
        if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return -errno;
        if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  NULL) < 0)
                return -errno;
        return 0;
}

static int set_limits(void) {
        static const struct {
                int resource;
                rlim_t value;
        } limits[] = {
                { RLIMIT_AS, 512u << 20 }, /* curl, TLS and their threads' stacks */
                { RLIMIT_CORE, 0 },        /* a dump would hold credentials */
                { RLIMIT_NOFILE, 256 },
                { RLIMIT_FSIZE, LIMIT_BLOB_SIZE_MAX }, /* of the files it is handed */
                { RLIMIT_NPROC, 32 },                  /* the resolver's threads */
        };

        for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
                if (setrlimit(limits[i].resource,
                              &(struct rlimit){ limits[i].value, limits[i].value }) < 0)
                        return -errno;
        return 0;
}

static int drop_privileges(uid_t uid) {
        cap_t none;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
                        return -errno;
        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        none = cap_init();
        if (!none || cap_set_proc(none) < 0) {
                cap_free(none);
                return -EPERM;
        }
        cap_free(none);
        return 0;
}

/* What curl, OpenSSL, the resolver's threads and our loop use. No exec, no file creation, no
 * ptrace, no namespaces. */
static const int allowed_calls[] = {
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(readv),
        SCMP_SYS(writev),
        SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),
        SCMP_SYS(close),
        SCMP_SYS(lseek),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(stat),
        SCMP_SYS(statx),
        SCMP_SYS(openat),
        SCMP_SYS(open),
        SCMP_SYS(access),
        SCMP_SYS(faccessat2),
        SCMP_SYS(readlink),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(select),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_create1),
        SCMP_SYS(eventfd2),
        SCMP_SYS(pipe2),
        SCMP_SYS(socket),
        SCMP_SYS(socketpair),
        SCMP_SYS(connect),
        SCMP_SYS(bind),
        SCMP_SYS(getsockname),
        SCMP_SYS(getpeername),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(sendto),
        SCMP_SYS(recvfrom),
        SCMP_SYS(sendmsg),
        SCMP_SYS(sendmmsg),
        SCMP_SYS(recvmsg),
        SCMP_SYS(recvmmsg),
        SCMP_SYS(shutdown),
        SCMP_SYS(fcntl),
        SCMP_SYS(ioctl),
        SCMP_SYS(mmap),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(mprotect),
        SCMP_SYS(madvise),
        SCMP_SYS(brk),
        SCMP_SYS(futex),
        SCMP_SYS(clone),
        SCMP_SYS(clone3),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getrandom),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        SCMP_SYS(getuid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getgid),
        SCMP_SYS(getegid),
        SCMP_SYS(uname),
        SCMP_SYS(sysinfo),
        SCMP_SYS(sched_yield),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(prctl),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(dup),
        SCMP_SYS(prlimit64),
        SCMP_SYS(tgkill),
};

static int install_filter(void) {
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = ctx ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(allowed_calls); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}

int sandbox_enter(uid_t uid, struct error *err) {
        static const struct {
                const char *what;
                int (*step)(void);
        } steps[] = {
                { "empty root", enter_empty_root },
                { "resource limits", set_limits },
        };
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                r = steps[i].step();
                if (r < 0)
                        return error_set(err, ERROR_INTERNAL, r, "sandbox: %s: %s", steps[i].what,
                                         strerror(-r));
        }
        r = drop_privileges(uid);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "sandbox: uid %u: %s", uid, strerror(-r));
        r = install_filter();
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "sandbox: seccomp filter: %s",
                                 strerror(-r));
        return 0;
}
