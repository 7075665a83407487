/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's names for numbers: error numbers, signals, system calls. Each lookup is an array access;
 * NULL = no such number. */
#pragma once

#include "base/util.h"

enum arch { ARCH_AMD64, ARCH_ARM64, _ARCH_MAX };

#if defined(__aarch64__)
#define ARCH_NATIVE ARCH_ARM64
#else
#define ARCH_NATIVE ARCH_AMD64
#endif

const char *errno_name(uint64_t number);  /* 2: "ENOENT" */
const char *signal_name(uint64_t number); /* 9: "SIGKILL"; real-time signals have none */
const char *syscall_name(enum arch arch, uint64_t number); /* 257 on amd64: "SYS_OPENAT" */
