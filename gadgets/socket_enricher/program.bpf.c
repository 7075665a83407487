/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fills the map behind gadget/sockets-map.h: which process has which local port. gadgetd runs one
 * of these for the host while some gadget needs it, and hands the map to the gadgets.
 *
 * No kprobe is needed. A port is noted when its socket gets it, before any packet can bear it:
 *
 *   bind()                 cgroup/post_bind4, post_bind6
 *   connect(), TCP         sockops, which is called before the SYN goes out
 *   connect(), UDP         the exit of the call
 *   sendto() without bind  cgroup/sendmsg4, sendmsg6; with them all, kprobes where there are some
 *   listen() without bind  inet_sock_set_state
 *   accept()               the exit of the call; for who serves a port that another process opened
 *   what is open already   iter/task_file, once
 *
 * and forgotten a while after the last socket with it is released (cgroup/sock_release), for the
 * sake of packets and events that come late. These hooks decide over the host's sockets: every one
 * of them always returns 1.
 *
 * gadgets/socket_enricher_paths is the same with the optional fields, where the process works and
 * what it executes, for the gadgets that read them: WITH_PATHS.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#ifdef WITH_PATHS
/* What is longer than a path may be loses its beginning. */
#define GADGET_PATH_BUFFER_SIZE 8192
#define GADGET_PATH_BUFFERS 4 /* SCRATCHES */
#include <gadget/filesystem.h>
#endif
#include <gadget/macros.h>
#include <gadget/sock.h>
#include <gadget/syscall.h>
#include <gadget/types.h>

#define SOCKETS_MAX 16384 /* as gadget/sockets-map.h says */
#define HELD_MAX 65536    /* sockets that have one of these ports */
#define EXPIRY_NS 5000000000ULL
#define PF_KTHREAD 0x00200000

struct socket_key {
        __u32 netns;
        __u16 family;
        __u8 proto;
        __u16 port;
};

#ifdef WITH_PATHS
#define PATH_SIZE 512 /* as the worker's sockets-map.c says */
#define SCRATCHES 4
_Static_assert(SCRATCHES == GADGET_PATH_BUFFERS, "one goes with the other");
#endif

/* struct gadget_socket_value; its optional fields are shorter, or not there at all. */
struct socket_value {
        __u64 mntns;
        __u64 pid_tgid;
        __u64 uid_gid;
        char task[TASK_COMM_LEN];
        char ptask[TASK_COMM_LEN];
        __u64 sock; /* whose port it is; others have come by accept() */
        __u64 deletion_timestamp;
        __u32 ppid;
        __u32 ptid;
        char ipv6only;
        char padding[7];
#ifdef WITH_PATHS
        char cwd[PATH_SIZE];
        char exepath[PATH_SIZE];
#endif
};
#ifdef WITH_PATHS
_Static_assert(sizeof(struct socket_value) == 88 + 2 * PATH_SIZE, "it is what the worker tells");
#else
_Static_assert(sizeof(struct socket_value) == 88, "it is what gadgets are compiled for");
#endif

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, SOCKETS_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, struct socket_key);
        __type(value, struct socket_value);
} shared_sockets SEC(".maps");

/* The ports that sockets have, and how many sockets have a port. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, HELD_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, __u64); /* struct sock * */
        __type(value, struct socket_key);
} held SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, SOCKETS_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, struct socket_key);
        __type(value, __s64);
} holders SEC(".maps");

/* A socket that found a map full: nobody will know whose it is. */
struct refusal {
        gadget_netns_id netns_id;
        __u16 family;
        __u16 proto;
        __u16 port;
};
GADGET_TRACER_MAP(refusals, 4096);
GADGET_TRACER(refused, refusals, refusal);

/* Written at each reading of `expired`. */
struct expiry {
        __u32 nothing;
};

GADGET_ITER(existing, expiry, on_file);
GADGET_ITER(expired, expiry, on_entry);
GADGET_ITER_TARGET_MAP(on_entry, shared_sockets);

