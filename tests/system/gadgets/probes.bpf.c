/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probes in the programs of containers: a function, its return, a USDT probe, and a library's. */
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/mntns_filter.h>
#include <gadget/types.h>

enum kind { FUNCTION, RETURN, USDT, LIBRARY };

struct event {
        gadget_mntns_id mntns_id;
        enum kind kind_raw;
        __s32 value;
        __s64 second;
};

GADGET_TRACER_MAP(events, 1024 * 1024);
GADGET_TRACER(probes, events, event);

static __always_inline int put(void *ctx, enum kind kind, long value, long second) {
        gadget_mntns_id mntns_id = gadget_get_current_mntns_id();
        struct event *event;

        if (gadget_should_discard_mntns_id(mntns_id))
                return 0;
        event = gadget_reserve_buf(&events, sizeof(*event));
        if (!event)
                return 0;
        event->mntns_id = mntns_id;
        event->kind_raw = kind;
        event->value = value;
        event->second = second;
        gadget_submit_buf(ctx, &events, event, sizeof(*event));
        return 0;
}

SEC("uprobe//app:probed_function")
int BPF_KPROBE(on_function, int value) {
        return put(ctx, FUNCTION, value, 0);
}

SEC("uretprobe//app:probed_function")
int BPF_KRETPROBE(on_return, int result) {
        return put(ctx, RETURN, result, 0);
}

SEC("usdt//app:gadget_test:ping")
int BPF_USDT(on_ping, int value, long second) {
        return put(ctx, USDT, value, second);
}

SEC("uprobe/libprobed:lib_function")
int BPF_KPROBE(on_library, int value) {
        return put(ctx, LIBRARY, value, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
