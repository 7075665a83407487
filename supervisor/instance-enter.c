/* SPDX-License-Identifier: Apache-2.0 */
/* What each state is for: run once, when it is entered. Actions schedule events, they never raise
 * them. */
#include "supervisor/instance.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/stream.h"
#include "supervisor/supervisor.h"
#include "supervisor/trust.h"
#include "supervisor/waiter.h"

#define START_DEADLINE                                                                             \
        (60 * NSEC_PER_SEC) /* the verifier may take its time over a million instructions */
#define STOP_DEADLINE (10 * NSEC_PER_SEC)

static void fail_with(struct instance *in, int r, const char *what) {
        struct error err = {};

        error_set(&err, ERROR_INTERNAL, r, "%s: %s", what, strerror(-r));
        outcome_fail(&in->outcome, &err, NULL);
}

/* --- deadlines --- */

static int on_deadline(struct loop_timer *timer) {
        struct instance *in = container_of(timer, struct instance, deadline);
        struct error err = {};

        if (in->state == INSTANCE_STARTING)
                error_set(&err, ERROR_UNAVAILABLE, -ETIMEDOUT,
                          "the gadget was not ready within %u s, killed",
                          (unsigned int)(START_DEADLINE / NSEC_PER_SEC));
        else
                error_set(&err, ERROR_UNAVAILABLE, -ETIMEDOUT,
                          "the gadget did not end within %u s, killed",
                          (unsigned int)(STOP_DEADLINE / NSEC_PER_SEC));
        outcome_fail(&in->outcome, &err, in->broker->log_tail);
        (void)instance_event(in, EVENT_TIMEOUT);
        return 0;
}

/* A deadline that cannot be set is one that has passed. */
static void set_deadline(struct instance *in, uint64_t delay_ns, const char *name) {
        if (loop_timer_set(in->sup->loop, &in->deadline, delay_ns, name, on_deadline) < 0)
                instance_schedule(in, EVENT_TIMEOUT);
}

static int on_user_timeout(struct loop_timer *timer) {
        struct instance *in = container_of(timer, struct instance, timeout);

        if (in->state != INSTANCE_RUNNING)
                return 0; /* already ending */
        outcome_wish(&in->outcome, CAUSE_TIMEOUT);
        (void)instance_event(in, EVENT_TIMEOUT);
        return 0;
}

/* --- entry actions --- */

static void enter_fetching(struct instance *in) {
        struct error err = {};
        int r = 0;

        if (!in->image) {
                r = in->is_internal ? image_service_load_bundled(&in->sup->images, in->image_name,
                                                                 &in->image, &err)
                                    : image_service_load(&in->sup->images, in->image_name,
                                                         &in->image, &err);
                /* An inspection attaches nothing, and is what one does before trusting. */
                if (r == 0 && !in->is_inspect && !in->is_internal)
                        r = trust_admit(in->sup, in->image, in->allow_unsigned, &err);
        }
        if (r < 0) {
                err.code = err.code == ERROR_NONE ? ERROR_INTERNAL : err.code;
                outcome_fail(&in->outcome, &err, NULL);
                instance_schedule(in, EVENT_FAULT);
                return;
        }
        snprintf(in->digest, sizeof(in->digest), "%s", in->image->digest);
        instance_schedule(in, EVENT_IMAGE_READY);
}

static void take_spare(struct instance *in) {
        struct broker *spare = spare_take(in->sup, in->id);

        if (spare) {
                broker_free(in->broker);
                in->broker = spare;
                spare->instance = in;
        } else if (in->has_spare_id) {
                /* Lost a moment ago: what is left of it bears the id still. */
                instance_id_generate(in->id);
        }
}

void instance_begin(struct instance *in) {
        struct error err = {};
        int r;

        in->waits_for_containers = false;
        take_spare(in);
        r = broker_start(in->broker, &err);
        if (r < 0) {
                if (err.code == ERROR_NONE)
                        fail_with(in, r, "cannot start a broker");
                else
                        outcome_fail(&in->outcome, &err, NULL);
                instance_schedule(in, EVENT_FAULT);
                return;
        }
        containers_join(&in->sup->containers, in);
}

