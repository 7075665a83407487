/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/object.h"

#include <stdlib.h>

#include "broker/broker.h"

const char *object_kind_name(enum object_kind kind) {
        static const char *const names[_OBJECT_KIND_MAX] = {
                [OBJECT_NONE] = "nothing", [OBJECT_MAP] = "a map",   [OBJECT_PROG] = "a program",
                [OBJECT_BTF] = "BTF",      [OBJECT_LINK] = "a link", [OBJECT_PERF] = "a perf event",
        };

        return names[kind];
}

/* A free slot; the table doubles when there is none. */
static struct object *find_slot(struct objects *o) {
        size_t n = MIN(o->n ? 2 * o->n : 32, (size_t)LIMIT_BROKER_OBJECTS_MAX);
        struct object *table;
        size_t first = o->n;

        for (size_t i = 0; i < o->n; i++)
                if (o->table[i].kind == OBJECT_NONE)
                        return &o->table[i];
        if (n == o->n)
                return NULL;
        table = reallocarray(o->table, n, sizeof(*table));
        if (!table)
                return NULL;
        memset(table + first, 0, (n - first) * sizeof(*table));
        o->table = table;
        o->n = n;
        return &table[first];
}

int objects_add(struct objects *o, enum object_kind kind, int take_fd, uint32_t *ret_handle,
                struct object **ret) {
        struct object *object = find_slot(o);

        if (!object) {
                close_fd(&take_fd);
                return -ENOSPC;
        }
        *object = (struct object){ .kind = kind, .fd = take_fd };
        *ret_handle = (uint32_t)(object - o->table) + 1;
        *ret = object;
        return 0;
}

size_t objects_room(const struct objects *o) {
        size_t n = LIMIT_BROKER_OBJECTS_MAX - o->n;

        for (size_t i = 0; i < o->n; i++)
                n += o->table[i].kind == OBJECT_NONE;
        return n;
}

struct object *objects_find(const struct objects *o, uint32_t handle) {
        if (handle == BROKER_HANDLE_NONE || handle > o->n ||
            o->table[handle - 1].kind == OBJECT_NONE)
                return NULL;
        return &o->table[handle - 1];
}

void objects_remove(struct objects *o, struct object *object) {
        free(object->hook);
        if (object->kind == OBJECT_PROG)
                free(object->prog.permissions);
        if (object->kind == OBJECT_PERF)
                free(object->perf.target);
        if (object->kind == OBJECT_MAP && object->map.is_shared)
                close_fd(&object->map.twin_fd);
        close_fd(&object->fd);
        *object = (struct object){ .fd = -1 };
}

void objects_done(struct objects *o) {
        for (size_t i = 0; i < o->n; i++)
                if (o->table[i].kind != OBJECT_NONE)
                        objects_remove(o, &o->table[i]);
        free(o->table);
        *o = (struct objects){ 0 };
}

int broker_object(struct broker *b, uint32_t handle, enum object_kind kind, struct object **ret,
                  struct error *err) {
        struct object *object = objects_find(&b->objects, handle);

        if (!object)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker named object %u where %s is due, but there is none",
                                 handle, object_kind_name(kind));
        if (object->kind != kind)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker named object %u, which is %s, where %s is due", handle,
                                 object_kind_name(object->kind), object_kind_name(kind));
        *ret = object;
        return 0;
}

int broker_object_fd(struct broker *b, uint32_t handle, enum object_kind kind, uint32_t *ret_fd,
                     struct error *err) {
        struct object *object;
        int r;

        *ret_fd = 0;
        if (handle == BROKER_HANDLE_NONE)
                return 0;
        *ret_fd = UINT32_MAX;
        if (handle == BROKER_HANDLE_BAD)
                return 0;
        r = broker_object(b, handle, kind, &object, err);
        if (r == 0)
                *ret_fd = (uint32_t)object->fd;
        return r;
}

int broker_add_object(struct broker *b, enum object_kind kind, int take_fd, struct reply *reply,
                      struct object **ret, struct error *err) {
        int r = objects_add(&b->objects, kind, take_fd, &reply->handle, ret);

        if (r < 0)
                return error_set(err, ERROR_LIMIT, r,
                                 "the gadget has %d programs, maps, links and events, which are "
                                 "the most",
                                 LIMIT_BROKER_OBJECTS_MAX);
        reply->result = 0;
        return 0;
}
