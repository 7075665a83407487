/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define ALLOW 1

SEC("lsm_cgroup/socket_bind")
int BPF_PROG(on_bind, struct socket *sock, struct sockaddr *address, int len) {
        put_current(ctx, 1, 1);
        return ALLOW;
}
