/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define ALLOW 1

SEC("cgroup/sock")
int on_create(struct bpf_sock *sk) {
        if (sk->protocol == TEST_PROTOCOL)
                put(sk, 1, sk->protocol, 0);
        return ALLOW;
}
