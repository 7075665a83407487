/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's objects. A handle is the index + 1; the lowest free one is used again. */
#pragma once

#include "base/util.h"
#include "gadget/api.h"
#include "gadget/broker.h"
#include "policy/permissions.h"

enum object_kind {
        OBJECT_NONE,
        OBJECT_MAP,
        OBJECT_PROG,
        OBJECT_BTF,
        OBJECT_LINK,
        OBJECT_PERF,
        _OBJECT_KIND_MAX,
};

struct object {
        enum object_kind kind;
        int fd;
        char name[BROKER_NAME_LEN]; /* map, program */
        uint32_t target;            /* of a uprobe: the file (broker/target.h); 0 = none */
        char *hook; /* link, perf event: "tracepoint/syscalls/sys_enter_openat"; NULL = attached to
                       nothing */
        bool is_iterator;     /* link: runs when it is read and at no other time */
        bool is_per_netns;    /* link: an iterator that shows the network namespace it is made in */
        bool shows_processes; /* link: an iterator over those of the pid namespace it is made in */
        union {
                struct {
                        uint32_t type;
                        uint32_t key_size;
                        uint64_t value_size; /* of a lookup: all CPUs together */
                        uint64_t bytes;
                        bool is_filter; /* BROKER_FILTER_MAP */
                        bool is_shared; /* the gadget's programs read it, and nobody else does */
                        int twin_fd; /* of a shared one: as it is, but programs cannot write it */
                } map;
                struct {
                        uint32_t type;
                        uint32_t attach_type;
                        struct permissions *permissions; /* of this program alone */
                } prog;
                struct {
                        char *target; /* the hook it would be */
                } perf;
        };
};

struct objects {
        struct object *table; /* grows; handles stay valid, pointers do not */
        size_t n;
};

/* take_fd becomes the table's, also on failure. -ENOSPC past LIMIT_BROKER_OBJECTS_MAX. */
int objects_add(struct objects *o, enum object_kind kind, int take_fd, uint32_t *ret_handle,
                struct object **ret);
/* How many more it takes. */
size_t objects_room(const struct objects *o);
/* NULL when there is none. */
struct object *objects_find(const struct objects *o, uint32_t handle);
void objects_remove(struct objects *o, struct object *object);
void objects_done(struct objects *o);

const char *object_kind_name(enum object_kind kind);
