/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where processes spend their time: their stacks, counted 99 times a second on each CPU. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#define KERNEL_STACK_MAP_MAX_ENTRIES 8192
#define USER_STACK_MAP_MAX_ENTRIES 8192

#include <gadget/filter.h>
#include <gadget/kernel_stack_map.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>
#include <gadget/user_stack_map.h>

struct sample_key {
        gadget_comm comm[TASK_COMM_LEN];
        gadget_mntns_id mntns_id;
        gadget_pid pid;
        gadget_kernel_stack kstack_raw;
        struct gadget_user_stack ustack_raw;
};

struct sample_count {
        gadget_counter__u64 samples;
};

/* Made beforehand: a program that runs in an interrupt may not ask for memory. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 10240);
        __type(key, struct sample_key);
        __type(value, struct sample_count);
} counts SEC(".maps");
GADGET_LOST_COUNTER(counts);

GADGET_MAPITER(samples, counts);

const volatile bool user_only = false;
const volatile bool kernel_only = false;
const volatile bool idle = false;
GADGET_PARAM(user_only);
GADGET_PARAM(kernel_only);
GADGET_PARAM(idle);

/* Threads and samples of one process with one stack are the same to a profile. */
static __always_inline void forget_the_moment(struct gadget_user_stack *stack) {
        stack->pid_level0 = 0;
        stack->pid_level1 = 0;
        stack->boot_timestamp = 0;
}

SEC("perf_event/clock")
int on_clock(struct bpf_perf_event_data *ctx) {
        static const struct sample_count none = {};
        struct sample_count *count;
        struct sample_key key = {};

        key.pid = bpf_get_current_pid_tgid() >> 32;
        if ((key.pid == 0 && !idle) || gadget_should_discard_data_current())
                return 0;
        key.mntns_id = gadget_get_current_mntns_id();
        bpf_get_current_comm(key.comm, sizeof(key.comm));
        key.kstack_raw = user_only ? -14 /* EFAULT, as of who is not in the kernel */
                                   : gadget_get_kernel_stack(ctx);
        if (!kernel_only) {
                gadget_get_user_stack(ctx, &key.ustack_raw);
                forget_the_moment(&key.ustack_raw);
        }
        count = gadget_map_lookup_or_init(&counts, &key, &none);
        if (count)
                __sync_fetch_and_add(&count->samples, 1);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