/* A pointer that the verifier knows to be a socket may be read at some offsets only. Copied by a
 * helper it is a number, and a number may be read behind at any. */
static __always_inline const struct sock *plain(const void *sk) {
        const struct sock *copy = NULL;

        bpf_probe_read_kernel(&copy, sizeof(copy), &sk);
        return copy;
}

/* false when it has no port, or is no socket of a kind that gadgets ask for. */
static __always_inline bool key_of(const struct sock *sk, struct socket_key *key) {
        __builtin_memset(key, 0, sizeof(*key));
        key->family = BPF_CORE_READ(sk, __sk_common.skc_family);
        if ((key->family != AF_INET && key->family != AF_INET6) || !gadget_sock_is_full(sk))
                return false;
        key->proto = gadget_sock_proto(sk);
        key->port = BPF_CORE_READ(sk, __sk_common.skc_num);
        key->netns = gadget_sock_netns(sk);
        return key->port != 0 && (key->proto == IPPROTO_TCP || key->proto == IPPROTO_UDP);
}

static __always_inline void refuse(void *ctx, const struct socket_key *key) {
        struct refusal *refusal = gadget_reserve_buf(&refusals, sizeof(*refusal));

        if (!refusal)
                return; /* counted */
        refusal->netns_id = key->netns;
        refusal->family = key->family;
        refusal->proto = key->proto;
        refusal->port = key->port;
        gadget_submit_buf(ctx, &refusals, refusal, sizeof(*refusal));
}

static __always_inline void count_holder(const struct socket_key *key, __s64 by) {
        __s64 *count = bpf_map_lookup_elem(&holders, key);
        struct socket_value *value;
        __s64 one = 1;

        if (!count) {
                if (by > 0)
                        bpf_map_update_elem(&holders, key, &one, BPF_NOEXIST);
                return;
        }
        __sync_fetch_and_add(count, by);
        if (*count > 0)
                return;
        bpf_map_delete_elem(&holders, key);
        value = bpf_map_lookup_elem(&shared_sockets, key);
        if (value)
                value->deletion_timestamp = bpf_ktime_get_boot_ns();
}

static __always_inline void release(const struct sock *sk) {
        __u64 id = (__u64)sk;
        struct socket_key *found = bpf_map_lookup_elem(&held, &id), key;

        if (!found)
                return;
        key = *found;
        if (bpf_map_delete_elem(&held, &id) == 0)
                count_holder(&key, -1);
}

static __always_inline void hold(const struct sock *sk, const struct socket_key *key) {
        __u64 id = (__u64)sk;
        struct socket_key *found = bpf_map_lookup_elem(&held, &id);

        if (found) {
                if (found->netns == key->netns && found->port == key->port &&
                    found->family == key->family && found->proto == key->proto)
                        return;
                release(sk); /* it has another port now, or its end was not seen */
        }
        if (bpf_map_update_elem(&held, &id, key, BPF_NOEXIST) == 0)
                count_holder(key, 1);
}

#ifdef WITH_PATHS

/* A value with paths is too large for the stack. A program may be preempted by another one of these
 * on the same CPU, where it comes back to: each takes a scratch that nobody else is using. */
struct scratch {
        struct socket_value value;
        __u64 users;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, SCRATCHES);
        __type(key, __u32);
        __type(value, struct scratch);
} scratches SEC(".maps");

/* Who counts one user, itself, is alone until it leaves: all others count two. Two that come at the
 * same time may both count two and go on to the next one. NULL = all are in use. */
static __always_inline struct scratch *take_scratch(__u32 *ret_index) {
        for (__u32 i = 0; i < SCRATCHES; i++) {
                __u32 index = i;
                struct scratch *scratch = bpf_map_lookup_elem(&scratches, &index);

                if (!scratch)
                        return NULL;
                __sync_fetch_and_add(&scratch->users, 1);
                if (*(volatile __u64 *)&scratch->users == 1) {
                        *ret_index = i;
                        return scratch;
                }
                __sync_fetch_and_add(&scratch->users, -1);
        }
        return NULL;
}