/* What filters by container begins with those that run already. */
static void enter_starting(struct instance *in) {
        struct containers *cs = &in->sup->containers;
        struct error err = {};

        if (in->is_inspect || in->is_host_wide) {
                instance_begin(in);
        } else if (containers_need(cs, &err) < 0) {
                outcome_fail(&in->outcome, &err, NULL);
                instance_schedule(in, EVENT_FAULT);
                return;
        } else if (cs->is_ready) {
                instance_begin(in);
        } else {
                in->waits_for_containers = true;
        }
        set_deadline(in, START_DEADLINE, "start deadline");
}

static void enter_running(struct instance *in) {
        log_debug("running '%s' as '%s'", in->image_name, in->name);
        in->was_running = true;
        if (in->timeout_ns > 0 && loop_timer_set(in->sup->loop, &in->timeout, in->timeout_ns,
                                                 "user timeout", on_user_timeout) < 0) {
                fail_with(in, -ENOMEM, "cannot set the timeout");
                instance_schedule(in, EVENT_FAULT);
                return;
        }
        /* For the names alone nobody has to wait. */
        if (!in->is_inspect && !in->is_internal && containers_need(&in->sup->containers, NULL) < 0)
                log_info("events of containers are shown without their names");
        waiters_on_running(in);
        if (in->is_inspect) { /* it has said what it is */
                outcome_wish(&in->outcome, CAUSE_FINISHED);
                instance_schedule(in, EVENT_STOP);
        }
}

static void enter_stopping(struct instance *in) {
        in->waits_for_containers = false;
        set_deadline(in, STOP_DEADLINE, "stop deadline");
        if (in->broker->pid > 0)
                broker_stop(in->broker);
        else
                broker_release(in->broker); /* it never came to life, or is being cleared away */
}

static void enter_killing(struct instance *in) {
        if (in->broker->pid > 0)
                broker_kill(in->broker);
        else
                broker_release(in->broker);
}

/* Restart policies are not there yet: what ended by itself stays ended. */
static void enter_backoff(struct instance *in) {
        outcome_wish(&in->outcome, CAUSE_FINISHED);
        instance_schedule(in, EVENT_STOP);
}

static void tell_end(struct instance *in) {
        struct stream *stream, *next;

        waiters_on_end(in);
        for (stream = LIST_FIRST(&in->streams); stream; stream = next) {
                next = LIST_NEXT(stream, of_instance);
                stream_on_end(stream);
        }
}

void instance_on_drained(struct instance *in) {
        if (in->state != INSTANCE_STOPPING || !in->owner || in->outcome.cause == CAUSE_FAILED)
                return;
        in->is_listed = false;
        tell_end(in);
}

static void enter_final(struct instance *in) {
        log_info("'%s' is over: %s", in->name, outcome_cause_name(&in->outcome));
        in->ended_ns = clock_ns(CLOCK_REALTIME);
        loop_timer_clear(&in->timeout);
        containers_leave(&in->sup->containers, in);
        socket_enricher_on_end(socket_enricher_of(in), in);
        instance_listen(in, false);
        close_fd(&in->bell_fd);
        close_fd(&in->ring_fd);
        in->image = image_free(in->image);
        if (!in->was_running || in->goes_when_final)
                in->is_listed = false;
        tell_end(in);
        instance_release(in);
}

const instance_enter_func instance_enter[_INSTANCE_STATE_MAX] = {
        [INSTANCE_FETCHING] = enter_fetching, [INSTANCE_STARTING] = enter_starting,
        [INSTANCE_RUNNING] = enter_running,   [INSTANCE_STOPPING] = enter_stopping,
        [INSTANCE_KILLING] = enter_killing,   [INSTANCE_BACKOFF] = enter_backoff,
        [INSTANCE_DONE] = enter_final,        [INSTANCE_FAILED] = enter_final,
};
