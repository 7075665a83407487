/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tries to write the map that is everybody's. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>

#define GADGET_TYPE_TRACING
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/sockets-map.h>

struct event {
        __u32 nothing;
};

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(nothing, events, event);

SEC("tracepoint/syscalls/sys_exit_getsockname")
int on_exit_getsockname(struct syscall_trace_exit *ctx) {
        struct gadget_socket_key key;

        __builtin_memset(&key, 0, sizeof(key));
#ifdef IN_PLACE
        struct gadget_socket_value *value = bpf_map_lookup_elem(&gadget_sockets, &key);

        if (value)
                value->mntns = 1;
#else
        bpf_map_delete_elem(&gadget_sockets, &key);
#endif
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