static __always_inline void leave_scratch(struct scratch *scratch) {
        __sync_fetch_and_add(&scratch->users, -1);
}

static __always_inline void copy_path(char *out, struct path *path, __u32 index) {
        void *text = path->dentry ? gadget_path_str(path, index) : NULL;

        /* Readers are handed what is behind the end as well. */
        __builtin_memset(out, 0, PATH_SIZE);
        if (text)
                bpf_probe_read_kernel_str(out, PATH_SIZE, text);
}

static __always_inline void describe_paths(struct socket_value *value, struct task_struct *task,
                                           __u32 index) {
        struct path path;

        path = BPF_CORE_READ(task, fs, pwd);
        copy_path(value->cwd, &path, index);
        path = BPF_CORE_READ(task, mm, exe_file, f_path);
        copy_path(value->exepath, &path, index);
}

#endif

static __always_inline void describe(struct socket_value *value, struct task_struct *task) {
        struct task_struct *parent = BPF_CORE_READ(task, real_parent);
        __u32 pid = BPF_CORE_READ(task, pid), tgid = BPF_CORE_READ(task, tgid);
        __u32 uid = BPF_CORE_READ(task, cred, uid.val), gid = BPF_CORE_READ(task, cred, gid.val);

        value->mntns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
        value->pid_tgid = (__u64)tgid << 32 | pid;
        value->uid_gid = (__u64)gid << 32 | uid;
        bpf_probe_read_kernel(value->task, sizeof(value->task), &task->comm);
        bpf_probe_read_kernel(value->ptask, sizeof(value->ptask), &parent->comm);
        value->ppid = BPF_CORE_READ(parent, tgid);
        value->ptid = BPF_CORE_READ(parent, pid);
}

/* Puts a description of the task into the map; `owner` is the socket whose port it is. */
static __always_inline void put(void *ctx, const struct socket_key *key, const struct sock *sk,
                                struct task_struct *task, __u64 owner) {
#ifdef WITH_PATHS
        __u32 index = 0;
        struct scratch *scratch = take_scratch(&index);
        struct socket_value *value;

        if (!scratch) {
                refuse(ctx, key);
                return;
        }
        value = &scratch->value;
        value->deletion_timestamp = 0;
        describe_paths(value, task, index);
#else
        struct socket_value described = {}, *value = &described;
#endif

        describe(value, task);
        value->sock = owner;
        value->ipv6only = BPF_CORE_READ_BITFIELD_PROBED(&sk->__sk_common, skc_ipv6only);
        /* Without a namespace it is about to be gone. */
        if (value->mntns != 0 && bpf_map_update_elem(&shared_sockets, key, value, BPF_ANY) < 0)
                refuse(ctx, key);
#ifdef WITH_PATHS
        leave_scratch(scratch);
#endif
}

/* The task has the socket's port. Whoever is noted for it already stays if he is the same process;
 * with `is_guest`, he stays as the one whose port it is. */
static __always_inline void note(void *ctx, const struct sock *sk, struct task_struct *task,
                                 bool is_guest) {
        struct socket_value *old;
        struct socket_key key;
        bool is_live;

        if (!sk || !key_of(sk, &key) || BPF_CORE_READ(task, flags) & PF_KTHREAD)
                return;
        hold(sk, &key);
        old = bpf_map_lookup_elem(&shared_sockets, &key);
        is_live = old && old->deletion_timestamp == 0;
        if (is_live && old->pid_tgid >> 32 == BPF_CORE_READ(task, tgid) &&
            (is_guest || old->sock == (__u64)sk))
                return;
        put(ctx, &key, sk, task, is_live && is_guest ? old->sock : (__u64)sk);
}

