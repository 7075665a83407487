/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Until STOPPED. Whoever dies, nothing stays behind: a dead worker is reported and its objects are
 * closed; a dead gadgetd ends the gadget, and the broker cleans up after both; a dead broker takes
 * its worker along (PR_SET_PDEATHSIG), the kernel closes the objects, and gadgetd removes the
 * directories.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/proc.h"
#include "base/trim.h"
#include "broker/broker.h"
#include "broker/kmsg.h"
#include "broker/privileges.h"

/* For the worker to drain; the last reading of a map of a million entries takes seconds. */
#define STOP_DEADLINE (5 * NSEC_PER_SEC)
/* The same, where each row may have functions that need names; the worker stops asking before
 * (worker/hurry.h), and gadgetd waits longer. */
#define STOP_DEADLINE_STACKS (8 * NSEC_PER_SEC)
#define LEAVE_INTERVAL (10 * NSEC_PER_MSEC)
#define LOG_TAIL_MAX 4096
#define QUEUE_MAX (4 * (size_t)LIMIT_FRAME_MAX)

static void enter_gone(struct broker *b, int status);

static void kill_worker(struct broker *b) {
        if (b->worker.pid_fd >= 0)
                syscall(SYS_pidfd_send_signal, b->worker.pid_fd, SIGKILL, NULL, 0);
}

void broker_fault(struct broker *b, const struct error *err, const char *detail) {
        struct msg_fault msg = {
                .code = error_code_name(err->code),
                .message = error_text(err),
                .detail = detail,
        };

        if (!b->is_faulted && b->state != BROKER_GONE) {
                log_debug("fault: %s", msg.message);
                channel_send(b->gadgetd, MSG_FAULT, &msg, NULL, 0);
        }
        b->is_faulted = true;
        if (b->state == BROKER_IDLE) {
                enter_gone(b, 0);
        } else if (b->state != BROKER_GONE) {
                b->state = BROKER_KILLED;
                kill_worker(b);
        }
}
static int leave(struct loop_timer *timer) {
        struct broker *b = container_of(timer, struct broker, deadline);

        if (b->is_orphaned || channel_queued(b->gadgetd) == 0)
                loop_exit(b->loop, 0);
        else
                loop_timer_set(b->loop, &b->deadline, LEAVE_INTERVAL, "last message", leave);
        return 0;
}

/* The worker is gone (or never was): nothing of the gadget is left in the kernel when STOPPED goes
 * out. */
static void enter_gone(struct broker *b, int status) {
        struct msg_stopped msg = { .worker_status = (uint32_t)status, .is_clean = b->is_done };

        loop_timer_clear(&b->deadline);
        serve_end(b);
        loop_io_remove(&b->exit_io);
        broker_release(b);
        b->state = BROKER_GONE;
        if (b->dir_fd >= 0)
                unlinkat(b->dir_fd, "broker.sock", 0);
        channel_send(b->gadgetd, MSG_STOPPED, &msg, NULL, 0);
        leave(&b->deadline);
}

static void report_death(struct broker *b, int status) {
        struct error err = { 0 };
        struct bytes tail;
        char cause[64];

        if (worker_setup_error(&b->worker, &err)) {
                broker_fault(b, &err, NULL);
                return;
        }
        proc_status_text(status, cause, sizeof(cause));
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
                kmsg_explain(b->kmsg_fd, b->worker.pid, &err);
        else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
                 cgroups_oom_kills(&b->cgroups) > 0)
                error_set(&err, ERROR_LIMIT, -ENOMEM,
                          "the gadget's worker was %s: it reached its memory limit", cause);
        else
                error_set(&err, ERROR_INTERNAL, -EIO, "the gadget's worker %s%s",
                          WIFSIGNALED(status) ? "was " : "", cause);
        buf_append(&b->log_tail, "", 1);
        tail = broker_text_end(BYTES(b->log_tail.data, b->log_tail.len), LOG_TAIL_MAX);
        broker_fault(b, &err, tail.len > 1 && !b->log_tail.failed ? (const char *)tail.data : NULL);
}

