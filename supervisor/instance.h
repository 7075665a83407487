/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running (or finished) gadget: what was asked for, its state, its broker, its event ring, who
 * reads it and who waits for it. instance_event() is the only thing that changes the state; entry
 * actions (instance-enter.c) do what a state is for. An instance is freed when it is final, nobody
 * can name it any more and no stream reads its ring.
 */
#pragma once

#include <sys/queue.h>

#include "base/loop.h"
#include "image/store.h"
#include "ipc/ring.h"
#include "supervisor/broker-proc.h"
#include "supervisor/instance-names.h"
#include "supervisor/instance-state.h"
#include "supervisor/outcome.h"
#include "supervisor/selection.h"
#include "supervisor/socket-enricher.h"

struct supervisor;
struct client;
struct stream;
struct waiter;

LIST_HEAD(stream_list, stream);
LIST_HEAD(waiter_list, waiter);

/* What a run asks for; borrowed, copied by instance_new(). */
struct instance_spec {
        const char *image;   /* reference, or label of `object` */
        struct bytes object; /* empty: `image` is loaded */
        struct bytes definition;
        const char *definition_name; /* NULL = none */
        struct bytes params;         /* msgpack map, checked */
        const char *name;            /* NULL = made up */
        struct client *owner;        /* foreground: ends with this client; NULL = detached */
        uint64_t timeout_ns;
        uint64_t ring_size; /* 0 = default */
        bool allow_unsafe;
        bool allow_unsigned; /* policy's refusal of the image is waived */
        bool is_host_wide;
        struct selection selection; /* borrowed too */
        bool is_internal;           /* gadgetd's own: of a bundled image, for nobody's account */
        bool is_inspect;            /* loaded to see what it is, never attached, never listed */
};

struct instance {
        struct supervisor *sup;
        LIST_ENTRY(instance) link;
        char id[INSTANCE_ID_LEN + 1];
        char name[LIMIT_NAME_MAX_LEN + 1];
        char *image_name;
        struct image *image; /* until the broker has it */
        char digest[DIGEST_TEXT_MAX];
        uint8_t *params;
        size_t params_len;
        struct client *owner;
        uint64_t timeout_ns;
        uint64_t ring_size;
        bool allow_unsafe;
        bool allow_unsigned;
        bool is_host_wide;
        bool is_inspect;
        bool is_object; /* no image of a store */
        bool is_internal;
        struct selection selection;
        bool waits_for_containers; /* starts when they are known */
        enum socket_use socket_use;
        enum socket_values socket_values; /* of the map that it uses, or fills */
        bool wants_netns;                 /* its broker gets fds of containers */
        bool wants_roots;
        bool wants_all;       /* it waits for CONTAINER_ALL */
        bool is_listed;       /* can be found; false = goes as soon as it can */
        bool goes_when_final; /* somebody wanted it gone: not kept for `attach` and `show` */
        bool was_running;
        bool has_spare_id;   /* of the spare that it takes when it starts */
        uint64_t created_ns; /* CLOCK_REALTIME */
        uint64_t ended_ns;

        enum instance_state state;
        enum instance_event pending; /* scheduled by an entry action */
        struct loop_defer pending_defer;
        struct loop_timer deadline; /* of the state */
        struct loop_timer timeout;  /* of the user */
        struct loop_defer free_defer;
        struct outcome outcome;
        char note[256]; /* what is not as it should be while it runs; empty = nothing */

        struct broker *broker; /* from the beginning; may not have a process */
        int ring_fd;
        int bell_fd;
        struct loop_io bell_io;
        struct ring_reader ring;
        bool has_ring;
        struct buf schema;      /* opaque */
        struct buf permissions; /* msgpack map */

        struct stream_list streams;
        struct waiter_list waiters;
};

/* Makes it in state IDLE and lists it. -EEXIST for a name that is taken, -EMFILE at
 * LIMIT_INSTANCES_MAX. */
int instance_new(struct supervisor *sup, const struct instance_spec *spec, struct instance **ret,
                 struct error *err);

/* Frees at once; only when nothing refers to it (see instance_release) or at the end of gadgetd. */
struct instance *instance_free(struct instance *in);

/* By name, id or unique id prefix. Borrowed. */
DEFINE_CLEANUP(struct instance, instance_free)

int instance_find(struct supervisor *sup, const char *text, struct instance **ret,
                  struct error *err);

/* Moves on by the table. -EPROTO: this event cannot happen now (logged); the caller ends whoever
 * caused it. */
int instance_event(struct instance *in, enum instance_event event);

/* For entry actions: raises the event at the end of this loop round, unless the state has changed
 * by then. */
void instance_schedule(struct instance *in, enum instance_event event);

/* Notes why and moves to where the gadget is ended. */
void instance_fault(struct instance *in, const struct error *error, const char *detail);

/* Ends it for this cause, whatever it is doing; a final one only stops being listed. */
void instance_stop(struct instance *in, enum outcome_cause cause);

/* Every row is in the ring and every counter has its last value, while the kernel still takes the
 * gadget apart (100 ms): who runs it in the foreground does not wait for that. */
void instance_on_drained(struct instance *in);

/* No longer found by anybody; freed once it is final and unread. */
void instance_unlist(struct instance *in);

/* Frees it at the end of this round if nothing needs it any more. */
void instance_release(struct instance *in);

/* Rows may be in the ring: called by the bell, and by whoever begins to listen. */
void instance_listen(struct instance *in, bool listen);

/* Starts its broker, now that it is known which containers there are. */
void instance_begin(struct instance *in);

/* Entry actions by state; NULL = nothing to do. */
typedef void (*instance_enter_func)(struct instance *in);
extern const instance_enter_func instance_enter[_INSTANCE_STATE_MAX];
