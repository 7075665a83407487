/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What libbpf's headers have gained since 1.1, which is what Debian 12 has, so that gadgets written
 * for newer ones compile. The SDK's bpf/bpf_tracing.h includes this behind libbpf's own; a Makefile
 * that does not search the SDK first includes it by hand.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* A kfunc or kernel variable declared __weak __ksym: is it there? */
#ifndef bpf_ksym_exists
#define bpf_ksym_exists(_sym) ((_sym) != NULL)
#endif

#ifndef NULL
#define NULL ((void *)0)
#endif

#ifndef __kptr_untrusted
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#endif

/* Uprobes get the same registers as kprobes. */
#ifndef BPF_UPROBE
#define BPF_UPROBE BPF_KPROBE
#define BPF_URETPROBE BPF_KRETPROBE
#endif

/* The sixth argument and beyond: of functions, and of syscalls. */
#ifndef PT_REGS_PARM6
#if defined(__TARGET_ARCH_x86)
#define PT_REGS_PARM6(_regs) ((_regs)->r9)
#define PT_REGS_PARM6_CORE(_regs) BPF_CORE_READ((_regs), r9)
#elif defined(__TARGET_ARCH_arm64)
#define PT_REGS_PARM6(_regs) (((const struct user_pt_regs *)(_regs))->regs[5])
#define PT_REGS_PARM7(_regs) (((const struct user_pt_regs *)(_regs))->regs[6])
#define PT_REGS_PARM8(_regs) (((const struct user_pt_regs *)(_regs))->regs[7])
#define PT_REGS_PARM6_CORE(_regs) BPF_CORE_READ((const struct user_pt_regs *)(_regs), regs[5])
#define PT_REGS_PARM7_CORE(_regs) BPF_CORE_READ((const struct user_pt_regs *)(_regs), regs[6])
#define PT_REGS_PARM8_CORE(_regs) BPF_CORE_READ((const struct user_pt_regs *)(_regs), regs[7])
#endif
#endif

#ifndef PT_REGS_PARM6_SYSCALL
#define PT_REGS_PARM6_SYSCALL(_regs) PT_REGS_PARM6(_regs)
#define PT_REGS_PARM6_CORE_SYSCALL(_regs) PT_REGS_PARM6_CORE(_regs)
#endif
