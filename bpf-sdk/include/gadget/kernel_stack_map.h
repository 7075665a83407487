/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kernel stacks. A field `gadget_kernel_stack kstack_raw` holds what gadget_get_kernel_stack()
 * returned; the worker looks the addresses up in ig_kstack and turns them into names. The map is
 * created with one entry when no event can have a stack.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_helpers.h>

#define KERNEL_MAX_STACK_DEPTH 127

#ifndef KERNEL_STACK_MAP_MAX_ENTRIES
#define KERNEL_STACK_MAP_MAX_ENTRIES 10000
#endif

struct {
        __uint(type, BPF_MAP_TYPE_STACK_TRACE);
        __uint(key_size, sizeof(__u32));
        __uint(value_size, KERNEL_MAX_STACK_DEPTH * sizeof(__u64));
        __uint(max_entries, KERNEL_STACK_MAP_MAX_ENTRIES);
} ig_kstack SEC(".maps");

/* The stack's id, or a negative errno: -EEXIST when another stack has its place in the map. */
static __always_inline long gadget_get_kernel_stack(void *ctx) {
        return bpf_get_stackid(ctx, &ig_kstack, 0);
}
