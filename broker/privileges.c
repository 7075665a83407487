/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/privileges.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const cap_value_t kept[] = {
        CAP_BPF,        /* bpf() */
        CAP_PERFMON,    /* tracing programs, perf_event_open() */
        CAP_NET_ADMIN,  /* network program types */
        CAP_NET_RAW,    /* packet sockets for socket filters */
        CAP_SYS_PTRACE, /* /proc/PID/{maps,map_files,ns} of processes whose stacks get names; only
                           of gadgets that have stacks */
        CAP_SYS_ADMIN,  /* map fds by id (read-only ones), network namespaces of containers */
};

/* Reading is all that a file is opened for from here on. */
#define OPEN_READ_MASK (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)

/* clang-format off */
static const struct {
        int nr;
        const char *why;
} calls[] = {
        { SCMP_SYS(bpf),               "the requests" },
        { SCMP_SYS(perf_event_open),   "the requests" },
        { SCMP_SYS(ioctl),             "PERF_EVENT_IOC_*, SIOCGIFNAME" },
        { SCMP_SYS(capget),            "giving up one more capability" },
        { SCMP_SYS(capset),            "the same" },
        { SCMP_SYS(membarrier),        "waits until no program runs any more" },
        { SCMP_SYS(epoll_wait),        "the loop" },
        { SCMP_SYS(epoll_pwait),       "the loop, on arm64" },
        { SCMP_SYS(epoll_ctl),         "the loop" },
        { SCMP_SYS(setsockopt),        "SO_ATTACH_BPF" },
        { SCMP_SYS(bind),              "a packet socket's interface" },
        { SCMP_SYS(getdents64),        "looking for a library" },
        { SCMP_SYS(recvmsg),           "both channels" },
        { SCMP_SYS(sendmsg),           "both channels, the log" },
        { SCMP_SYS(recvfrom),          "the worker's log" },
        { SCMP_SYS(sendto),            "broker.sock" },
        { SCMP_SYS(accept4),           "broker.sock" },
        { SCMP_SYS(read),              "host files, the worker's setup pipe" },
        { SCMP_SYS(pread64),           "host files" },
        { SCMP_SYS(write),             "cgroup.procs, when gadgetd is gone" },
        { SCMP_SYS(close),             "objects" },
        { SCMP_SYS(fcntl),             "duplicates of fds on their way" },
        { SCMP_SYS(fstat),             "libc" },
        { SCMP_SYS(fstatfs),           "what a container's file lies on" },
        { SCMP_SYS(readlinkat),        "links in a container's root" },
        { SCMP_SYS(kill),              "SIGKILL for who looks into a container and does not come back" },
        { SCMP_SYS(newfstatat),        "libc" },
        { SCMP_SYS(fstatfs),           "a mapped file must not be on a user's file system" },
        { SCMP_SYS(lseek),             "libc, /proc/kallsyms" },
        { SCMP_SYS(sysinfo),           "libc's qsort() asks how much memory there is" },
        { SCMP_SYS(unlinkat),          "broker.sock and the cgroups" },
        { SCMP_SYS(pidfd_send_signal), "SIGKILL for the worker" },
        { SCMP_SYS(poll), "the kernel's log, when a worker has died of its sandbox" },
        { SCMP_SYS(ppoll), "the same, on arm64" },
        { SCMP_SYS(waitid),            "the worker's end" },
        { SCMP_SYS(wait4),             "the worker's end" },
        { SCMP_SYS(mmap),              "memory" },
        { SCMP_SYS(munmap),            "memory" },
        { SCMP_SYS(mremap),            "memory" },
        { SCMP_SYS(madvise),           "memory" },
        { SCMP_SYS(brk),               "memory" },
        { SCMP_SYS(clock_gettime),     "timers, where there is no vDSO" },
        { SCMP_SYS(getpid),            "libc" },
        { SCMP_SYS(getrandom),         "libc" },
        { SCMP_SYS(futex),             "libc" },
        { SCMP_SYS(rt_sigprocmask),    "abort()" },
        { SCMP_SYS(rt_sigaction),      "abort()" },
        { SCMP_SYS(rt_sigreturn),      "signals" },
        { SCMP_SYS(gettid),            "abort()" },
        { SCMP_SYS(tgkill),            "abort()" },
        { SCMP_SYS(restart_syscall),   "a stopped and continued epoll_wait" },
        { SCMP_SYS(exit_group),        "the end" },
};
/* clang-format on */

static int install_filter(void) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = 0;

        if (!filter)
                return -ENOMEM;
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && r == 0; i++) {
                /* Names that this architecture lacks have negative pseudo numbers. */
                if (calls[i].nr >= 0)
                        r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, calls[i].nr, 0);
        }
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                           SCMP_A2(SCMP_CMP_MASKED_EQ, OPEN_READ_MASK, 0));
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                           SCMP_A0(SCMP_CMP_EQ, AF_PACKET));
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                           SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                                           SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE));
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(setns), 1,
                                           SCMP_A1(SCMP_CMP_EQ, CLONE_NEWNET));
        if (r == 0)
                r = seccomp_rule_add_exact(
                        filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                        SCMP_A0(SCMP_CMP_EQ, CLONE_FILES | SIGCHLD)); /* close_all() */
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                           SCMP_A0(SCMP_CMP_EQ, SIGCHLD)); /* look_in_child() */
        if (r == 0)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                                           SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
        if (r == 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

static int keep_capabilities(void) {
        cap_t caps = cap_init();
        int r = 0;

        if (!caps)
                return -ENOMEM;
        for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++) {
                bool is_kept = false;

                for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
                        is_kept |= kept[i] == cap;
                if (!is_kept && cap_get_bound(cap) > 0 && cap_drop_bound(cap) < 0)
                        r = -errno;
        }
        /* A capability that we never had (a gadgetd in a container) is missed when the kernel asks
         * for it, not before. */
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                cap_flag_value_t has = CAP_CLEAR;
                cap_t now = cap_get_proc();

                if (now)
                        cap_get_flag(now, kept[i], CAP_PERMITTED, &has);
                cap_free(now);
                if (has == CAP_SET) {
                        cap_set_flag(caps, CAP_PERMITTED, 1, &kept[i], CAP_SET);
                        cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
                }
        }
        if (r == 0 && cap_set_proc(caps) < 0)
                r = -errno;
        cap_free(caps);
        return r;
}

int privileges_drop(struct error *err) {
        int r;

        r = keep_capabilities();
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "the broker cannot drop capabilities");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set(err, ERROR_INTERNAL, -errno, "the broker cannot set no_new_privs");
        r = install_filter();
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "the broker cannot install its seccomp filter");
        return 0;
}

int privileges_drop_ptrace(void) {
        const cap_value_t cap = CAP_SYS_PTRACE;
        cap_t caps = cap_get_proc();
        int r = 0;

        if (!caps || cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_CLEAR) < 0 ||
            cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_CLEAR) < 0 || cap_set_proc(caps) < 0)
                r = -errno;
        cap_free(caps);
        return r;
}
