/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of helpers, map types and program types, and the denied list: helpers through which a
 * program changes something that is not a map of its own gadget, with the reason that the user
 * reads. A gadget observes; one that does more runs with --allow-unsafe only.
 *
 * Not on the list, after thought: what reads (bpf_probe_read*, bpf_d_path,
 * bpf_kallsyms_lookup_name), what only makes packet bytes readable (bpf_skb_pull_data,
 * bpf_msg_pull_data), what chooses which callbacks the program itself gets
 * (bpf_sock_ops_cb_flags_set), storage that is the gadget's own map (bpf_*_storage_*), and the
 * trace pipe (bpf_trace_printk). So tc, xdp and socket gadgets that only look are never hit.
 */
#include "policy/permissions.h"

/* Newer than the oldest <linux/bpf.h> that we build with. The list of helpers is closed upstream:
 * what comes later is a kfunc. */
#define HELPER_CGRP_STORAGE_GET 210
#define HELPER_CGRP_STORAGE_DELETE 211

#define HELPER_NAME(_name) [BPF_FUNC_##_name] = "bpf_" #_name
static const char *const names[] = { __BPF_FUNC_MAPPER(HELPER_NAME) };

#define WRITES_PACKET "rewrites packets of other programs"
#define STEERS_PACKET "sends packets where they would not have gone"
#define STEERS_SOCKET "decides which socket gets the data of another program"
#define DELAYS_DATA "changes or holds back what another program sends"
#define FAKES_INPUT "makes up input of a remote control"

static const char *const denied[] = {
        /* Other processes. */
        [BPF_FUNC_probe_write_user] = "writes into the memory of other processes",
        [BPF_FUNC_override_return] = "makes kernel functions fail or lie to their caller",
        [BPF_FUNC_send_signal] = "sends signals to other processes",
        [BPF_FUNC_send_signal_thread] = "sends signals to other processes",
        [BPF_FUNC_bprm_opts_set] = "changes how a program is executed",
        [BPF_FUNC_set_retval] = "changes the result of other programs' system calls",

        /* The bpf() call and file descriptors, past the broker. */
        [BPF_FUNC_sys_bpf] = "calls bpf() itself, past every check of gadgetd",
        [BPF_FUNC_sys_close] = "closes file descriptors of the calling process",

        /* Settings. */
        [BPF_FUNC_sysctl_set_new_value] = "changes what is written to a sysctl",
        [BPF_FUNC_setsockopt] = "changes options of other programs' sockets",
        [BPF_FUNC_bind] = "chooses the local address of other programs' connections",

        /* Packets. */
        [BPF_FUNC_skb_store_bytes] = WRITES_PACKET,
        [BPF_FUNC_l3_csum_replace] = WRITES_PACKET,
        [BPF_FUNC_l4_csum_replace] = WRITES_PACKET,
        [BPF_FUNC_csum_update] = WRITES_PACKET,
        [BPF_FUNC_csum_level] = WRITES_PACKET,
        [BPF_FUNC_skb_vlan_push] = WRITES_PACKET,
        [BPF_FUNC_skb_vlan_pop] = WRITES_PACKET,
        [BPF_FUNC_skb_set_tunnel_key] = WRITES_PACKET,
        [BPF_FUNC_skb_set_tunnel_opt] = WRITES_PACKET,
        [BPF_FUNC_skb_change_proto] = WRITES_PACKET,
        [BPF_FUNC_skb_change_type] = WRITES_PACKET,
        [BPF_FUNC_skb_change_tail] = WRITES_PACKET,
        [BPF_FUNC_skb_change_head] = WRITES_PACKET,
        [BPF_FUNC_skb_adjust_room] = WRITES_PACKET,
        [BPF_FUNC_skb_ecn_set_ce] = WRITES_PACKET,
        [BPF_FUNC_skb_set_tstamp] = WRITES_PACKET,
        [BPF_FUNC_set_hash] = WRITES_PACKET,
        [BPF_FUNC_set_hash_invalid] = WRITES_PACKET,
        [BPF_FUNC_xdp_adjust_head] = WRITES_PACKET,
        [BPF_FUNC_xdp_adjust_meta] = WRITES_PACKET,
        [BPF_FUNC_xdp_adjust_tail] = WRITES_PACKET,
        [BPF_FUNC_xdp_store_bytes] = WRITES_PACKET,
        [BPF_FUNC_lwt_push_encap] = WRITES_PACKET,
        [BPF_FUNC_lwt_seg6_store_bytes] = WRITES_PACKET,
        [BPF_FUNC_lwt_seg6_adjust_srh] = WRITES_PACKET,
        [BPF_FUNC_lwt_seg6_action] = STEERS_PACKET,
        [BPF_FUNC_clone_redirect] = STEERS_PACKET,
        [BPF_FUNC_redirect] = STEERS_PACKET,
        [BPF_FUNC_redirect_map] = STEERS_PACKET,
        [BPF_FUNC_redirect_neigh] = STEERS_PACKET,
        [BPF_FUNC_redirect_peer] = STEERS_PACKET,

        /* Sockets and TCP. */
        [BPF_FUNC_sk_assign] = STEERS_SOCKET,
        [BPF_FUNC_sk_select_reuseport] = STEERS_SOCKET,
        [BPF_FUNC_sk_redirect_map] = STEERS_SOCKET,
        [BPF_FUNC_sk_redirect_hash] = STEERS_SOCKET,
        [BPF_FUNC_msg_redirect_map] = STEERS_SOCKET,
        [BPF_FUNC_msg_redirect_hash] = STEERS_SOCKET,
        [BPF_FUNC_sock_map_update] = STEERS_SOCKET,
        [BPF_FUNC_sock_hash_update] = STEERS_SOCKET,
        [BPF_FUNC_msg_cork_bytes] = DELAYS_DATA,
        [BPF_FUNC_msg_push_data] = DELAYS_DATA,
        [BPF_FUNC_msg_pop_data] = DELAYS_DATA,
        [BPF_FUNC_tcp_send_ack] = "sends TCP segments in the name of other programs",
        [BPF_FUNC_store_hdr_opt] = "writes TCP header options of other programs' connections",
        [BPF_FUNC_reserve_hdr_opt] = "writes TCP header options of other programs' connections",

        /* Input devices. */
        [BPF_FUNC_rc_repeat] = FAKES_INPUT,
        [BPF_FUNC_rc_keydown] = FAKES_INPUT,
        [BPF_FUNC_rc_pointer_rel] = FAKES_INPUT,
};

