/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

/* What the definition beside says of each program. */
const volatile char call[16] = "getsid";
GADGET_PARAM(call);
const volatile bool exits = false;
GADGET_PARAM(exits);

static __always_inline int seen(void *ctx, __u32 hook) {
        put_current(ctx, hook, 1);
        return 0;
}

/* attach_to: from a parameter */
SEC("tracepoint/syscalls/dummy")
int on_chosen(void *ctx) {
        return seen(ctx, 1);
}

/* attach_to: the second of the list is the first that there is */
SEC("tracepoint/syscalls/dummy")
int on_list(void *ctx) {
        return seen(ctx, 2);
}

/* when: a parameter */
SEC("tracepoint/syscalls/sys_exit_getsid")
int on_exit(void *ctx) {
        return seen(ctx, 3);
}

/* attach_to: gadget_program_disabled */
SEC("tracepoint/syscalls/sys_exit_getsid")
int on_disabled(void *ctx) {
        return seen(ctx, 4);
}

/* optional: there is no such hook */
SEC("tracepoint/syscalls/no_such_hook")
int on_nothing(void *ctx) {
        return seen(ctx, 5);
}

/* the same by BTF, whose hooks are chosen before the program is loaded */
SEC("tp_btf/no_such_hook")
int BPF_PROG(on_nothing_by_btf) {
        return seen(ctx, 6);
}

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 100000);
        __type(key, __u32);
        __type(value, __u64);
} values SEC(".maps");

/* optional: the verifier says no, for the value is used without asking whether it is there */
SEC("tracepoint/syscalls/sys_enter_getsid")
int on_refused(void *ctx) {
        __u32 key = 1;
        __u64 *value = bpf_map_lookup_elem(&values, &key);

        *value += 1;
        return seen(ctx, 7);
}

/* optional, and refused as well */
SEC("tracepoint/syscalls/sys_enter_getsid")
int on_refused_too(void *ctx) {
        __u32 key = 2;
        __u64 *value = bpf_map_lookup_elem(&values, &key);

        *value += 1;
        return seen(ctx, 8);
}
