/* SPDX-License-Identifier: Apache-2.0 */
/* bpf(), for the handlers. Attributes are built from zero each time. */
#pragma once

#include <linux/bpf.h>
#include <sys/syscall.h>

#include "base/util.h"

/* 0 or an fd, or -errno. */
static inline int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr) {
        int64_t r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

        return r < 0 ? -errno : (int)r;
}

static inline uint64_t ptr_u64(const void *p) {
        return (uint64_t)(uintptr_t)p;
}
