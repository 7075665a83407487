/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One event for each open(), openat() and openat2() that has returned.
 *
 * Only the exit is hooked. The arguments are still in the registers that the task saved when it
 * entered the kernel, so nothing has to be remembered between entry and exit: no second program for
 * every open() and every other syscall to pass by, no map that can run full. The path is read after
 * the call, when the kernel has just brought its page in.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/syscall.h>
#include <gadget/types.h>

#define PATH_MAX 4096

/* The mode argument is there only when the call may create a file; else the register holds
 * anything. */
#define O_CREAT 00000100
#define O_TMPFILE_BIT 020000000

struct event {
        gadget_timestamp timestamp_raw;
        struct gadget_process proc;
        gadget_errno error_raw;
        __s32 fd;
        gadget_file_flags flags_raw;
        gadget_file_mode mode_raw;
        char fname[PATH_MAX];
};

const volatile bool failed_only = false;
GADGET_PARAM(failed_only);

GADGET_TRACER_MAP(events, 512 * 1024);
GADGET_TRACER(open, events, event);
GADGET_SCRATCH(event_scratch, struct event);

/* how is the argument that the flags stand in: a number, or for openat2() a pointer to struct
 * open_how. */
static __always_inline int on_exit(struct syscall_trace_exit *ctx, int path_arg, bool has_how) {
        const struct pt_regs *regs;
        struct open_how how = {};
        struct event *event;
        long len;

        if (failed_only && ctx->ret >= 0)
                return 0;
        if (gadget_should_discard_data_current())
                return 0;

        event = event_scratch();
        regs = gadget_syscall_regs();
        if (!event || !regs) {
                gadget_count_lost(&events);
                return 0;
        }

        if (has_how) {
                bpf_probe_read_user(&how, sizeof(how),
                                    (void *)gadget_syscall_arg(regs, path_arg + 1));
        } else {
                how.flags = gadget_syscall_arg(regs, path_arg + 1);
                how.mode = gadget_syscall_arg(regs, path_arg + 2);
        }

        event->timestamp_raw = bpf_ktime_get_boot_ns();
        gadget_process_populate(&event->proc);
        event->error_raw = ctx->ret < 0 ? -ctx->ret : 0;
        event->fd = ctx->ret < 0 ? -1 : ctx->ret;
        event->flags_raw = how.flags;
        event->mode_raw = how.flags & (O_CREAT | O_TMPFILE_BIT) ? how.mode : 0;

        len = bpf_probe_read_user_str(event->fname, sizeof(event->fname),
                                      (void *)gadget_syscall_arg(regs, path_arg));
        if (len <= 0 || len > PATH_MAX) {
                event->fname[0] = '\0'; /* a bad address: the call has failed for the same reason */
                len = 1;
        }
        gadget_output_buf(ctx, &events, event, __builtin_offsetof(struct event, fname) + len);
        return 0;
}

/* Newer architectures have openat() only. */
#ifdef __TARGET_ARCH_x86
SEC("tracepoint/syscalls/sys_exit_open")
int on_exit_open(struct syscall_trace_exit *ctx) {
        return on_exit(ctx, 0, false);
}
#endif

SEC("tracepoint/syscalls/sys_exit_openat")
int on_exit_openat(struct syscall_trace_exit *ctx) {
        return on_exit(ctx, 1, false);
}

SEC("tracepoint/syscalls/sys_exit_openat2")
int on_exit_openat2(struct syscall_trace_exit *ctx) {
        return on_exit(ctx, 1, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
