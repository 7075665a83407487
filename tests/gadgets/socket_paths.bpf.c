/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the owner of a socket works, and what it executes. Asked by getsockname() on a socket. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define GADGET_TYPE_TRACING
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/sock.h>
#include <gadget/sockets-map.h>
#include <gadget/syscall.h>

#define PATH_SIZE 512

struct event {
        gadget_pid asker;
        bool is_known;
        __u16 port;
        struct gadget_process proc;
        char cwd[PATH_SIZE];
        char exepath[PATH_SIZE];
};

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(owners, events, event);

SEC("tracepoint/syscalls/sys_exit_getsockname")
int on_exit_getsockname(struct syscall_trace_exit *ctx) {
        const struct sock *sk = gadget_sock_of_fd(gadget_syscall_arg(gadget_syscall_regs(), 0));
        struct gadget_socket_value *value;
        struct event *event;

        if (!sk || !gadget_sock_is_inet(sk) || gadget_should_discard_data_current())
                return 0;
        value = gadget_socket_lookup(sk, gadget_sock_netns(sk));
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->asker = bpf_get_current_pid_tgid() >> 32;
        event->is_known = value != NULL;
        event->port = BPF_CORE_READ(sk, __sk_common.skc_num);
        event->cwd[0] = event->exepath[0] = '\0';
        gadget_process_populate_from_socket(value, &event->proc);
        if (value && bpf_core_field_exists(value->cwd))
                bpf_probe_read_kernel_str(event->cwd, sizeof(event->cwd), value->cwd);
        if (value && bpf_core_field_exists(value->exepath))
                bpf_probe_read_kernel_str(event->exepath, sizeof(event->exepath), value->exepath);
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
