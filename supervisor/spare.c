/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/spare.h"

#include <poll.h>

#include "base/log.h"
#include "supervisor/broker-proc.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"

#define IDLE_DELAY (200 * NSEC_PER_MSEC) /* not beside the start that took the last one */
#define BACKOFF_MIN (1 * NSEC_PER_SEC)
#define BACKOFF_MAX (60 * NSEC_PER_SEC)

static int on_time(struct loop_timer *timer);

static void schedule(struct supervisor *sup, uint64_t delay_ns) {
        if (sup->options.is_private || sup->options.no_spare || sup->is_ending)
                return;
        if (loop_timer_set(sup->loop, &sup->spare.timer, delay_ns, "spare", on_time) < 0)
                log_debug("no timer for a spare, going without");
}

/* Something starts or ends: a spare would only take the CPU away from it. */
static bool is_busy(const struct supervisor *sup) {
        const struct instance *in;

        LIST_FOREACH (in, &sup->instances, link)
                if (in->state != INSTANCE_RUNNING && !instance_state_is_final(in->state))
                        return true;
        return false;
}

/* The kernel knows before the reaper does. */
static bool has_died(const struct broker *broker) {
        struct pollfd fds[] = { { .fd = broker->pidfd, .events = POLLIN },
                                { .fd = broker->worker_pidfd, .events = POLLIN } };

        return poll(fds, ARRAY_SIZE(fds), 0) > 0;
}

static void clear_away(struct spare *spare) {
        spare->is_lost = true;
        if (spare->broker->pid > 0)
                broker_kill(spare->broker);
        else
                broker_release(spare->broker);
}

static int on_time(struct loop_timer *timer) {
        struct supervisor *sup = container_of(timer, struct supervisor, spare.timer);
        struct spare *spare = &sup->spare;
        char id[INSTANCE_ID_LEN + 1];
        struct error err = {};
        int r;

        if (spare->broker || is_busy(sup)) {
                schedule(sup, IDLE_DELAY);
                return 0;
        }
        spare->is_promised = spare->is_lost = false;
        instance_id_generate(id);
        r = broker_new(sup, &spare->broker);
        if (r < 0)
                return 0;
        r = broker_prepare(spare->broker, id, &err);
        if (r < 0) {
                if (err.code == ERROR_NONE)
                        error_set(&err, ERROR_INTERNAL, r, "%s", strerror(-r));
                spare_on_fault(sup, &err);
                clear_away(spare);
        }
        return 0;
}

void spare_begin(struct supervisor *sup) {
        schedule(sup, 0);
}

bool spare_promise(struct supervisor *sup, char *ret_id) {
        struct spare *spare = &sup->spare;

        if (!spare->broker || spare->is_lost || spare->is_promised)
                return false;
        spare->is_promised = true;
        memcpy(ret_id, spare->broker->id, sizeof(spare->broker->id));
        return true;
}

void spare_forgo(struct supervisor *sup, const char *id) {
        if (sup->spare.broker && str_eq(sup->spare.broker->id, id))
                sup->spare.is_promised = false;
}

struct broker *spare_take(struct supervisor *sup, const char *id) {
        struct spare *spare = &sup->spare;

        schedule(sup, IDLE_DELAY);
        if (!spare->broker || spare->is_lost || !str_eq(spare->broker->id, id))
                return NULL;
        if (has_died(spare->broker)) {
                spare->is_lost = true;
                return NULL;
        }
        spare->backoff_ns = 0;
        return TAKE_PTR(spare->broker);
}

/* Nobody asked for it, so nobody is told: a run that meets the same obstacle says it. */
void spare_on_fault(struct supervisor *sup, const struct error *err) {
        struct spare *spare = &sup->spare;

        if (!spare->is_lost)
                log_info("no worker is kept ready: %s", error_text(err));
        spare->is_lost = true;
}

static int on_free(struct loop_defer *defer) {
        struct supervisor *sup = container_of(defer, struct supervisor, spare.free_defer);
        struct spare *spare = &sup->spare;

        spare->broker = broker_free(spare->broker);
        spare->backoff_ns = MIN(MAX(spare->backoff_ns * 2, BACKOFF_MIN), BACKOFF_MAX);
        schedule(sup, spare->backoff_ns);
        supervisor_check_end(sup);
        return 0;
}

void spare_on_gone(struct supervisor *sup) {
        sup->spare.is_lost = true;
        loop_defer(sup->loop, &sup->spare.free_defer, on_free);
}

void spare_end(struct supervisor *sup) {
        loop_timer_clear(&sup->spare.timer);
        if (sup->spare.broker && !sup->spare.is_lost)
                clear_away(&sup->spare);
}

void spare_done(struct supervisor *sup) {
        struct spare *spare = &sup->spare;

        loop_timer_clear(&spare->timer);
        loop_defer_cancel(&spare->free_defer);
        if (spare->broker)
                broker_kill(spare->broker);
        spare->broker = broker_free(spare->broker);
}

pid_t spare_pid(const struct supervisor *sup) {
        const struct spare *spare = &sup->spare;

        return spare->broker && !spare->is_lost && spare->broker->is_prepared ? spare->broker->pid
                                                                              : 0;
}
