/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define ALLOW 1

SEC("cgroup/sysctl")
int on_sysctl(struct bpf_sysctl *ctx) {
        static const char wanted[] = "kernel/ostype";
        char name[sizeof(wanted)] = {};

        if (bpf_sysctl_get_name(ctx, name, sizeof(name), 0) != sizeof(wanted) - 1)
                return ALLOW;
        for (int i = 0; i < (int)sizeof(wanted); i++)
                if (name[i] != wanted[i])
                        return ALLOW;
        put(ctx, 1, ctx->write, 0);
        return ALLOW;
}
