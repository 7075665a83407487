/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sandbox.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define LOADING 1u
#define RUNNING 2u
#define BOTH (LOADING | RUNNING)

/* clang-format off */
static const struct {
        int nr;
        uint32_t stages;
        const char *why;
} calls[] = {
        { SCMP_SYS(sendmsg),         BOTH,    "requests, the log" },
        { SCMP_SYS(recvmsg),         BOTH,    "replies" },
        { SCMP_SYS(write),           BOTH,    "the bell, the anchor" },
        { SCMP_SYS(read),            BOTH,    "iterators" },
        { SCMP_SYS(pread64),         BOTH,    "the kernel's BTF, programs and libraries on stacks and for probes" },
        { SCMP_SYS(close),           BOTH,    "placeholders" },
        { SCMP_SYS(ppoll),           BOTH,    "waiting and napping" },
        { SCMP_SYS(epoll_wait),      BOTH,    "waiting for several rings" },
        { SCMP_SYS(epoll_pwait),     BOTH,    "the same, on arm64" },
        { SCMP_SYS(clock_nanosleep), BOTH,    "napping" },
        { SCMP_SYS(clock_gettime),   BOTH,    "where there is no vDSO" },
        { SCMP_SYS(munmap),          BOTH,    "memory" },
        { SCMP_SYS(mremap),          BOTH,    "memory" },
        { SCMP_SYS(madvise),         BOTH,    "memory" },
        { SCMP_SYS(brk),             BOTH,    "memory" },
        { SCMP_SYS(sysinfo),         BOTH,    "libc's qsort() asks how much memory there is" },
        { SCMP_SYS(restart_syscall), BOTH,    "a stopped and continued wait" },
        { SCMP_SYS(exit_group),      BOTH,    "the end" },

        { SCMP_SYS(lseek),           LOADING, "libc's files" },
        { SCMP_SYS(fstat),           LOADING, "sizes of what was handed over" },
        { SCMP_SYS(newfstatat),      LOADING, "the same, by this libc" },
        { SCMP_SYS(dup3),            LOADING, "placeholders" },
        { SCMP_SYS(eventfd2),        LOADING, "the anchor of placeholders" },
        { SCMP_SYS(pipe2),           LOADING, "a small file as a pipe" },
        { SCMP_SYS(epoll_create1),   LOADING, "waiting" },
        { SCMP_SYS(epoll_ctl),       LOADING, "waiting" },
        { SCMP_SYS(prlimit64),       LOADING, "libbpf asks for more locked memory" },
        { SCMP_SYS(geteuid),         LOADING, "libbpf asks who it is before it explains a refusal" },
        { SCMP_SYS(uname),           LOADING, "libbpf asks for the kernel's version" },
        { SCMP_SYS(seccomp),         LOADING, "the next filter" },
        { SCMP_SYS(getrandom),       LOADING, "libc's allocator" },
        { SCMP_SYS(futex),           LOADING, "libc's locks" },
        { SCMP_SYS(getpid),          LOADING, "libbpf" },
        { SCMP_SYS(rt_sigprocmask),  LOADING, "abort()" },
};

/* Calls of which only some forms are needed, by their first or second argument. */
static const struct {
        int nr;
        unsigned int arg;
        uint32_t value;
        uint32_t stages;
        const char *why;
} forms[] = {
        { SCMP_SYS(fcntl), 1, F_DUPFD,             LOADING, "placeholders" },
        { SCMP_SYS(fcntl), 1, F_DUPFD_CLOEXEC,     LOADING, "placeholders" },
        { SCMP_SYS(fcntl), 1, F_GETFD,             LOADING, "libelf" },
        { SCMP_SYS(fcntl), 1, F_SETFD,             LOADING, "libbpf" },
        { SCMP_SYS(fcntl), 1, F_GETFL,             LOADING, "libc's files" },
        { SCMP_SYS(fcntl), 1, F_GET_SEALS,         LOADING, "what was handed over" },
        /* Not PR_SET_PDEATHSIG: a worker dies with its broker. */
        { SCMP_SYS(prctl), 0, PR_SET_NO_NEW_PRIVS, LOADING, "the next filter" },
        { SCMP_SYS(prctl), 0, PR_SET_SECCOMP,      LOADING, "the next filter, by an older libseccomp" },
        { SCMP_SYS(prctl), 0, PR_SET_TIMERSLACK,   LOADING, "short naps" },
};

/* bpf(): reading, and taking away what was read; nothing that makes an object or changes a value. */
static const enum bpf_cmd map_reads[] = {
        BPF_MAP_LOOKUP_ELEM,  BPF_MAP_GET_NEXT_KEY,           BPF_MAP_LOOKUP_AND_DELETE_ELEM, BPF_MAP_DELETE_ELEM,
        BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_MAP_DELETE_BATCH,
};
/* clang-format on */

static int allow_memory(scmp_filter_ctx filter, enum sandbox_stage stage) {
        int r;

        /* No page is ever both written and executed: there is no PROT_EXEC at all. */
        r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        if (r == 0 && stage == SANDBOX_LOADING)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        return r;
}

static int fill(scmp_filter_ctx filter, enum sandbox_stage stage, bool may_read_maps) {
        uint32_t bit = stage == SANDBOX_LOADING ? LOADING : RUNNING;
        int r;

        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r == 0)
                r = allow_memory(filter, stage);
        for (size_t i = 0; i < ARRAY_SIZE(calls) && r == 0; i++) {
                /* Names that this architecture lacks have negative pseudo numbers. */
                if ((calls[i].stages & bit) && calls[i].nr >= 0)
                        r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, calls[i].nr, 0);
        }
        for (size_t i = 0; i < ARRAY_SIZE(forms) && r == 0; i++)
                if (forms[i].stages & bit)
                        r = seccomp_rule_add_exact(
                                filter, SCMP_ACT_ALLOW, forms[i].nr, 1,
                                SCMP_CMP32(forms[i].arg, SCMP_CMP_EQ, forms[i].value));
        for (size_t i = 0; i < ARRAY_SIZE(map_reads) && r == 0 && may_read_maps; i++)
                r = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
                                           SCMP_A0_32(SCMP_CMP_EQ, map_reads[i]));
        return r == 0 ? seccomp_load(filter) : r;
}

int sandbox_enter(enum sandbox_stage stage, bool may_read_maps, struct error *err) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = filter ? fill(filter, stage, may_read_maps) : -ENOMEM;

        seccomp_release(filter);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "cannot install the worker's seccomp filter");
        return 0;
}
