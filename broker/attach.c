/* SPDX-License-Identifier: Apache-2.0 */
/* Links: what attaches a program. Each remembers its hook as text, for the gadget's permissions. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/bpf.h"
#include "broker/broker.h"

struct attach_type {
        uint32_t type;
        const char *name;
        enum object_kind target; /* OBJECT_NONE: the program says itself where it goes */
        bool is_unsafe;
};
static const struct attach_type attach_types[] = {
        { BPF_PERF_EVENT, "perf_event", OBJECT_PERF },
        { BPF_TRACE_RAW_TP, "tp_btf" },
        { BPF_TRACE_FENTRY, "fentry" },
        { BPF_TRACE_FEXIT, "fexit" },
        { BPF_TRACE_ITER, "iter" },
        { BPF_MODIFY_RETURN, "fmod_ret", .is_unsafe = true },
        { BPF_LSM_MAC, "lsm", .is_unsafe = true },
};

static const struct attach_type *find_attach_type(uint32_t type) {
        for (size_t i = 0; i < ARRAY_SIZE(attach_types); i++)
                if (attach_types[i].type == type)
                        return &attach_types[i];
        return NULL;
}

int broker_may_attach(const struct broker *b, const struct object *prog, struct error *err) {
        if (!b->inspect)
                return 0;
        return error_set(err, ERROR_INVALID, -EPROTO,
                         "the worker tried to attach program '%s' while the gadget is only "
                         "inspected",
                         prog->name);
}

static int check_link(const struct broker *b, const struct broker_link_create *create,
                      const struct object *prog, const struct attach_type *type,
                      struct error *err) {
        if (!type)
                return error_set(err, ERROR_DENIED, -EPERM,
                                 "program '%s' wants to be attached in a way (type %" PRIu32
                                 ") that gadgets are not given",
                                 prog->name, create->attach_type);
        if (type->is_unsafe && !b->allow_unsafe)
                return error_set(err, ERROR_DENIED, -EPERM,
                                 "program '%s' wants to be attached by %s, which can decide over "
                                 "what the host does; root may permit it with --allow-unsafe",
                                 prog->name, type->name);
        return 0;
}

/* The kernel knows the names of what BTF-typed programs and iterators are attached to. */
static char *ask_hook(int link_fd, const char *type, const char *prog) {
        char name[128] = "", *hook;
        struct bpf_link_info info = { 0 };
        union bpf_attr attr = {
                .info = { .bpf_fd = (uint32_t)link_fd,
                          .info_len = sizeof(info),
                          .info = ptr_u64(&info) },
        };

        if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0) {
                uint32_t kind = info.type;

                /* Asked again with room for the name: until then the union's member was not known.
                 */
                info = (struct bpf_link_info){ 0 };
                if (kind == BPF_LINK_TYPE_RAW_TRACEPOINT) {
                        info.raw_tracepoint.tp_name = ptr_u64(name);
                        info.raw_tracepoint.tp_name_len = sizeof(name);
                } else if (kind == BPF_LINK_TYPE_ITER) {
                        info.iter.target_name = ptr_u64(name);
                        info.iter.target_name_len = sizeof(name);
                }
                if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
                        name[0] = '\0';
        }
        return asprintf(&hook, "%s/%s", type, name[0] ? name : prog) < 0 ? NULL : hook;
}

/* These show what is in the network namespace that they are made in. */
static bool is_per_netns(const char *hook) {
        static const char *const names[] = { "iter/tcp", "iter/udp", "iter/unix", "iter/netlink",
                                             "iter/ipv6_route" };

        for (size_t i = 0; hook && i < ARRAY_SIZE(names); i++)
                if (str_eq(hook, names[i]))
                        return true;
        return false;
}

int broker_add_link(struct broker *b, int take_fd, char *take_hook, struct reply *reply,
                    struct error *err) {
        struct object *link;
        int r;

        r = broker_add_object(b, OBJECT_LINK, take_fd, reply, &link, err);
        if (r < 0) {
                free(take_hook);
                return r;
        }
        link->hook = take_hook;
        link->is_per_netns = is_per_netns(take_hook);
        link->shows_processes = take_hook && strncmp(take_hook, "iter/task", 9) == 0;
        if (link->is_per_netns)
                containers_want(b, WANT_NETNS);
        return 0;
}

