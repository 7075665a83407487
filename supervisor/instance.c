/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/instance.h"

#include <assert.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisor/client.h"
#include "supervisor/stream.h"
#include "supervisor/supervisor.h"
#include "supervisor/waiter.h"

/* --- making and finding --- */

static struct instance *find_by_name(struct supervisor *sup, const char *name) {
        struct instance *in;

        LIST_FOREACH (in, &sup->instances, link)
                if (in->is_listed && str_eq(in->name, name))
                        return in;
        return NULL;
}

static int choose_name(struct instance *in, const char *wanted, struct error *err) {
        int r;

        if (wanted && wanted[0] != '\0') {
                r = instance_name_check(wanted, err);
                if (r < 0)
                        return r;
                if (find_by_name(in->sup, wanted))
                        return error_set(err, ERROR_INVALID, -EEXIST,
                                         "an instance called '%s' exists already; stop it or take "
                                         "another name",
                                         wanted);
                snprintf(in->name, sizeof(in->name), "%s", wanted);
                return 0;
        }
        for (unsigned int attempt = 0;; attempt++) {
                instance_name_generate(attempt, in->name);
                if (!find_by_name(in->sup, in->name))
                        return 0;
        }
}

static int copy_object(const struct instance_spec *spec, struct image **ret) {
        cleanup(image_freep) struct image *image = calloc(1, sizeof(*image));

        if (!image)
                return -ENOMEM;
        image->name = strdup(spec->image ? spec->image : "(object)");
        image->object = malloc(spec->object.len);
        image->definition = malloc(MAX(spec->definition.len, (size_t)1));
        image->definition_name = spec->definition_name ? strdup(spec->definition_name) : NULL;
        if (!image->name || !image->object || !image->definition ||
            (spec->definition_name && !image->definition_name))
                return -ENOMEM;
        memcpy(image->object, spec->object.data, spec->object.len);
        if (spec->definition.len > 0)
                memcpy(image->definition, spec->definition.data, spec->definition.len);
        image->object_size = spec->object.len;
        image->definition_size = spec->definition.len;
        *ret = TAKE_PTR(image);
        return 0;
}

static int copy_spec(struct instance *in, const struct instance_spec *spec) {
        in->owner = spec->owner;
        in->timeout_ns = spec->timeout_ns;
        in->ring_size = spec->ring_size ? spec->ring_size : EVENT_RING_DEFAULT;
        in->allow_unsafe = spec->allow_unsafe;
        in->allow_unsigned = spec->allow_unsigned;
        in->is_host_wide = spec->is_host_wide;
        in->is_inspect = spec->is_inspect;
        in->is_object = spec->object.len > 0;
        in->is_internal = spec->is_internal;
        if (selection_copy(&spec->selection, &in->selection) < 0)
                return -ENOMEM;
        in->image_name = strdup(spec->image ? spec->image : "(object)");
        in->params = malloc(MAX(spec->params.len, (size_t)1));
        if (!in->image_name || !in->params)
                return -ENOMEM;
        if (spec->params.len > 0)
                memcpy(in->params, spec->params.data, spec->params.len);
        in->params_len = spec->params.len;
        return spec->object.len > 0 ? copy_object(spec, &in->image) : 0;
}

static int check_ring_size(uint64_t size, struct error *err) {
        if (size == 0)
                return 0;
        if (size < LIMIT_EVENT_RING_MIN || size > LIMIT_EVENT_RING_MAX || (size & (size - 1)) != 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "the event ring is a power of two from %d to %d bytes",
                                 LIMIT_EVENT_RING_MIN, LIMIT_EVENT_RING_MAX);
        return 0;
}

int instance_new(struct supervisor *sup, const struct instance_spec *spec, struct instance **ret,
                 struct error *err) {
        cleanup(instance_freep) struct instance *in = NULL;
        int r;

        if (sup->is_ending)
                return error_set(err, ERROR_UNAVAILABLE, -ESHUTDOWN, "gadgetd is ending");
        if (sup->n_instances >= LIMIT_INSTANCES_MAX)
                return error_set(err, ERROR_LIMIT, -EMFILE, "there are %d instances already",
                                 LIMIT_INSTANCES_MAX);
        r = check_ring_size(spec->ring_size, err);
        if (r < 0)
                return r;
        in = calloc(1, sizeof(*in));
        if (!in)
                return -ENOMEM;
        in->sup = sup;
        in->pending = _INSTANCE_EVENT_MAX;
        in->ring_fd = in->bell_fd = -1;
        in->schema = BUF_INIT(LIMIT_SCHEMA_SIZE_MAX);
        in->permissions = BUF_INIT(LIMIT_FRAME_MAX);
        in->created_ns = clock_ns(CLOCK_REALTIME);
        LIST_INIT(&in->streams);
        LIST_INIT(&in->waiters);
        r = broker_new(sup, &in->broker);
        LIST_INSERT_HEAD(&sup->instances, in, link);
        sup->n_instances++;
        if (r < 0)
                return r;
        in->broker->instance = in;
        /* Looking at an image can wait; the spare is for those who want to see rows. */
        in->has_spare_id = !spec->is_inspect && spare_promise(sup, in->id);
        if (!in->has_spare_id)
                instance_id_generate(in->id);
        r = choose_name(in, spec->name, err);
        if (r == 0)
                r = copy_spec(in, spec);
        if (r < 0)
                return r;
        in->is_listed = !in->is_inspect;
        *ret = TAKE_PTR(in);
        return 0;
}