/* By number, because a kernel may be newer than the header that we are built with. */
static const char *const map_types[] = {
        [1] = "hash",
        [2] = "array",
        [3] = "prog_array",
        [4] = "perf_event_array",
        [5] = "percpu_hash",
        [6] = "percpu_array",
        [7] = "stack_trace",
        [8] = "cgroup_array",
        [9] = "lru_hash",
        [10] = "lru_percpu_hash",
        [11] = "lpm_trie",
        [12] = "array_of_maps",
        [13] = "hash_of_maps",
        [14] = "devmap",
        [15] = "sockmap",
        [16] = "cpumap",
        [17] = "xskmap",
        [18] = "sockhash",
        [19] = "cgroup_storage",
        [20] = "reuseport_sockarray",
        [21] = "percpu_cgroup_storage",
        [22] = "queue",
        [23] = "stack",
        [24] = "sk_storage",
        [25] = "devmap_hash",
        [26] = "struct_ops",
        [27] = "ringbuf",
        [28] = "inode_storage",
        [29] = "task_storage",
        [30] = "bloom_filter",
        [31] = "user_ringbuf",
        [32] = "cgrp_storage",
        [33] = "arena",
};

static const char *const prog_types[] = {
        [1] = "socket_filter",
        [2] = "kprobe",
        [3] = "sched_cls",
        [4] = "sched_act",
        [5] = "tracepoint",
        [6] = "xdp",
        [7] = "perf_event",
        [8] = "cgroup_skb",
        [9] = "cgroup_sock",
        [10] = "lwt_in",
        [11] = "lwt_out",
        [12] = "lwt_xmit",
        [13] = "sock_ops",
        [14] = "sk_skb",
        [15] = "cgroup_device",
        [16] = "sk_msg",
        [17] = "raw_tracepoint",
        [18] = "cgroup_sock_addr",
        [19] = "lwt_seg6local",
        [20] = "lirc_mode2",
        [21] = "sk_reuseport",
        [22] = "flow_dissector",
        [23] = "cgroup_sysctl",
        [24] = "raw_tracepoint_writable",
        [25] = "cgroup_sockopt",
        [26] = "tracing",
        [27] = "struct_ops",
        [28] = "ext",
        [29] = "lsm",
        [30] = "sk_lookup",
        [31] = "syscall",
        [32] = "netfilter",
};

static const char *lookup(const char *const *table, size_t n, uint32_t i) {
        return i < n ? table[i] : NULL;
}

const char *helper_name(uint32_t id) {
        switch (id) {
        case BPF_FUNC_unspec:
                return NULL;
        case HELPER_CGRP_STORAGE_GET:
                return "bpf_cgrp_storage_get";
        case HELPER_CGRP_STORAGE_DELETE:
                return "bpf_cgrp_storage_delete";
        default:
                return lookup(names, ARRAY_SIZE(names), id);
        }
}

const char *helper_denied_reason(uint32_t id) {
        if (!helper_name(id))
                return "is a helper that this build of gadgetd does not know";
        return lookup(denied, ARRAY_SIZE(denied), id);
}

const char *map_type_name(uint32_t type) {
        return lookup(map_types, ARRAY_SIZE(map_types), type);
}

const char *prog_type_name(uint32_t type) {
        return lookup(prog_types, ARRAY_SIZE(prog_types), type);
}
