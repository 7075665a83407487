/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much each process sends and receives over each TCP connection. The kernel tells of each
 * sendmsg() and recvmsg() of a socket since 6.3 (sock_send_length, sock_recv_length); before that,
 * probes on TCP's own functions do. splice() from a socket is seen by the latter only.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/sock.h>
#include <gadget/types.h>

#define CONNECTIONS_MAX 16384
#define MSG_PEEK 2

struct tcp_key {
        gadget_mntns_id mntns_id;
        gadget_netns_id netns_id;
        gadget_pid pid;
        gadget_tid tid;
        gadget_comm comm[TASK_COMM_LEN];
        struct gadget_l4endpoint_t src;
        struct gadget_l4endpoint_t dst;
};

struct tcp_traffic {
        gadget_bytes sent_raw;
        gadget_bytes received_raw;
};

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, CONNECTIONS_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, struct tcp_key);
        __type(value, struct tcp_traffic);
} traffic SEC(".maps");

GADGET_MAPITER(tcptop, traffic);

/* There where the tracepoints are. */
struct trace_event_raw_sock_msg_length___x {
        int ret;
} __attribute__((preserve_access_index));

static __always_inline void count(const struct sock *sk, bool is_sent, int bytes) {
        static const struct tcp_traffic none = {};
        struct tcp_traffic *value;
        struct tcp_key key = {};
        __u64 pid_tgid;

        if (bytes <= 0 || gadget_should_discard_data_current())
                return;
        if (!gadget_sock_is_inet(sk) || gadget_sock_proto(sk) != IPPROTO_TCP)
                return;
        pid_tgid = bpf_get_current_pid_tgid();
        key.mntns_id = gadget_get_current_mntns_id();
        key.netns_id = gadget_sock_netns(sk);
        key.pid = pid_tgid >> 32;
        key.tid = (__u32)pid_tgid;
        bpf_get_current_comm(key.comm, sizeof(key.comm));
        gadget_sock_endpoints(sk, IPPROTO_TCP, &key.src, &key.dst);
        value = bpf_map_lookup_or_try_init(&traffic, &key, &none);
        if (value)
                __sync_fetch_and_add(is_sent ? &value->sent_raw : &value->received_raw, bytes);
}

SEC("raw_tp/sock_send_length")
int BPF_PROG(on_send, const struct sock *sk, int ret) {
        count(sk, true, ret);
        return 0;
}

SEC("raw_tp/sock_recv_length")
int BPF_PROG(on_recv, const struct sock *sk, int ret, int flags) {
        if (!(flags & MSG_PEEK))
                count(sk, false, ret);
        return 0;
}

/* A call that sends less than it was asked to is counted as if it had sent all. */
SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(on_tcp_sendmsg, const struct sock *sk, const struct msghdr *msg, size_t size) {
        if (!bpf_core_type_exists(struct trace_event_raw_sock_msg_length___x))
                count(sk, true, size > 0x7fffffff ? 0x7fffffff : size);
        return 0;
}

SEC("kprobe/tcp_cleanup_rbuf")
int BPF_KPROBE(on_tcp_cleanup_rbuf, const struct sock *sk, int copied) {
        if (!bpf_core_type_exists(struct trace_event_raw_sock_msg_length___x))
                count(sk, false, copied);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