static __always_inline void note_current(void *ctx, const struct sock *sk, bool is_guest) {
        note(ctx, sk, (struct task_struct *)bpf_get_current_task(), is_guest);
}

SEC("cgroup/post_bind4")
int on_bind4(struct bpf_sock *ctx) {
        note_current(ctx, plain(ctx), false);
        return 1;
}

SEC("cgroup/post_bind6")
int on_bind6(struct bpf_sock *ctx) {
        note_current(ctx, plain(ctx), false);
        return 1;
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx) {
        note_current(ctx, plain(ctx->sk), false);
        return 1;
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx) {
        note_current(ctx, plain(ctx->sk), false);
        return 1;
}

SEC("cgroup/sock_release")
int on_release(struct bpf_sock *ctx) {
        const struct sock *sk = plain(ctx);

        if (sk)
                release(sk);
        return 1;
}

SEC("sockops")
int on_sockops(struct bpf_sock_ops *ctx) {
        if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
                note_current(ctx, plain(ctx->sk), false);
        return 1;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(on_state, const struct sock *sk, int old, int new) {
        if (new == BPF_TCP_LISTEN)
                note_current(ctx, sk, false);
        return 0;
}

SEC("tracepoint/syscalls/sys_exit_connect")
int on_exit_connect(struct syscall_trace_exit *ctx) {
        note_current(ctx, gadget_sock_of_fd(gadget_syscall_arg(gadget_syscall_regs(), 0)), false);
        return 0;
}

SEC("tracepoint/syscalls/sys_exit_accept")
int on_exit_accept(struct syscall_trace_exit *ctx) {
        if (ctx->ret >= 0)
                note_current(ctx, gadget_sock_of_fd(ctx->ret), true);
        return 0;
}

SEC("tracepoint/syscalls/sys_exit_accept4")
int on_exit_accept4(struct syscall_trace_exit *ctx) {
        if (ctx->ret >= 0)
                note_current(ctx, gadget_sock_of_fd(ctx->ret), true);
        return 0;
}

/* Sockets that io_uring has connected. */
SEC("kprobe/udp_sendmsg")
int BPF_KPROBE(on_udp_sendmsg, const struct sock *sk) {
        note_current(ctx, sk, false);
        return 0;
}

SEC("kprobe/udpv6_sendmsg")
int BPF_KPROBE(on_udpv6_sendmsg, const struct sock *sk) {
        note_current(ctx, sk, false);
        return 0;
}

/* What was open before: the first process that has it, and listeners before what they accepted. */
SEC("iter/task_file")
int on_file(struct bpf_iter__task_file *ctx) {
        struct task_struct *task = ctx->task;
        struct socket_value *old;
        struct socket_key key;
        const struct sock *sk;

        if (!task || !ctx->file)
                return 0;
        sk = gadget_sock_of_file(ctx->file);
        if (!sk || !key_of(sk, &key))
                return 0;
        old = bpf_map_lookup_elem(&shared_sockets, &key);
        if (old && old->deletion_timestamp == 0 &&
            BPF_CORE_READ(sk, __sk_common.skc_state) != BPF_TCP_LISTEN)
                hold(sk, &key);
        else
                note(ctx, sk, task, old && old->deletion_timestamp == 0);
        return 0;
}

SEC("iter/bpf_map_elem")
int on_entry(struct bpf_iter__bpf_map_elem *ctx) {
        struct socket_value *value = ctx->value;
        struct socket_key *found = ctx->key, key;

        if (!found || !value || value->deletion_timestamp == 0)
                return 0;
        key = *found;
        if (bpf_map_lookup_elem(&holders, &key))
                value->deletion_timestamp = 0; /* a new socket has come while the last one went */
        else if (bpf_ktime_get_boot_ns() - value->deletion_timestamp > EXPIRY_NS)
                bpf_map_delete_elem(&shared_sockets, &key);
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
