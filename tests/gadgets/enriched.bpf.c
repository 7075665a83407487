/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that the worker says about a value beside the value itself. Sent at each getppid() of
 * the process that --pid names (of any process without it).
 */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/types.h>

#define LABELS 32

/* As an older kernel's header might have them; the second is the gadget's own, and only called as
 * one of the kernel's. */
enum pid_type___old { PIDTYPE_PID___old = 7, PIDTYPE_NOT_YET = 1 };
enum rw_hint___own { MINE = 2 };
/* Bits of the kernel's: TTU_SPLIT_HUGE_PMD is 4, TTU_IGNORE_MLOCK 8. */
typedef enum ttu_flags ttu_set;

struct event {
        gadget_netns_id netns_id;
        gadget_netif_index loopback_ifindex;
        gadget_netif_index interface_raw;
        gadget_netif_index nowhere; /* a name that no rule makes another one of */
        gadget_uid owner;           /* has a twin since gadget.yaml says so */
        gadget_gid team_raw;
        gadget_dns_name host_raw[LABELS];
        gadget_dns_name plain[LABELS];
        gadget_dns_name garbage[LABELS];
        enum pid_type___old type_raw;
        enum rw_hint___own own_raw;
        ttu_set flags_raw;
        gadget_kernel_stack kstack_raw;
        gadget_kernel_stack lost_kstack_raw; /* another one had its place */
        gadget_kernel_stack no_kstack_raw;   /* no such entry */
};

/* The network namespace that the interfaces are said to be of. */
const volatile __u32 netns = 0;
GADGET_PARAM(netns);

GADGET_TRACER_MAP(events, 64 * 1024);
GADGET_TRACER(enriched, events, event);

#if defined(__TARGET_ARCH_arm64)
#define NR_GETPPID 173
#else
#define NR_GETPPID 110
#endif

/* Raw, since older kernels have no kernel stack for tracepoint/syscalls programs. */
SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args *ctx) {
        struct event *event;

        if (ctx->args[1] != NR_GETPPID || gadget_should_discard_data_current())
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        __builtin_memset(event, 0, sizeof(*event));
        event->netns_id = netns;
        event->loopback_ifindex = 1;
        event->interface_raw = 1;
        event->nowhere = 1;
        __builtin_memcpy(event->host_raw, "\3www\7example\3com", 17);
        __builtin_memcpy(event->plain, "\3a.b\4host", 10);
        __builtin_memcpy(event->garbage, "\3ok!\xc0\xff", 6);
        event->type_raw = 1;
        event->own_raw = MINE;
        event->flags_raw = 4 | 8;
        event->kstack_raw = gadget_get_kernel_stack(ctx);
        event->lost_kstack_raw = -17;
        event->no_kstack_raw = 1000000;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
