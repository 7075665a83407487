/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arguments of the syscall that the current task is in, also from a program that runs when it
 * returns: the registers of user space stay where the task saved them when it entered the kernel.
 * On the way out of a successful execve() they are gone.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#if defined(__TARGET_ARCH_x86)
#define GADGET_KERNEL_STACK_SIZE 16384
#elif defined(__TARGET_ARCH_arm64)
#define GADGET_KERNEL_STACK_SIZE 16384 /* with pages of 4 KiB */
#else
#error "gadget/syscall.h: build with -D__TARGET_ARCH_x86 or -D__TARGET_ARCH_arm64"
#endif

#define GADGET_HAS_TASK_PT_REGS bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)

/* The registers of user space, for gadget_syscall_arg(). */
static __always_inline const struct pt_regs *gadget_syscall_regs(void) {
        struct task_struct *task;

        if (GADGET_HAS_TASK_PT_REGS)
                return (const struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

        /* Before 5.15: they are the last thing on the kernel's stack. */
        task = (struct task_struct *)bpf_get_current_task();
        return BPF_CORE_READ(task, stack) + GADGET_KERNEL_STACK_SIZE -
               bpf_core_type_size(struct pt_regs);
}

#define GADGET_REG(_regs, _reg)                                                                    \
        (GADGET_HAS_TASK_PT_REGS ? (_regs)->_reg : BPF_CORE_READ((_regs), _reg))

/* Argument n, from 0 to 5. n must be a constant. */
static __always_inline __u64 gadget_syscall_arg(const struct pt_regs *regs, int n) {
#if defined(__TARGET_ARCH_x86)
        switch (n) {
        case 0:
                return GADGET_REG(regs, di);
        case 1:
                return GADGET_REG(regs, si);
        case 2:
                return GADGET_REG(regs, dx);
        case 3:
                return GADGET_REG(regs, r10);
        case 4:
                return GADGET_REG(regs, r8);
        default:
                return GADGET_REG(regs, r9);
        }
#else
        /* The result goes into the register of the first argument, which is kept elsewhere. */
        switch (n) {
        case 0:
                return GADGET_REG(regs, orig_x0);
        case 1:
                return GADGET_REG(regs, regs[1]);
        case 2:
                return GADGET_REG(regs, regs[2]);
        case 3:
                return GADGET_REG(regs, regs[3]);
        case 4:
                return GADGET_REG(regs, regs[4]);
        default:
                return GADGET_REG(regs, regs[5]);
        }
#endif
}
