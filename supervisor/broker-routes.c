/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/broker-routes.h"

#include <fcntl.h>
#include <sys/pidfd.h>

#include "base/log.h"
#include "ipc/scan.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"

#define GRACE (NSEC_PER_SEC) /* from the end of a broker's channel to SIGKILL */

static int on_started(struct instance *in, const union message *msg) {
        struct broker *broker = &in->broker;

        if (broker->worker_pid > 0)
                return -EPROTO;
        broker->worker_pid = (pid_t)msg->started.worker_pid;
        /* The broker has not waited for it when it says this, so the pid is its worker's still, or
         * its zombie's. */
        broker->worker_pidfd = pidfd_open(broker->worker_pid, 0);
        return 0;
}

static int on_ready(struct instance *in, const union message *msg) {
        const struct scan_limits limits = { .depth = 8, .elements = 65536 };
        const struct msg_ready *ready = &msg->ready;

        if (in->state != INSTANCE_STARTING)
                return 0; /* late: a stop crossed it */
        if (msgpack_scan_one(ready->permissions, &limits) < 0)
                return -EPROTO;
        if (buf_append(&in->schema, ready->schema.data, ready->schema.len) < 0 ||
            buf_append(&in->permissions, ready->permissions.data, ready->permissions.len) < 0)
                return -EPROTO;
        return instance_event(in, EVENT_WORKER_READY);
}

static int on_fault(struct instance *in, const union message *msg) {
        const struct msg_fault *fault = &msg->fault;
        struct error err = {};

        error_set(&err, error_code_from_name(fault->code), -ECANCELED, "%s", fault->message);
        instance_fault(in, &err, fault->detail);
        return 0;
}

static int on_stopped(struct instance *in, const union message *msg) {
        in->broker.has_stopped = true;
        in->broker.is_clean = msg->stopped.is_clean;
        in->broker.worker_status = msg->stopped.worker_status;
        return 0;
}

#define IN(_state) (1u << INSTANCE_##_state)
#define LATE (IN(STOPPING) | IN(KILLING))

/* Each row names every state in which the message may still be in flight. */
static const struct route {
        enum message_type type;
        uint32_t states;
        int (*handler)(struct instance *in, const union message *msg);
} routes[] = {
        { MSG_STARTED, IN(STARTING) | LATE, on_started },
        { MSG_READY, IN(STARTING) | LATE, on_ready },
        { MSG_FAULT, IN(STARTING) | IN(RUNNING) | LATE, on_fault },
        { MSG_STOPPED, IN(STARTING) | IN(RUNNING) | LATE, on_stopped },
};

static const struct route *find_route(enum message_type type) {
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                if (routes[i].type == type)
                        return &routes[i];
        return NULL;
}

static bool permit(void *owner, enum message_type type) {
        const struct instance *in = owner;
        const struct route *route = find_route(type);

        return route && (route->states & (1u << in->state)) != 0 && !in->broker.has_stopped;
}

static int on_message(void *owner, struct received *received) {
        struct instance *in = owner;

        return find_route(received->type)->handler(in, received->msg);
}

static int on_grace(struct loop_timer *timer) {
        broker_kill(container_of(timer, struct instance, broker.grace));
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct instance *in = owner;
        struct error why = {};

        if (r < 0) {
                error_set(&why, ERROR_INTERNAL, r, "the broker broke the protocol: %s",
                          error_text(err));
                instance_fault(in, &why, in->broker.log_tail);
                return;
        }
        /* It is about to exit, and its status says why; one that does not is helped. */
        if (loop_timer_set(in->sup->loop, &in->broker.grace, GRACE, "broker grace", on_grace) < 0)
                broker_kill(in);
}

const struct channel_ops broker_channel_ops = {
        .permit = permit,
        .on_message = on_message,
        .on_closed = on_closed,
};