int on_link_create(struct broker *b, const struct request *request, struct reply *reply,
                   struct error *err) {
        const struct broker_link_create *create = request->body;
        const struct attach_type *type = find_attach_type(create->attach_type);
        union bpf_iter_link_info iter = { 0 };
        const struct object *target, *iter_map;
        struct object *prog;
        union bpf_attr attr = { .link_create = { .attach_type = create->attach_type,
                                                 .flags = create->flags } };
        int r;

        r = broker_object(b, create->prog, OBJECT_PROG, &prog, err);
        if (r == 0)
                r = check_link(b, create, prog, type, err);
        if (r == 0)
                r = broker_object_fd(b, create->target, type->target, &attr.link_create.target_fd,
                                     err);
        if (r == 0)
                r = broker_object_fd(b, create->iter_map, OBJECT_MAP, &iter.map.map_fd, err);
        /* Its programs may write the elements that they walk over. */
        iter_map = objects_find(&b->objects, create->iter_map);
        if (r == 0 && iter_map && iter_map->kind == OBJECT_MAP)
                r = shared_refuse(iter_map, err);
        /* An event that does not exist is how libbpf asks for perf links: harmless. */
        target = objects_find(&b->objects, create->target);
        if (r == 0 && (type->target == OBJECT_NONE || target))
                r = broker_may_attach(b, prog, err);
        if (r < 0)
                return r;
        attr.link_create.prog_fd = (uint32_t)prog->fd;
        if (type->target == OBJECT_PERF) {
                attr.link_create.perf_event.bpf_cookie = create->cookie;
        } else if (create->attach_type != BPF_TRACE_ITER) {
                attr.link_create.tracing.target_btf_id = create->target_btf_id;
                attr.link_create.tracing.cookie = create->cookie;
        } else if (create->iter_map != BROKER_HANDLE_NONE) {
                attr.link_create.iter_info = ptr_u64(&iter);
                attr.link_create.iter_info_len = sizeof(iter);
        }

        reply->result = sys_bpf(BPF_LINK_CREATE, &attr);
        if (reply->result < 0)
                return 0;
        r = broker_add_link(b, reply->result,
                            target ? strdup(target->perf.target ?: "perf_event")
                                   : ask_hook(reply->result, type->name, prog->name),
                            reply, err);
        if (r == 0)
                objects_find(&b->objects, reply->handle)->is_iterator =
                        create->attach_type == BPF_TRACE_ITER;
        return r;
}

/* Names of kernel symbols, tracepoints and their categories. */
bool broker_is_name(struct bytes name, const char *more) {
        for (size_t i = 0; i < name.len; i++) {
                char c = (char)name.data[i];

                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
                    c != '_' && (c == '\0' || !strchr(more, c)))
                        return false;
        }
        return name.len > 0;
}

int on_raw_tracepoint(struct broker *b, const struct request *request, struct reply *reply,
                      struct error *err) {
        const struct broker_raw_tracepoint *raw = request->body;
        struct bytes name = BYTES(request->payload, request->payload_len);
        char text[128] = "", *hook = NULL;
        struct object *prog;
        union bpf_attr attr = { 0 };
        int r;

        r = broker_object(b, raw->prog, OBJECT_PROG, &prog, err);
        if (r == 0)
                r = broker_may_attach(b, prog, err);
        if (r < 0)
                return r;
        if (name.len >= sizeof(text) || (name.len > 0 && !broker_is_name(name, "")))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "program '%s' wants a raw tracepoint whose name is none",
                                 prog->name);
        memcpy(text, name.data, name.len);
        attr.raw_tracepoint.prog_fd = (uint32_t)prog->fd;
        attr.raw_tracepoint.name = name.len > 0 ? ptr_u64(text) : 0;
        if (name.len == 0) {
                const struct attach_type *type = find_attach_type(prog->prog.attach_type);

                r = check_link(
                        b, &(struct broker_link_create){ .attach_type = prog->prog.attach_type },
                        prog, type, err);
                if (r < 0)
                        return r;
        }

        reply->result = sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
        if (reply->result < 0)
                return 0;
        if (name.len == 0)
                hook = ask_hook(reply->result, find_attach_type(prog->prog.attach_type)->name,
                                prog->name);
        else if (asprintf(&hook, "raw_tp/%s", text) < 0)
                hook = NULL;
        return broker_add_link(b, reply->result, hook, reply, err);
}

static int create_iterator(const struct object *link) {
        return sys_bpf(BPF_ITER_CREATE,
                       &(union bpf_attr){ .iter_create.link_fd = (uint32_t)link->fd });
}

static int create_in(struct broker *b, const struct object *link, const struct netns *netns) {
        int r = netns_enter(b, netns), fd;

        if (r < 0)
                return r;
        fd = create_iterator(link);
        netns_leave(b);
        return fd;
}

int on_iter_create(struct broker *b, const struct request *request, struct reply *reply,
                   struct error *err) {
        const struct broker_pair *pair = request->body;
        const struct netns *netns;
        struct object *link;
        int r;

        r = broker_object(b, pair->object, OBJECT_LINK, &link, err);
        if (r < 0)
                return r;
        netns = link->is_per_netns ? netns_next(b, pair->other) : NULL;
        if (link->is_per_netns && !netns)
                reply->result = -ENOENT;
        else if (netns)
                reply->result = create_in(b, link, netns);
        else
                reply->result = create_iterator(link);
        if (reply->result < 0)
                return 0;
        reply->handle = netns ? (uint32_t)netns->id : 0;
        /* Only the worker reads it; its output is the program's. */
        reply->fd = reply->result;
        reply->is_fd_ours = true;
        reply->result = 0;
        return 0;
}

int on_close(struct broker *b, const struct request *request, struct reply *reply,
             struct error *err) {
        const struct broker_pair *pair = request->body;
        struct object *object = objects_find(&b->objects, pair->object);

        if (!object)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'close' names object %" PRIu32
                                 ", which does not exist",
                                 pair->object);
        if (object->kind == OBJECT_MAP)
                b->map_bytes -= object->map.bytes;
        if (object->kind == OBJECT_LINK)
                netns_remove_program(b, pair->object);
        objects_remove(&b->objects, object);
        return 0;
}
