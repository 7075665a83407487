/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/broker-routes.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/pidfd.h>

#include "base/log.h"
#include "ipc/scan.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"

#define GRACE (NSEC_PER_SEC) /* from the end of a broker's channel to SIGKILL */

static int on_started(struct broker *broker, struct received *received) {
        if (broker->worker_pid > 0)
                return -EPROTO;
        broker->worker_pid = (pid_t)received->msg->started.worker_pid;
        /* The broker has not waited for it when it says this, so the pid is its worker's still, or
         * its zombie's. */
        broker->worker_pidfd = pidfd_open(broker->worker_pid, 0);
        return 0;
}

static int on_prepared(struct broker *broker, struct received *received) {
        broker->is_prepared = true;
        return 0;
}

static int on_ready(struct broker *broker, struct received *received) {
        struct instance *in = broker->instance;
        const struct scan_limits limits = { .depth = 8, .elements = 65536 };
        const struct msg_ready *ready = &received->msg->ready;

        if (in->state != INSTANCE_STARTING)
                return 0; /* late: a stop crossed it */
        if (msgpack_scan_one(ready->permissions, &limits) < 0)
                return -EPROTO;
        if (buf_append(&in->schema, ready->schema.data, ready->schema.len) < 0 ||
            buf_append(&in->permissions, ready->permissions.data, ready->permissions.len) < 0)
                return -EPROTO;
        if (ready->note)
                snprintf(in->note, sizeof(in->note), "%s", ready->note);
        return instance_event(in, EVENT_WORKER_READY);
}

static int on_fault(struct broker *broker, struct received *received) {
        const struct msg_fault *fault = &received->msg->fault;
        struct error err = {};

        error_set(&err, error_code_from_name(fault->code), -ECANCELED, "%s", fault->message);
        broker_on_fault(broker, &err, fault->detail);
        return 0;
}

static int on_stopped(struct broker *broker, struct received *received) {
        broker->has_stopped = true;
        broker->is_clean = received->msg->stopped.is_clean;
        broker->worker_status = received->msg->stopped.worker_status;
        if (broker->is_clean && broker->instance)
                instance_on_drained(broker->instance);
        return 0;
}

static int on_container_done(struct broker *broker, struct received *received) {
        containers_on_done(&broker->sup->containers, received->msg->container_done.serial);
        return 0;
}

static int on_container_want(struct broker *broker, struct received *received) {
        containers_want(&broker->sup->containers, broker->instance, &received->msg->container_want);
        return 0;
}

static int on_shared_map_offer(struct broker *broker, struct received *received) {
        return socket_enricher_on_offer(socket_enricher_of(broker->instance), broker->instance,
                                        TAKE_FD(received->fds[0]));
}

static int on_shared_map_want(struct broker *broker, struct received *received) {
        struct instance *in = broker->instance;

        if (in->is_internal || in->socket_use != SOCKET_USE_NONE)
                return -EPROTO;
        if (in->state == INSTANCE_STARTING) /* or a stop has crossed it */
                socket_enricher_want(in, received->msg->shared_map_want.with_paths);
        return 0;
}

#define IN(_state) (1u << INSTANCE_##_state)
#define LATE (IN(STOPPING) | IN(KILLING))
#define SPARE (1u << _INSTANCE_STATE_MAX) /* there is no instance yet */

/* Each row names every state in which the message may still be in flight. */
static const struct route {
        enum message_type type;
        uint32_t states;
        int (*handler)(struct broker *broker, struct received *received);
} routes[] = {
        { MSG_STARTED, SPARE | IN(STARTING) | LATE, on_started },
        { MSG_PREPARED, SPARE | IN(STARTING) | LATE, on_prepared },
        { MSG_READY, IN(STARTING) | LATE, on_ready },
        { MSG_FAULT, SPARE | IN(STARTING) | IN(RUNNING) | LATE, on_fault },
        { MSG_CONTAINER_DONE, IN(STARTING) | IN(RUNNING) | LATE, on_container_done },
        { MSG_CONTAINER_WANT, IN(STARTING) | LATE, on_container_want },
        { MSG_SHARED_MAP_OFFER, IN(STARTING) | IN(RUNNING) | LATE, on_shared_map_offer },
        { MSG_SHARED_MAP_WANT, IN(STARTING) | LATE, on_shared_map_want },
        { MSG_STOPPED, SPARE | IN(STARTING) | IN(RUNNING) | LATE, on_stopped },
};

static const struct route *find_route(enum message_type type) {
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                if (routes[i].type == type)
                        return &routes[i];
        return NULL;
}

static bool permit(void *owner, enum message_type type) {
        const struct broker *broker = owner;
        const struct route *route = find_route(type);
        uint32_t now = broker->instance ? 1u << broker->instance->state : SPARE;

        return route && (route->states & now) != 0 && !broker->has_stopped;
}

static int on_message(void *owner, struct received *received) {
        return find_route(received->type)->handler(owner, received);
}

static int on_grace(struct loop_timer *timer) {
        broker_kill(container_of(timer, struct broker, grace));
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct broker *broker = owner;
        struct error why = {};

        if (r < 0) {
                error_set(&why, ERROR_INTERNAL, r, "the broker broke the protocol: %s",
                          error_text(err));
                broker_on_fault(broker, &why, broker->log_tail);
                if (!broker->instance)
                        broker_kill(broker);
                return;
        }
        /* It is about to exit, and its status says why; one that does not is helped. */
        if (loop_timer_set(broker->sup->loop, &broker->grace, GRACE, "broker grace", on_grace) < 0)
                broker_kill(broker);
}

const struct channel_ops broker_channel_ops = {
        .permit = permit,
        .on_message = on_message,
        .on_closed = on_closed,
};