struct instance *instance_free(struct instance *in) {
        if (!in)
                return NULL;
        assert(LIST_EMPTY(&in->streams) && LIST_EMPTY(&in->waiters));
        LIST_REMOVE(in, link);
        in->sup->n_instances--;
        loop_defer_cancel(&in->pending_defer);
        loop_defer_cancel(&in->free_defer);
        loop_timer_clear(&in->deadline);
        loop_timer_clear(&in->timeout);
        spare_forgo(in->sup, in->id);
        broker_free(in->broker);
        loop_io_remove(&in->bell_io);
        if (in->has_ring)
                ring_reader_done(&in->ring);
        close_fd(&in->ring_fd);
        close_fd(&in->bell_fd);
        image_free(in->image);
        outcome_done(&in->outcome);
        selection_done(&in->selection);
        buf_done(&in->schema);
        buf_done(&in->permissions);
        free(in->image_name);
        free(in->params);
        free(in);
        return NULL;
}

int instance_find(struct supervisor *sup, const char *text, struct instance **ret,
                  struct error *err) {
        struct instance *in = find_by_name(sup, text), *found = NULL;
        size_t n = strlen(text);

        if (in) {
                *ret = in;
                return 0;
        }
        LIST_FOREACH (in, &sup->instances, link) {
                if (!in->is_listed || n == 0 || strncmp(in->id, text, n) != 0)
                        continue;
                if (found)
                        return error_set(err, ERROR_INVALID, -EEXIST,
                                         "'%.64s' is the beginning of several ids, such as %.16s "
                                         "and %.16s; give "
                                         "more digits",
                                         text, found->id, in->id);
                found = in;
        }
        if (!found)
                return error_set(err, ERROR_NOT_FOUND, -ENOENT,
                                 "no instance has the name or id '%.64s' (see gadgetctl list)",
                                 text);
        *ret = found;
        return 0;
}

/* --- the state --- */

static void set_state(struct instance *in, enum instance_state next, enum instance_event event) {
        enum instance_state old = in->state;

        loop_timer_clear(&in->deadline);
        loop_defer_cancel(&in->pending_defer);
        in->pending = _INSTANCE_EVENT_MAX;
        in->state = next;
        log_debug("%s -> %s (%s)", instance_state_name(old), instance_state_name(next),
                  instance_event_name(event));
        if (instance_enter[next])
                instance_enter[next](in);
}

int instance_event(struct instance *in, enum instance_event event) {
        enum instance_state next = instance_state_next(in->state, event);
        int r = 0;

        log_context("instance %.12s", in->id);
        if (next == _INSTANCE_STATE_MAX) {
                log_error("'%s' cannot happen while %s", instance_event_name(event),
                          instance_state_name(in->state));
                r = -EPROTO;
        } else if (next != in->state) { /* staying enters nothing: a second STOP must not move the
                                           deadline */
                set_state(in, next, event);
        }
        log_context("%s", "");
        return r;
}

static int on_pending(struct loop_defer *defer) {
        struct instance *in = container_of(defer, struct instance, pending_defer);
        enum instance_event event = in->pending;

        in->pending = _INSTANCE_EVENT_MAX;
        (void)instance_event(in, event);
        return 0;
}

void instance_schedule(struct instance *in, enum instance_event event) {
        assert(in->pending == _INSTANCE_EVENT_MAX);
        in->pending = event;
        loop_defer(in->sup->loop, &in->pending_defer, on_pending);
}

void instance_fault(struct instance *in, const struct error *error, const char *detail) {
        if (in->outcome.cause != CAUSE_FAILED)
                log_info("instance %.12s (%s): %s", in->id, in->name, error_text(error));
        outcome_fail(&in->outcome, error, detail);
        if (instance_state_next(in->state, EVENT_FAULT) != _INSTANCE_STATE_MAX)
                (void)instance_event(in, EVENT_FAULT);
}

void instance_stop(struct instance *in, enum outcome_cause cause) {
        if (instance_state_is_final(in->state)) {
                instance_unlist(in);
                return;
        }
        in->goes_when_final = true;
        outcome_wish(&in->outcome, cause);
        (void)instance_event(in, EVENT_STOP);
}

/* --- the end --- */

static int on_free(struct loop_defer *defer) {
        struct instance *in = container_of(defer, struct instance, free_defer);
        struct supervisor *sup = in->sup;

        instance_free(in);
        supervisor_check_end(sup);
        return 0;
}

void instance_release(struct instance *in) {
        if (!instance_state_is_final(in->state) || in->is_listed || !LIST_EMPTY(&in->streams))
                return;
        assert(LIST_EMPTY(&in->waiters));
        loop_defer(in->sup->loop, &in->free_defer, on_free);
}

void instance_unlist(struct instance *in) {
        in->is_listed = false;
        instance_release(in);
}

/* --- rows --- */

static int on_bell(struct loop_io *io, uint32_t events) {
        struct instance *in = container_of(io, struct instance, bell_io);
        struct stream *stream, *next;
        uint64_t n;

        (void)events;
        socket_enricher_on_rows(socket_enricher_of(in), in);
        if (read(in->bell_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
                log_warning_errno(-errno, "instance %.12s: the bell does not work", in->id);
        for (stream = LIST_FIRST(&in->streams); stream; stream = next) {
                next = LIST_NEXT(stream, of_instance);
                stream_on_rows(stream);
        }
        return 0;
}

void instance_listen(struct instance *in, bool listen) {
        bool is_listening = in->bell_io.loop != NULL;
        int r = 0;

        if (listen && !is_listening && in->bell_fd >= 0)
                r = loop_io_add(in->sup->loop, &in->bell_io, in->bell_fd, EPOLLIN, "bell", on_bell);
        /* gadgetd itself hears its own. */
        else if (!listen && (!in->is_internal || instance_state_is_final(in->state)))
                loop_io_remove(&in->bell_io);
        if (r < 0)
                log_error_errno(r, "instance %.12s: cannot wait for rows", in->id);
}
