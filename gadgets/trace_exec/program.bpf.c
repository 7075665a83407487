/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One event for each execve() and execveat().
 *
 * One that succeeds is reported by the scheduler's tracepoint, where the new program's arguments
 * already lie on its stack, all in one piece: a script's begin with its interpreter, as in
 * /proc/PID/cmdline. That tracepoint also sees what the kernel itself executes. One that fails is
 * reported when the syscall returns: the registers and the memory of the caller are still what they
 * were, so nothing has to be remembered from its entry.
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

#define FILE_MAX 512
#define ARGS_MAX 8192
#define ARG_MAX 1024 /* of a failed call, where arguments are fetched one by one */
#define ARGS_COUNT_MAX 64

struct event {
        gadget_timestamp timestamp_raw;
        struct gadget_process proc;
        gadget_errno error_raw;
        __u32 loginuid;
        __u32 sessionid;
        __u32 args_size; /* of all arguments; more than was sent if they are longer than the field
                          */
        char file[FILE_MAX];
        gadget_argv args[ARGS_MAX];
};

const volatile bool ignore_failed = true;
GADGET_PARAM(ignore_failed);

GADGET_TRACER_MAP(events, 256 * 1024);
GADGET_TRACER(exec, events, event);
GADGET_SCRATCH(event_scratch, struct event);

static __always_inline struct event *new_event(long ret) {
        struct task_struct *task = (struct task_struct *)bpf_get_current_task();
        struct event *event = event_scratch();

        if (!event) {
                gadget_count_lost(&events);
                return NULL;
        }
        event->timestamp_raw = bpf_ktime_get_boot_ns();
        gadget_process_populate(&event->proc);
        event->error_raw = -ret;
        event->loginuid = event->sessionid = (__u32)-1;
        if (bpf_core_field_exists(task->loginuid))
                event->loginuid = BPF_CORE_READ(task, loginuid.val);
        if (bpf_core_field_exists(task->sessionid))
                event->sessionid = BPF_CORE_READ(task, sessionid);
        event->file[0] = '\0';
        return event;
}

static __always_inline void send(void *ctx, struct event *event, __u64 args_len) {
        gadget_output_buf(ctx, &events, event, __builtin_offsetof(struct event, args) + args_len);
}

SEC("tracepoint/sched/sched_process_exec")
int on_exec(struct trace_event_raw_sched_process_exec *ctx) {
        struct mm_struct *mm;
        struct event *event;
        __u64 start, len;

        if (gadget_should_discard_data_current())
                return 0;
        event = new_event(0);
        if (!event)
                return 0;

        bpf_probe_read_kernel_str(event->file, sizeof(event->file),
                                  (void *)ctx + (ctx->__data_loc_filename & 0xffff));

        mm = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), mm);
        start = BPF_CORE_READ(mm, arg_start);
        len = BPF_CORE_READ(mm, arg_end) - start;
        event->args_size = len;
        if (len > ARGS_MAX)
                len = ARGS_MAX;
        if (bpf_probe_read_user(event->args, len, (void *)start) < 0)
                len = 0;
        send(ctx, event, len);
        return 0;
}

/* How much there is stands in the event, not in a register: the verifier then knows nothing about
 * it that differs from one argument to the next, and need not follow every combination of lengths.
 * false at the end, or when there is no more room. */
static __always_inline bool add_argument(struct event *event, const char *const *slot) {
        const char *arg = NULL;
        __u64 len;
        long n;

        barrier(); /* the compiler would remember it in a register */
        len = event->args_size;
        if (len > ARGS_MAX - ARG_MAX)
                return false;
        if (bpf_probe_read_user(&arg, sizeof(arg), slot) < 0 || !arg)
                return false;
        n = bpf_probe_read_user_str(event->args + len, ARG_MAX, arg);
        if (n == 0) {
                n = 1; /* what older kernels say of an empty string */
        } else if (n < 0) {
                /* Not in memory: the call has failed before the kernel looked at it. */
                __builtin_memcpy(event->args + len, "?", 2);
                n = 2;
        }
        event->args_size = len + n;
        return true;
}

static __always_inline int on_failure(struct syscall_trace_exit *ctx, int path_arg) {
        const struct pt_regs *regs;
        const char *const *argv;
        struct event *event;

        /* The successful ones come from on_exec(); their registers are those of the new program. */
        if (ctx->ret >= 0 || ignore_failed)
                return 0;
        if (gadget_should_discard_data_current())
                return 0;
        event = new_event(ctx->ret);
        if (!event)
                return 0;

        regs = gadget_syscall_regs();
        bpf_probe_read_user_str(event->file, sizeof(event->file),
                                (void *)gadget_syscall_arg(regs, path_arg));
        argv = (const char *const *)gadget_syscall_arg(regs, path_arg + 1);

        event->args_size = 0;
        for (int i = 0; i < ARGS_COUNT_MAX; i++) {
                if (!add_argument(event, &argv[i]))
                        break;
        }
        if (event->args_size <= ARGS_MAX) /* always, but the verifier has not kept count */
                send(ctx, event, event->args_size);
        return 0;
}

SEC("tracepoint/syscalls/sys_exit_execve")
int on_exit_execve(struct syscall_trace_exit *ctx) {
        return on_failure(ctx, 0);
}

SEC("tracepoint/syscalls/sys_exit_execveat")
int on_exit_execveat(struct syscall_trace_exit *ctx) {
        return on_failure(ctx, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
