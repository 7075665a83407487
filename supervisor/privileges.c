/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/privileges.h"

#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

static const struct kept {
        cap_value_t cap;
        const char *why;
} kept[] = {
        { CAP_BPF, "brokers: bpf()" },
        { CAP_PERFMON, "brokers: tracing programs, perf_event_open()" },
        { CAP_NET_ADMIN, "brokers: tc, xdp and cgroup programs" },
        { CAP_NET_RAW, "brokers: AF_PACKET sockets for socket filters" },
        { CAP_SYS_ADMIN, "brokers: namespaces, mounts, iterators; gadgetd: cgroups" },
        { CAP_SYS_PTRACE,
          "reading /proc/PID/{ns,root,fd} of workers, which run under another uid" },
        { CAP_SYS_CHROOT, "brokers: the worker's empty root; entering mount namespaces" },
        { CAP_SYSLOG, "brokers: addresses in /proc/kallsyms" },
        { CAP_SYS_RESOURCE, "brokers: limits of their worker above the inherited ones" },
        { CAP_SETUID, "brokers: the worker's uid and its uid_map" },
        { CAP_SETGID, "brokers: the worker's gid and its gid_map; no supplementary groups" },
        { CAP_SETPCAP, "brokers: their own bounding set" },
        { CAP_SETFCAP, "brokers: a uid_map that has an id 0 inside (Linux 5.12)" },
        { CAP_KILL, "ending workers, which run under another uid" },
        { CAP_CHOWN, "the socket's group" },
        { CAP_DAC_OVERRIDE, "files and directories of other owners below --root" },
        { CAP_DAC_READ_SEARCH, "as above, for reading" },
        { CAP_FOWNER, "as above, for modes" },
};

static bool is_kept(cap_value_t cap) {
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
                if (kept[i].cap == cap)
                        return true;
        return false;
}

int privileges_trim(struct error *err) {
        cap_t caps = NULL;
        int r = 0;

        if (geteuid() != 0)
                return error_set(err, ERROR_DENIED, -EPERM, "gadgetd must be started by root");
        caps = cap_get_proc();
        if (!caps)
                return error_set(err, ERROR_INTERNAL, -errno, "cannot read own capabilities");
        for (cap_value_t cap = 0; CAP_IS_SUPPORTED(cap); cap++) {
                if (is_kept(cap))
                        continue;
                if (prctl(PR_CAPBSET_READ, cap) == 1 && cap_drop_bound(cap) < 0)
                        r = -errno;
                (void)cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_CLEAR);
                (void)cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_CLEAR);
                (void)cap_set_flag(caps, CAP_INHERITABLE, 1, &cap, CAP_CLEAR);
        }
        if (r == 0 && cap_set_proc(caps) < 0)
                r = -errno;
        cap_free(caps);
        if (r < 0)
                return error_set(err, ERROR_DENIED, r, "cannot drop capabilities: %s",
                                 strerror(-r));
        return 0;
}
