/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/socket-enricher.h"

#include <stdio.h>

#include "base/log.h"
#include "supervisor/instance.h"
#include "supervisor/supervisor.h"

#define NO_PARAMS BYTES("\x80", 1)

static const struct {
        const char *image, *name;
} gadgets[_SOCKET_VALUES_MAX] = {
        [SOCKET_VALUES_PLAIN] = { "socket_enricher", "socket-enricher" },
        [SOCKET_VALUES_WITH_PATHS] = { "socket_enricher_paths", "socket-enricher-paths" },
};

void socket_enrichers_init(struct socket_enricher *all, struct supervisor *sup) {
        for (enum socket_values values = 0; values < _SOCKET_VALUES_MAX; values++)
                all[values] =
                        (struct socket_enricher){ .sup = sup, .values = values, .map_fd = -1 };
}

void socket_enrichers_done(struct socket_enricher *all) {
        for (enum socket_values values = 0; values < _SOCKET_VALUES_MAX; values++) {
                loop_defer_cancel(&all[values].restart);
                close_fd(&all[values].map_fd);
        }
}

struct socket_enricher *socket_enricher_of(const struct instance *in) {
        return &in->sup->socket_enrichers[in->socket_values];
}

/* --- those who read the map --- */

static void answer(const struct socket_enricher *e, struct instance *in, const char *why) {
        const struct msg_shared_map msg = { .message = why };

        in->socket_use = why ? SOCKET_USE_NONE : SOCKET_USE_READS;
        if (!in->broker->channel)
                return;
        /* A broker that cannot be told goes at its instance's deadline. */
        (void)channel_send(in->broker->channel, MSG_SHARED_MAP, &msg, &e->map_fd, why ? 0 : 1);
}

static void answer_all(const struct socket_enricher *e, const char *why) {
        struct instance *in;

        LIST_FOREACH (in, &e->sup->instances, link)
                if (in->socket_use == SOCKET_USE_WAITS && in->socket_values == e->values)
                        answer(e, in, why);
}

static bool has_users(const struct socket_enricher *e) {
        const struct instance *in;

        LIST_FOREACH (in, &e->sup->instances, link)
                if (in->socket_use != SOCKET_USE_NONE && in->socket_values == e->values)
                        return true;
        return false;
}

static void tell_readers(const struct socket_enricher *e, const char *note) {
        struct instance *in;

        LIST_FOREACH (in, &e->sup->instances, link) {
                if (in->socket_use != SOCKET_USE_READS || in->socket_values != e->values)
                        continue;
                snprintf(in->note, sizeof(in->note), "%s", note);
                log_warning("instance %.12s (%s): %s", in->id, in->name, note);
        }
}

/* --- its life --- */

static int start(struct socket_enricher *e, struct error *err) {
        struct instance_spec spec = {
                .image = gadgets[e->values].image,
                .params = NO_PARAMS,
                .name = gadgets[e->values].name,
                .allow_unsafe = true, /* it hooks into calls of the host, and refuses none */
                .is_host_wide = true,
                .is_internal = true,
        };
        int r;

        r = instance_new(e->sup, &spec, &e->instance, err);
        if (r == -EEXIST) {
                /* Its predecessor is still on its way out, or a user has taken the name. */
                spec.name = NULL;
                *err = (struct error){ 0 };
                r = instance_new(e->sup, &spec, &e->instance, err);
        }
        if (r < 0) {
                e->instance = NULL;
                return r;
        }
        e->instance->socket_values = e->values;
        e->is_filled = false;
        return instance_event(e->instance, EVENT_START);
}

/* There is none to be had: who waits goes on without, and who reads is told. */
static void give_up(struct socket_enricher *e, const char *why) {
        char text[400];

        close_fd(&e->map_fd);
        snprintf(text, sizeof(text), "the socket enricher does not run: %s", why);
        log_warning("%s", text);
        tell_readers(e, "the processes of new sockets are not known: the socket enricher was lost");
        answer_all(e, text);
}

static void start_or_give_up(struct socket_enricher *e) {
        struct error err = {};

        if (start(e, &err) < 0)
                give_up(e, error_text(&err));
}

static int on_restart(struct loop_defer *defer) {
        struct socket_enricher *e = container_of(defer, struct socket_enricher, restart);

        if (!e->instance && !e->sup->is_ending && has_users(e))
                start_or_give_up(e);
        return 0;
}

void socket_enricher_want(struct instance *in, bool with_paths) {
        struct socket_enricher *e;

        in->socket_values = with_paths ? SOCKET_VALUES_WITH_PATHS : SOCKET_VALUES_PLAIN;
        e = socket_enricher_of(in);
        in->socket_use = SOCKET_USE_WAITS;
        if (e->is_filled)
                answer(e, in, NULL);
        else if (!e->instance)
                start_or_give_up(e);
}

int socket_enricher_on_offer(struct socket_enricher *e, struct instance *in, int take_fd) {
        if (in != e->instance) {
                close_fd(&take_fd);
                return in->is_internal ? 0 : -EPROTO; /* one that has been let go meanwhile */
        }
        close_fd(&e->map_fd);
        e->map_fd = take_fd;
        instance_listen(in, true);
        return 0;
}

void socket_enricher_on_rows(struct socket_enricher *e, struct instance *in) {
        struct ring_cursor cursor;

        if (in != e->instance || e->is_filled || e->map_fd < 0)
                return;
        ring_cursor_oldest(&in->ring, &cursor);
        if (!ring_has_more(&in->ring, &cursor))
                return;
        e->is_filled = true;
        tell_readers(e, "");
        answer_all(e, NULL);
}

static void on_lost(struct socket_enricher *e, const struct instance *in) {
        bool was_filled = e->is_filled;

        e->instance = NULL;
        e->is_filled = false;
        if (e->sup->is_ending || !has_users(e))
                return;
        if (!was_filled) {
                give_up(e, in->outcome.cause == CAUSE_FAILED ? error_text(&in->outcome.error)
                                                             : outcome_cause_name(&in->outcome));
                return;
        }
        tell_readers(e, "the socket enricher was lost and is started again: the processes of "
                        "sockets made meanwhile may be missing");
        loop_defer(e->sup->loop, &e->restart, on_restart);
}

void socket_enricher_on_end(struct socket_enricher *e, struct instance *in) {
        if (in == e->instance) {
                on_lost(e, in);
                return;
        }
        if (in->socket_use == SOCKET_USE_NONE)
                return;
        in->socket_use = SOCKET_USE_NONE;
        if (has_users(e))
                return;
        close_fd(&e->map_fd);
        e->is_filled = false;
        if (e->instance)
                instance_stop(TAKE_PTR(e->instance), CAUSE_STOPPED);
}
