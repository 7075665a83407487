/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#define ALLOW 1

SEC("cgroup/sock_create")
int on_create(struct bpf_sock *sk) {
        if (sk->protocol == TEST_PROTOCOL)
                put(sk, 1, sk->protocol, 0);
        return ALLOW;
}

SEC("cgroup/sock_release")
int on_release(struct bpf_sock *sk) {
        if (sk->protocol == TEST_PROTOCOL)
                put(sk, 2, sk->protocol, 0);
        return ALLOW;
}

SEC("cgroup/post_bind4")
int on_bind4(struct bpf_sock *sk) {
        if (sk->src_port == TEST_PORT)
                put(sk, 3, sk->src_port, 0);
        return ALLOW;
}

SEC("cgroup/post_bind6")
int on_bind6(struct bpf_sock *sk) {
        if (sk->src_port == TEST_PORT)
                put(sk, 4, sk->src_port, 0);
        return ALLOW;
}