int broker_on_worker_exit(struct loop_io *io, uint32_t events) {
        struct broker *b = container_of(io, struct broker, exit_io);
        int status = 0;

        /* What it said before it died comes first, or the reason that it gave is lost. */
        serve_drain(b);
        while (waitpid(b->worker.pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (!b->is_faulted && !b->is_done && !b->is_stopping)
                report_death(b, status);
        enter_gone(b, status);
        return 0;
}

static int on_stop_deadline(struct loop_timer *timer) {
        struct broker *b = container_of(timer, struct broker, deadline);

        log_warning("the worker has not drained in time, ending it");
        b->state = BROKER_KILLED;
        kill_worker(b);
        return 0;
}

static void stop(struct broker *b, bool kill) {
        b->is_stopping = true;
        switch (b->state) {
        case BROKER_IDLE:
                enter_gone(b, 0);
                return;
        case BROKER_RUNNING:
                if (kill)
                        break;
                b->state = BROKER_STOPPING;
                broker_detach(b);
                /* A worker that cannot be told dies at the deadline all the same. */
                (void)serve_send(b, BROKER_STOP, BYTES(NULL, 0), BYTES(NULL, 0), NULL, 0);
                loop_timer_set(b->loop, &b->deadline,
                               b->has_stacks ? STOP_DEADLINE_STACKS : STOP_DEADLINE, "drain",
                               on_stop_deadline);
                return;
        case BROKER_STOPPING:
                if (!kill)
                        return;
                break;
        case BROKER_PREPARED:
        case BROKER_LOADING:
                /* Nothing to drain: no row was promised yet. */
                break;
        case BROKER_KILLED:
        case BROKER_GONE:
                return;
        }
        b->state = BROKER_KILLED;
        kill_worker(b);
}

void broker_is_ready(struct broker *b) {
        b->state = BROKER_RUNNING;
        if (!b->has_stacks && privileges_drop_ptrace() < 0)
                log_warning("the broker keeps CAP_SYS_PTRACE, which this gadget has no use for");
        trim_memory();
        /* With nothing attached this is all that was asked for; the worker's exit is no news. */
        if (b->inspect)
                b->is_done = true;
}

/* --- gadgetd --- */

static bool permit(void *owner, enum message_type type) {
        struct broker *b = owner;

        switch (b->state) {
        case BROKER_IDLE:
                return type == MSG_PREPARE || type == MSG_STOP;
        case BROKER_PREPARED:
        case BROKER_KILLED: /* late: the worker has died meanwhile */
        case BROKER_GONE:
                return type == MSG_START || type == MSG_STOP || type == MSG_CONTAINER_SET ||
                       type == MSG_CONTAINER_ALL || type == MSG_SHARED_MAP;
        case BROKER_LOADING:
        case BROKER_RUNNING:
        case BROKER_STOPPING:
                break;
        }
        return type == MSG_STOP || type == MSG_CONTAINER_SET || type == MSG_CONTAINER_ALL ||
               type == MSG_SHARED_MAP;
}

static int on_message(void *owner, struct received *received) {
        struct broker *b = owner;

        if (received->type == MSG_PREPARE)
                return broker_prepare(b, received);
        if (received->type == MSG_START)
                return broker_start(b, received);
        if (received->type == MSG_CONTAINER_SET)
                return containers_set(b, &received->msg->container_set, received->fds);
        if (received->type == MSG_CONTAINER_ALL)
                return containers_on_all(b);
        if (received->type == MSG_SHARED_MAP)
                return shared_on_map(b, &received->msg->shared_map, received->fds, received->n_fds);
        stop(b, received->msg->stop.kill);
        return 0;
}

/* Without gadgetd nobody wants the rows, and nobody else would clean up. */
static void on_closed(void *owner, int r, const struct error *err) {
        struct broker *b = owner;

        b->is_orphaned = true;
        if (b->state == BROKER_GONE)
                loop_exit(b->loop, 0);
        else
                stop(b, true);
}

static void remove_instance(struct broker *b) {
        cgroups_remove(&b->cgroups);
        if (b->parent_fd >= 0 && unlinkat(b->parent_fd, b->id, AT_REMOVEDIR) < 0)
                log_debug("the instance's directory stays");
}

int broker_new(int channel_fd, struct broker **ret) {
        static const struct channel_ops ops = { permit, on_message, on_closed };
        cleanup(broker_freep) struct broker *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->root_fd = b->tracefs_fd = b->pmu_fd = b->kallsyms_fd = b->kmsg_fd = b->dir_fd =
                b->parent_fd = b->listen_fd = -1;
        b->join_fd = b->host_netns_fd = b->shared.fd = -1;
        b->worker = (struct worker){ 0, -1, -1, -1, -1 };
        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                b->start_fds[i] = -1;
        b->start = BUF_INIT(LIMIT_FRAME_MAX);
        b->log_tail = BUF_INIT(LOG_TAIL_MAX + 1);
        r = loop_new(&b->loop);
        if (r == 0)
                r = channel_new(b->loop, channel_fd, "gadgetd", &ops, b, QUEUE_MAX, &b->gadgetd);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

struct broker *broker_free(struct broker *b) {
        if (!b)
                return NULL;
        kill_worker(b);
        if (b->is_orphaned)
                remove_instance(b);
        loop_io_remove(&b->listen_io);
        loop_io_remove(&b->join_io);
        serve_end(b);
        loop_io_remove(&b->exit_io);
        loop_timer_clear(&b->deadline);
        channel_free(b->gadgetd);
        loop_free(b->loop);
        objects_done(&b->objects);
        kernel_symbols_done(&b->kernel_symbols);
        shared_done(b);
        containers_done(b);
        netns_programs_done(b);
        netns_done(b);
        close_fd(&b->host_netns_fd);
        cgroups_done(&b->cgroups);
        worker_done(&b->worker);
        assembler_done(&b->assembler);
        sender_done(&b->sender);
        buf_done(&b->start);
        buf_done(&b->log_tail);
        for (size_t i = 0; i < ARRAY_SIZE(b->start_fds); i++)
                close_fd(&b->start_fds[i]);
        close_fd(&b->root_fd);
        close_fd(&b->tracefs_fd);
        close_fd(&b->pmu_fd);
        close_fd(&b->kallsyms_fd);
        close_fd(&b->kmsg_fd);
        close_fd(&b->dir_fd);
        close_fd(&b->parent_fd);
        close_fd(&b->listen_fd);
        close_fd(&b->join_fd);
        for (size_t i = 0; i < b->n_declared_hooks; i++)
                free(b->declared_hooks[i]);
        free(b->declared_hooks);
        targets_done(b);
        free(b->tracepoints);
        free(b);
        return NULL;
}
