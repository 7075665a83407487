/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every type of eBPF program by the section that its author writes. The worker reads from it how a
 * section is loaded and attached, the broker which types it gives to a gadget, and
 * docs/PROGRAM-TYPES.md is printed from it.
 *
 *   section   lower case is literal; what begins with a capital is the author's: N is a number,
 *             anything else a name that is not empty
 *   type, attach_type   as the kernel calls them; 0 where the kernel has none
 *   trust     OBSERVES: can only look. DECIDES: its return value or what it writes changes what the
 *             host does, which no list of helpers shows: only with --allow-unsafe. NEVER: not given
 *   how       what attaches it
 *   since     the first kernel that can do it
 *   needs     what else the kernel needs, or ""
 *   test      the gadget of tests/gadgets/types that shows it, or ""
 *   tested    the kernels on which that was run (6.18 directly, the others in tests/gadgets/in-vm)
 *   note      why not, or what to know
 */
#pragma once

#include <linux/bpf.h>
#include <linux/version.h>

/* Newer than some kernel headers that we are built with. */
#define ATTACH_TYPE_NETFILTER 45
#define ATTACH_TYPE_TCX_INGRESS 46
#define ATTACH_TYPE_TCX_EGRESS 47
#define ATTACH_TYPE_KPROBE_SESSION 56
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define BPF_PROG_TYPE_NETFILTER 32
#endif

enum program_trust { PROGRAM_OBSERVES, PROGRAM_DECIDES, PROGRAM_NEVER };

/* Up to PROGRAM_BY_LIBBPF the worker's libbpf does it, with calls that the broker checks one by
 * one; the others are one request each (BROKER_ATTACH). */
enum program_how {
        PROGRAM_BY_NOTHING,
        PROGRAM_BY_PROBE,   /* kprobe, kretprobe */
        PROGRAM_BY_SYSCALL, /* the kernel's function of a system call */
        PROGRAM_BY_TRACEPOINT,
        PROGRAM_BY_RAW_TRACEPOINT,
        PROGRAM_BY_BTF, /* what it is attached to is said at load */
        PROGRAM_BY_ITER,
        PROGRAM_BY_UPROBE,
        PROGRAM_BY_USDT,
        PROGRAM_BY_SAMPLING,
        PROGRAM_BY_LIBBPF = PROGRAM_BY_SAMPLING,
        PROGRAM_BY_SOCKET,
        PROGRAM_BY_INTERFACE,
        PROGRAM_BY_CGROUP,
        PROGRAM_BY_NETNS,
        PROGRAM_BY_SOCKET_MAP,
        PROGRAM_BY_PATTERN,
        PROGRAM_BY_NETFILTER,
        _PROGRAM_HOW_MAX,
};

/* clang-format off */
#define GADGET_PROGRAM_TYPES(X)                                                                                                             \
        X("socket",                  SOCKET_FILTER,  0, OBSERVES, SOCKET, "3.19", "", "socket", "6.1, 6.12, 6.18", "sees the packets in the network namespace of each chosen container, and with --host in the host's; with --iface, those of that interface of the host. Packets of lo come once, as they arrive; skb->cb[0] is the namespace's id; its result says how much of a packet a socket that nobody reads would get: 0") \
        X("socketN",                 SOCKET_FILTER,  0, OBSERVES, SOCKET, "3.19", "", "socket", "6.1, 6.12, 6.18", "as socket") \
        X("sk_reuseport/migrate",    SK_REUSEPORT,   BPF_SK_REUSEPORT_SELECT_OR_MIGRATE, NEVER, NOTHING, "5.14", "", "", "", "chooses which socket of a program gets a connection; it belongs to the program that owns the sockets") \
        X("sk_reuseport",            SK_REUSEPORT,   BPF_SK_REUSEPORT_SELECT, NEVER, NOTHING, "4.19", "", "", "", "chooses which socket of a program gets a connection; it belongs to the program that owns the sockets") \
        X("kprobe/FUNCTION",         KPROBE,         0, OBSERVES, PROBE, "4.1", "CONFIG_KPROBES", "kprobe", "6.1, 6.12", "FUNCTION+OFFSET too") \
        X("uprobe/PATH:SYMBOL",      KPROBE,         0, OBSERVES, UPROBE, "4.3", "CONFIG_UPROBES", "uprobe", "6.1, 6.12, 6.18", "PATH is absolute or the name of a library (libc); SYMBOL+OFFSET too") \
        X("uprobe.s/PATH:SYMBOL",    KPROBE,         0, OBSERVES, UPROBE, "6.0", "CONFIG_UPROBES", "uprobe_s", "6.1, 6.12, 6.18", "as uprobe; may sleep") \
        X("kretprobe/FUNCTION",      KPROBE,         0, OBSERVES, PROBE, "4.1", "CONFIG_KPROBES", "kretprobe", "6.1, 6.12", "") \
        X("uretprobe/PATH:SYMBOL",   KPROBE,         0, OBSERVES, UPROBE, "4.3", "CONFIG_UPROBES", "uretprobe", "6.1, 6.12, 6.18", "as uprobe") \
        X("uretprobe.s/PATH:SYMBOL", KPROBE,         0, OBSERVES, UPROBE, "6.0", "CONFIG_UPROBES", "uretprobe_s", "6.1, 6.12, 6.18", "as uprobe; may sleep") \
        X("kprobe.multi/PATTERN",    KPROBE,         BPF_TRACE_KPROBE_MULTI, OBSERVES, PATTERN, "5.18", "CONFIG_FPROBE", "kprobe_multi", "6.12", "all functions whose names match, at once; * is any text, ? any letter; at most 1000") \
        X("kretprobe.multi/PATTERN", KPROBE,         BPF_TRACE_KPROBE_MULTI, OBSERVES, PATTERN, "5.18", "CONFIG_FPROBE", "kprobe_multi", "6.12", "as kprobe.multi") \
        X("kprobe.session/PATTERN",  KPROBE,         ATTACH_TYPE_KPROBE_SESSION, OBSERVES, PATTERN, "6.10", "CONFIG_FPROBE", "kprobe_session", "6.12", "as kprobe.multi, when they are called and when they return; a call for which the program returns 1 has no return") \
        X("uprobe.multi/PATH:PATTERN", KPROBE,       0, NEVER, NOTHING, "6.6", "", "", "", "libbpf 1.1 does not know it; use uprobe, one program a function") \
        X("uretprobe.multi/PATH:PATTERN", KPROBE,    0, NEVER, NOTHING, "6.6", "", "", "", "as uprobe.multi; use uretprobe") \
        X("ksyscall/NAME",           KPROBE,         0, OBSERVES, SYSCALL, "4.1", "CONFIG_KPROBES", "ksyscall", "6.1, 6.12", "a kprobe on the system call's function; tracepoint/syscalls/sys_enter_NAME works without kprobes") \
        X("kretsyscall/NAME",        KPROBE,         0, OBSERVES, SYSCALL, "4.1", "CONFIG_KPROBES", "kretsyscall", "6.1, 6.12", "as ksyscall") \
        X("usdt/PATH:PROVIDER:NAME", KPROBE,         0, OBSERVES, USDT, "5.15", "CONFIG_UPROBES", "usdt", "6.1, 6.12, 6.18", "PATH as for uprobe") \
        X("tc",                      SCHED_CLS,      ATTACH_TYPE_TCX_INGRESS, DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc_plain", "6.1, 6.12, 6.18", "incoming packets of --iface, or, without it, of the host's ends of the chosen containers' veth interfaces; by a link, which goes with the gadget. Before 6.6 by a clsact filter, whose program goes with the broker, however that ends: what a broker that was killed leaves is a filter that does nothing, until the next gadget comes to that interface") \
        X("tc/ingress",              SCHED_CLS,      ATTACH_TYPE_TCX_INGRESS, DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc_plain", "6.1, 6.12, 6.18", "as tc") \
        X("tc/egress",               SCHED_CLS,      ATTACH_TYPE_TCX_EGRESS,  DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc_plain", "6.1, 6.12, 6.18", "as tc, for outgoing packets") \
        X("tcx/ingress",             SCHED_CLS,      ATTACH_TYPE_TCX_INGRESS, DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc_plain", "6.1, 6.12, 6.18", "as tc") \
        X("tcx/egress",              SCHED_CLS,      ATTACH_TYPE_TCX_EGRESS,  DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc_plain", "6.1, 6.12, 6.18", "as tc/egress") \
        X("classifier",              SCHED_CLS,      ATTACH_TYPE_TCX_INGRESS, DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc_plain", "6.1, 6.12, 6.18", "as tc") \
        X("classifier/ingress/NAME", SCHED_CLS,      ATTACH_TYPE_TCX_INGRESS, DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc", "6.1, 6.12, 6.18", "as tc") \
        X("classifier/egress/NAME",  SCHED_CLS,      ATTACH_TYPE_TCX_EGRESS,  DECIDES, INTERFACE, "4.5, and 6.6 without --iface", "", "tc", "6.1, 6.12, 6.18", "as tc/egress") \
        X("action",                  SCHED_ACT,      0, NEVER,    NOTHING, "4.1", "", "", "", "it acts on what a tc filter has found, and gadgets make no filters; use tc") \
        X("tracepoint/CATEGORY/NAME", TRACEPOINT,    0, OBSERVES, TRACEPOINT, "4.7", "", "tracepoint", "6.1, 6.12, 6.18", "") \
        X("tp/CATEGORY/NAME",        TRACEPOINT,     0, OBSERVES, TRACEPOINT, "4.7", "", "tracepoint", "6.1, 6.12, 6.18", "") \
        X("raw_tracepoint/NAME",     RAW_TRACEPOINT, 0, OBSERVES, RAW_TRACEPOINT, "4.17", "", "raw_tp", "6.1, 6.12, 6.18", "") \
        X("raw_tp/NAME",             RAW_TRACEPOINT, 0, OBSERVES, RAW_TRACEPOINT, "4.17", "", "raw_tp", "6.1, 6.12, 6.18", "") \
        X("raw_tracepoint.w/NAME",   RAW_TRACEPOINT_WRITABLE, 0, DECIDES, RAW_TRACEPOINT, "5.2", "a writable tracepoint: nbd_send_request, bpf_test_finish", "raw_tp_w", "6.1, 6.12, 6.18: loads and attaches", "it writes into what the kernel goes on with") \
        X("raw_tp.w/NAME",           RAW_TRACEPOINT_WRITABLE, 0, DECIDES, RAW_TRACEPOINT, "5.2", "a writable tracepoint", "raw_tp_w", "6.1, 6.12, 6.18: loads and attaches", "as raw_tracepoint.w") \
        X("tp_btf/NAME",             TRACING,        BPF_TRACE_RAW_TP,  OBSERVES, BTF, "5.5", "BTF", "tp_btf", "6.1, 6.12, 6.18", "") \
        X("fentry/FUNCTION",         TRACING,        BPF_TRACE_FENTRY,  OBSERVES, BTF, "5.5", "BTF, no lockdown for confidentiality", "fentry", "6.1, 6.12", "") \
        X("fmod_ret/FUNCTION",       TRACING,        BPF_MODIFY_RETURN, DECIDES,  BTF, "5.7", "BTF", "fmod_ret", "6.1, 6.12", "a result that is not 0 takes the function's place") \
        X("fexit/FUNCTION",          TRACING,        BPF_TRACE_FEXIT,   OBSERVES, BTF, "5.5", "BTF", "fexit", "6.1, 6.12", "") \
        X("fentry.s/FUNCTION",       TRACING,        BPF_TRACE_FENTRY,  OBSERVES, BTF, "5.10", "BTF, CONFIG_FUNCTION_ERROR_INJECTION", "fentry_s", "", "for functions that may sleep") \
        X("fmod_ret.s/FUNCTION",     TRACING,        BPF_MODIFY_RETURN, DECIDES,  BTF, "5.10", "BTF", "", "", "as fmod_ret") \
        X("fexit.s/FUNCTION",        TRACING,        BPF_TRACE_FEXIT,   OBSERVES, BTF, "5.10", "BTF, CONFIG_FUNCTION_ERROR_INJECTION", "fentry_s", "", "as fentry.s") \
        X("freplace/FUNCTION",       EXT,            0, NEVER,    NOTHING, "5.6", "", "", "", "it replaces a function of another program, and gadgets do not reach into each other") \
        X("lsm/HOOK",                LSM,            BPF_LSM_MAC, DECIDES, BTF, "5.7", "bpf in the list of LSMs", "lsm", "6.1, 6.12", "a result that is not 0 forbids what was asked for") \
        X("lsm.s/HOOK",              LSM,            BPF_LSM_MAC, DECIDES, BTF, "5.10", "bpf in the list of LSMs", "lsm_s", "6.1, 6.12", "as lsm") \
        X("lsm_cgroup/HOOK",         LSM,            BPF_LSM_CGROUP, DECIDES, CGROUP, "6.0", "bpf in the list of LSMs", "lsm_cgroup", "6.1, 6.12", "as lsm, for the root cgroup") \
        X("iter/TARGET",             TRACING,        BPF_TRACE_ITER, OBSERVES, ITER, "5.8", "BTF", "", "6.1, 6.12, 6.18, by `tests/gadgets/test-iterators` (task_file, ksym, bpf_map_elem)", "runs when its data source is read; the tests of snapshot_process and snapshot_socket show task, tcp and udp on 6.18") \
        X("iter.s/TARGET",           TRACING,        BPF_TRACE_ITER, OBSERVES, ITER, "6.0", "BTF", "", "6.1, 6.12, 6.18, by `tests/gadgets/test-iterators` (task)", "as iter; may sleep") \
        X("syscall",                 SYSCALL,        0, NEVER,    NOTHING, "5.14", "", "", "", "it is run by a call of bpf(), and nobody calls") \
        X("xdp_devmap/NAME",         XDP,            BPF_XDP_DEVMAP, NEVER, NOTHING, "5.8", "", "", "", "it runs for packets that another program redirects by a map; gadgets redirect nothing") \
        X("xdp.frags/devmap",        XDP,            BPF_XDP_DEVMAP, NEVER, NOTHING, "5.18", "", "", "", "it runs for packets that another program redirects by a map; gadgets redirect nothing") \
        X("xdp/devmap",              XDP,            BPF_XDP_DEVMAP, NEVER, NOTHING, "5.8", "", "", "", "it runs for packets that another program redirects by a map; gadgets redirect nothing") \
        X("xdp_cpumap/NAME",         XDP,            BPF_XDP_CPUMAP, NEVER, NOTHING, "5.9", "", "", "", "it runs for packets that another program redirects by a map; gadgets redirect nothing") \
        X("xdp.frags/cpumap",        XDP,            BPF_XDP_CPUMAP, NEVER, NOTHING, "5.18", "", "", "", "it runs for packets that another program redirects by a map; gadgets redirect nothing") \
        X("xdp/cpumap",              XDP,            BPF_XDP_CPUMAP, NEVER, NOTHING, "5.9", "", "", "", "it runs for packets that another program redirects by a map; gadgets redirect nothing") \
        X("xdp.frags",               XDP,            BPF_XDP, DECIDES, INTERFACE, "5.18", "", "xdp_frags", "6.1, 6.12, 6.18", "as xdp") \
        X("xdp",                     XDP,            BPF_XDP, DECIDES, INTERFACE, "5.9", "", "xdp", "6.1, 6.12, 6.18", "packets as --iface gets them; its result may drop them") \
        X("perf_event",              PERF_EVENT,     0, OBSERVES, SAMPLING, "4.9", "", "perf_event", "6.1, 6.12, 6.18", "as perf_event/NAME") \
        X("perf_event/NAME",         PERF_EVENT,     0, OBSERVES, SAMPLING, "4.9", "", "perf_event", "6.1, 6.12, 6.18", "on each CPU; programs.NAME of gadget.yaml: perf.type, perf.config, sampler.frequency (software, count_sw_cpu_clock, 49 Hz)") \
        X("lwt_in",                  LWT_IN,         0, NEVER,    NOTHING, "4.10", "", "", "", "it is part of a route; gadgets change no routes") \
        X("lwt_out",                 LWT_OUT,        0, NEVER,    NOTHING, "4.10", "", "", "", "it is part of a route; gadgets change no routes") \
        X("lwt_xmit",                LWT_XMIT,       0, NEVER,    NOTHING, "4.10", "", "", "", "it is part of a route; gadgets change no routes") \
        X("lwt_seg6local",           LWT_SEG6LOCAL,  0, NEVER,    NOTHING, "4.18", "", "", "", "it is part of a route; gadgets change no routes") \
        X("cgroup_skb/ingress",      CGROUP_SKB,     BPF_CGROUP_INET_INGRESS, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_skb", "6.1, 6.12, 6.18", "0 drops the packet. All cgroup hooks are those of the root cgroup, for every process") \
        X("cgroup_skb/egress",       CGROUP_SKB,     BPF_CGROUP_INET_EGRESS,  DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_skb", "6.1, 6.12, 6.18", "0 drops the packet") \
        X("cgroup/skb",              CGROUP_SKB,     BPF_CGROUP_INET_INGRESS, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_skb_plain", "6.1, 6.12, 6.18", "incoming packets") \
        X("cgroup/sock_create",      CGROUP_SOCK,    BPF_CGROUP_INET_SOCK_CREATE,  DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_sock", "6.1, 6.12, 6.18", "0 refuses the call") \
        X("cgroup/sock_release",     CGROUP_SOCK,    BPF_CGROUP_INET_SOCK_RELEASE, DECIDES, CGROUP, "5.9", "cgroup2", "cgroup_sock", "6.1, 6.12, 6.18", "it may write to the socket") \
        X("cgroup/sock",             CGROUP_SOCK,    BPF_CGROUP_INET_SOCK_CREATE,  DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_sock_plain", "6.1, 6.12, 6.18", "as cgroup/sock_create") \
        X("cgroup/post_bind4",       CGROUP_SOCK,    BPF_CGROUP_INET4_POST_BIND,   DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_sock", "6.1, 6.12, 6.18", "0 refuses the call") \
        X("cgroup/post_bind6",       CGROUP_SOCK,    BPF_CGROUP_INET6_POST_BIND,   DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_sock", "6.1, 6.12, 6.18", "0 refuses the call") \
        X("cgroup/dev",              CGROUP_DEVICE,  BPF_CGROUP_DEVICE, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_dev", "6.1, 6.12, 6.18", "0 refuses the open") \
        X("sockops",                 SOCK_OPS,       BPF_CGROUP_SOCK_OPS, DECIDES, CGROUP, "5.7", "cgroup2", "sockops", "6.1, 6.12, 6.18", "it sets options of TCP connections") \
        X("sk_skb/stream_parser",    SK_SKB,         BPF_SK_SKB_STREAM_PARSER,  DECIDES, SOCKET_MAP, "6.10", "", "sk_map", "6.12, 6.18", "by GADGET_SK_TARGET_MAP; it cuts streams into messages") \
        X("sk_skb/stream_verdict",   SK_SKB,         BPF_SK_SKB_STREAM_VERDICT, DECIDES, SOCKET_MAP, "6.10", "", "sk_map", "6.12, 6.18", "by GADGET_SK_TARGET_MAP; it may drop and redirect; by a link, which goes with the gadget, where older kernels only have an attachment that stays") \
        X("sk_skb",                  SK_SKB,         BPF_SK_SKB_STREAM_VERDICT, DECIDES, SOCKET_MAP, "6.10", "", "", "", "as sk_skb/stream_verdict") \
        X("sk_msg",                  SK_MSG,         BPF_SK_MSG_VERDICT, DECIDES, SOCKET_MAP, "6.10", "", "sk_map", "6.12, 6.18", "by GADGET_SK_TARGET_MAP; what is sent may be dropped and redirected") \
        X("lirc_mode2",              LIRC_MODE2,     BPF_LIRC_MODE2, NEVER, NOTHING, "4.18", "", "", "", "it decodes for an infrared receiver, which gadgets are not given") \
        X("flow_dissector",          FLOW_DISSECTOR, BPF_FLOW_DISSECTOR, DECIDES, NETNS, "5.8", "", "flow_dissector", "6.1, 6.12, 6.18: loads and attaches", "it takes the place of the kernel's own dissector in the host's network namespace; there can be only one") \
        X("cgroup/bind4",            CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND,    DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr4", "6.1, 6.12, 6.18", "0 refuses the call, and it may write another address") \
        X("cgroup/bind6",            CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND,    DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr6", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/connect4",         CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr4", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/connect6",         CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr6", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/sendmsg4",         CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG,  DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr4", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/sendmsg6",         CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG,  DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr6", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/recvmsg4",         CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG,  DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr4", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/recvmsg6",         CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG,  DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_addr6", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/getpeername4",     CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, DECIDES, CGROUP, "5.8", "cgroup2", "cgroup_addr4", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/getpeername6",     CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME, DECIDES, CGROUP, "5.8", "cgroup2", "cgroup_addr6", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/getsockname4",     CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETSOCKNAME, DECIDES, CGROUP, "5.8", "cgroup2", "cgroup_addr4", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/getsockname6",     CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETSOCKNAME, DECIDES, CGROUP, "5.8", "cgroup2", "cgroup_addr6", "6.1, 6.12, 6.18", "as cgroup/bind4") \
        X("cgroup/sysctl",           CGROUP_SYSCTL,  BPF_CGROUP_SYSCTL, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_sysctl", "6.1, 6.12, 6.18", "0 refuses the read or write, and it may change what is written") \
        X("cgroup/getsockopt",       CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_sockopt", "6.1, 6.12, 6.18", "0 refuses the call, and it may change the option") \
        X("cgroup/setsockopt",       CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, DECIDES, CGROUP, "5.7", "cgroup2", "cgroup_sockopt", "6.1, 6.12, 6.18", "as cgroup/getsockopt") \
        X("struct_ops/NAME",         STRUCT_OPS,     0, NEVER,    NOTHING, "5.6", "", "", "", "it is a part of the kernel (congestion control, scheduling), not a view of it") \
        X("struct_ops.s/NAME",       STRUCT_OPS,     0, NEVER,    NOTHING, "6.1", "", "", "", "it is a part of the kernel (congestion control, scheduling), not a view of it") \
        X("sk_lookup",               SK_LOOKUP,      BPF_SK_LOOKUP, DECIDES, NETNS, "5.9", "", "sk_lookup", "6.1, 6.12, 6.18", "it chooses the socket that gets a packet, in the host's network namespace") \
        X("sk_lookup/NAME",          SK_LOOKUP,      BPF_SK_LOOKUP, DECIDES, NETNS, "5.9", "", "sk_lookup", "6.1, 6.12, 6.18", "as sk_lookup") \
        X("netfilter",               NETFILTER,      ATTACH_TYPE_NETFILTER, DECIDES, NETFILTER, "6.4", "CONFIG_NETFILTER_BPF_LINK", "netfilter", "6.12, 6.18", "programs.NAME.attach_to of gadget.yaml says the hook, as in netfilter/ipv4/input") \
        X("netfilter/FAMILY/HOOK",   NETFILTER,      ATTACH_TYPE_NETFILTER, DECIDES, NETFILTER, "6.4", "CONFIG_NETFILTER_BPF_LINK", "netfilter", "6.12, 6.18", "FAMILY is ipv4 or ipv6; HOOK prerouting, input, forward, output or postrouting; in the host's network namespace. 0 drops the packet") \
        X("seccomp",                 UNSPEC,         0, NEVER,    NOTHING, "", "", "", "", "seccomp takes classic BPF, which is set by the process that it binds; there is no such eBPF type")
/* clang-format on */
