/* SPDX-License-Identifier: Apache-2.0 */
/* Maps. The broker knows the size of every key and value, so it alone decides how many bytes the
 * kernel copies. */
#include <inttypes.h>

#include "broker/bpf.h"
#include "broker/broker.h"

#define BIT(_n) (UINT64_C(1) << (_n))
#define MAP_TYPE_CGRP_STORAGE 32 /* Linux 6.2, newer than the headers of Debian 12 */

/* Maps whose elements are read and written as they are, or refer to objects of the same gadget. The
 * rest redirect packets or steer sockets. */
static const uint64_t offered =
        BIT(BPF_MAP_TYPE_HASH) | BIT(BPF_MAP_TYPE_ARRAY) | BIT(BPF_MAP_TYPE_PROG_ARRAY) |
        BIT(BPF_MAP_TYPE_PERF_EVENT_ARRAY) | BIT(BPF_MAP_TYPE_PERCPU_HASH) |
        BIT(BPF_MAP_TYPE_PERCPU_ARRAY) | BIT(BPF_MAP_TYPE_STACK_TRACE) |
        BIT(BPF_MAP_TYPE_CGROUP_ARRAY) | BIT(BPF_MAP_TYPE_LRU_HASH) |
        BIT(BPF_MAP_TYPE_LRU_PERCPU_HASH) | BIT(BPF_MAP_TYPE_LPM_TRIE) |
        BIT(BPF_MAP_TYPE_ARRAY_OF_MAPS) | BIT(BPF_MAP_TYPE_HASH_OF_MAPS) | BIT(BPF_MAP_TYPE_QUEUE) |
        BIT(BPF_MAP_TYPE_STACK) | BIT(BPF_MAP_TYPE_SK_STORAGE) | BIT(BPF_MAP_TYPE_RINGBUF) |
        BIT(BPF_MAP_TYPE_INODE_STORAGE) | BIT(BPF_MAP_TYPE_TASK_STORAGE) |
        BIT(BPF_MAP_TYPE_BLOOM_FILTER) | BIT(MAP_TYPE_CGRP_STORAGE);

static const uint64_t per_cpu = BIT(BPF_MAP_TYPE_PERCPU_HASH) | BIT(BPF_MAP_TYPE_PERCPU_ARRAY) |
                                BIT(BPF_MAP_TYPE_LRU_PERCPU_HASH);

/* They steer sockets: for the programs that a gadget has only with --allow-unsafe. */
static const uint64_t unsafe = BIT(BPF_MAP_TYPE_SOCKMAP) | BIT(BPF_MAP_TYPE_SOCKHASH);

/* Keys, or values, that are fds: a worker has none that the kernel could mean. */
static const uint64_t of_fds = BIT(BPF_MAP_TYPE_SOCKMAP) | BIT(BPF_MAP_TYPE_SOCKHASH) |
                               BIT(BPF_MAP_TYPE_SK_STORAGE) | BIT(BPF_MAP_TYPE_INODE_STORAGE) |
                               BIT(BPF_MAP_TYPE_TASK_STORAGE) | BIT(MAP_TYPE_CGRP_STORAGE);

/* Values that are fds on their way in. OBJECT_NONE: plain bytes. */
static enum object_kind value_kind(uint32_t type) {
        switch (type) {
        case BPF_MAP_TYPE_PROG_ARRAY:
                return OBJECT_PROG;
        case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
                return OBJECT_PERF;
        case BPF_MAP_TYPE_ARRAY_OF_MAPS:
        case BPF_MAP_TYPE_HASH_OF_MAPS:
                return OBJECT_MAP;
        default:
                return OBJECT_NONE;
        }
}

static bool is_one_of(uint64_t types, uint32_t type) {
        return type < 64 && (types & BIT(type));
}

static uint64_t value_bytes(const struct broker *b, const struct broker_map_create *create) {
        if (is_one_of(per_cpu, create->map_type))
                return ALIGN_UP((uint64_t)create->value_size, 8) * b->n_cpus;
        return create->value_size;
}

/* libbpf hands over what fits into the kernel's name. */
static bool is_filter_map(const char *name) {
        return strncmp(name, BROKER_FILTER_MAP, BROKER_NAME_LEN - 1) == 0;
}

/* The filter has room for every container there can be, whatever a gadget declares: one that it
 * does not take would not be seen. */
static uint32_t entries_of(const struct broker *b, const struct broker_map_create *create) {
        return is_filter_map(create->name) && !b->is_host_wide
                       ? MAX(create->max_entries, (uint32_t)LIMIT_CONTAINERS_MAX)
                       : create->max_entries;
}

static int check_create(const struct broker *b, const struct broker_map_create *create,
                        uint64_t bytes, struct error *err) {
        const char *type_name = map_type_name(create->map_type);

        if (strnlen(create->name, sizeof(create->name)) == sizeof(create->name))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'map create' has a name without an end");
        if (is_one_of(unsafe, create->map_type)) {
                if (!b->allow_unsafe)
                        return error_set(err, ERROR_DENIED, -EPERM,
                                         "map '%s' of type %s can decide over what the host does; "
                                         "root may permit it with --allow-unsafe",
                                         create->name, type_name);
        } else if (!is_one_of(offered, create->map_type))
                return error_set(err, ERROR_DENIED, -EPERM,
                                 "map '%s' is of type %s (%" PRIu32
                                 "), which gadgets are not given",
                                 create->name, type_name ?: "unknown", create->map_type);
        if (bytes > LIMIT_MAP_BYTES_MAX - MIN(b->map_bytes, (uint64_t)LIMIT_MAP_BYTES_MAX))
                return error_set(err, ERROR_LIMIT, -ENOMEM,
                                 "map '%s' needs %" PRIu64 " bytes of kernel memory, %" PRIu64
                                 " are taken by other maps of the gadget, and %d are the most; "
                                 "give it fewer entries",
                                 create->name, bytes, b->map_bytes, LIMIT_MAP_BYTES_MAX);
        return 0;
}

int on_map_create(struct broker *b, const struct request *request, struct reply *reply,
                  struct error *err) {
        const struct broker_map_create *create = request->body;
        uint64_t bytes = map_bytes_estimate(create->map_type, create->key_size, create->value_size,
                                            entries_of(b, create), create->map_flags, b->n_cpus);
        union bpf_attr attr = {
                .map_type = create->map_type,
                .key_size = create->key_size,
                .value_size = create->value_size,
                .max_entries = entries_of(b, create),
                .map_flags = create->map_flags,
                .numa_node = create->numa_node,
                .btf_key_type_id = create->btf_key_type_id,
                .btf_value_type_id = create->btf_value_type_id,
                .btf_vmlinux_value_type_id = create->btf_vmlinux_value_type_id,
                .map_extra = create->map_extra,
        };
        struct object *map;
        bool is_shared;
        int fd, r;

        r = check_create(b, create, bytes, err);
        if (r == 0)
                r = broker_object_fd(b, create->inner_map, OBJECT_MAP, &attr.inner_map_fd, err);
        if (r == 0)
                r = broker_object_fd(b, create->btf, OBJECT_BTF, &attr.btf_fd, err);
        if (r < 0)
                return r;
        memcpy(attr.map_name, create->name, sizeof(attr.map_name));

        r = shared_take(b, create, &fd, err);
        if (r < 0)
                return r;
        is_shared = r > 0;
        bytes = is_shared ? 0 : bytes;
        reply->result = is_shared ? fd : sys_bpf(BPF_MAP_CREATE, &attr);
        if (reply->result < 0)
                return 0;
        r = broker_add_object(b, OBJECT_MAP, reply->result, reply, &map, err);
        if (r < 0)
                return r;
        r = is_shared ? shared_bind(b, map) : 0;
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot use the map of sockets: %s",
                                 strerrordesc_np(-r));
        memcpy(map->name, create->name, sizeof(map->name));
        map->map.type = create->map_type;
        map->map.key_size = create->key_size;
        map->map.value_size = value_bytes(b, create);
        map->map.bytes = bytes;
        map->map.is_filter = is_filter_map(create->name);
        b->map_bytes += bytes;
        /* One that the parameters leave unused has one entry (worker/map-size.c). */
        b->has_stacks |= create->map_type == BPF_MAP_TYPE_STACK_TRACE && create->max_entries > 1;
        if (map->map.is_filter && !b->is_host_wide)
                containers_fill_filter(b, map);
        return 0;
}

static int refuse_filter(const struct object *map, const char *what, struct error *err) {
        if (!map->map.is_filter)
                return shared_refuse(map, err);
        return error_set(err, ERROR_DENIED, -EPERM,
                         "the worker tried to %s '" BROKER_FILTER_MAP
                         "', which only its broker writes",
                         what);
}

/* What an element request is about, checked against the map's sizes. */
struct elem {
        struct object *map;
        uint8_t *key; /* NULL = none */
        uint8_t *value;
        union bpf_attr attr;
};

static int find_elem(struct broker *b, const struct request *request, uint64_t value_size,
                     struct elem *ret, struct error *err) {
        const struct broker_map_elem *elem = request->body;
        uint64_t want;
        int r;

        r = broker_object(b, elem->map, OBJECT_MAP, &ret->map, err);
        if (r == 0)
                r = shared_refuse(ret->map, err);
        if (r < 0)
                return r;
        want = (elem->has_key ? ret->map->map.key_size : 0) +
               (value_size ? ret->map->map.value_size : 0);
        if (request->payload_len != want)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request '%s' on map '%s' brings %zu bytes where "
                                 "%" PRIu64 " are due",
                                 request_table[request->type].name, ret->map->name,
                                 request->payload_len, want);
        ret->key = elem->has_key ? request->payload : NULL;
        ret->value = request->payload + (elem->has_key ? ret->map->map.key_size : 0);
        ret->attr = (union bpf_attr){
                .map_fd = (uint32_t)ret->map->fd,
                .key = ptr_u64(ret->key),
                .flags = elem->flags,
        };
        return 0;
}

/* The kernel would take these keys for fds, and values of this size are not for messages. */
static int unsupported(const struct object *map) {
        if (is_one_of(of_fds, map->map.type))
                return -EOPNOTSUPP;
        if (map->map.value_size > LIMIT_BROKER_PAYLOAD_MAX / 2 ||
            map->map.key_size > LIMIT_BROKER_PAYLOAD_MAX / 2)
                return -E2BIG;
        return 0;
}

int on_map_lookup(struct broker *b, const struct request *request, struct reply *reply,
                  struct error *err) {
        bool is_delete = request->type == BROKER_MAP_LOOKUP_DELETE;
        struct elem elem;
        int r;

        r = find_elem(b, request, 0, &elem, err);
        if (r == 0 && is_delete)
                r = refuse_filter(elem.map, "delete from", err);
        if (r < 0)
                return r;
        reply->result = unsupported(elem.map);
        if (reply->result < 0)
                return 0;
        elem.value = buf_reserve(&reply->payload, elem.map->map.value_size);
        if (!elem.value) {
                reply->result = -ENOMEM;
                return 0;
        }
        memset(elem.value, 0, elem.map->map.value_size);
        elem.attr.value = ptr_u64(elem.value);
        reply->result = sys_bpf(is_delete ? BPF_MAP_LOOKUP_AND_DELETE_ELEM : BPF_MAP_LOOKUP_ELEM,
                                &elem.attr);
        if (reply->result == 0)
                reply->payload.len += elem.map->map.value_size;
        return 0;
}

/* Puts the broker's fd where the worker put a handle. */
static int translate_value(struct broker *b, const struct object *map, uint8_t *value,
                           struct error *err) {
        enum object_kind kind = value_kind(map->map.type);
        struct object *object;
        uint32_t word;
        int r;

        if (kind == OBJECT_NONE)
                return 0;
        /* The kernel admits no other size for these. */
        if (map->map.value_size != sizeof(word))
                return error_set(err, ERROR_INVALID, -EPROTO, "map '%s' has an impossible size",
                                 map->name);
        memcpy(&word, value, sizeof(word));
        r = broker_object(b, word, kind, &object, err);
        /* A program could write it by way of the map that it lies in. */
        if (r == 0 && kind == OBJECT_MAP)
                r = shared_refuse(object, err);
        if (r < 0)
                return r;
        word = (uint32_t)object->fd;
        memcpy(value, &word, sizeof(word));
        return 0;
}

int on_map_update(struct broker *b, const struct request *request, struct reply *reply,
                  struct error *err) {
        struct elem elem;
        int r;

        r = find_elem(b, request, 1, &elem, err);
        if (r == 0)
                r = refuse_filter(elem.map, "write", err);
        if (r == 0)
                r = translate_value(b, elem.map, elem.value, err);
        if (r < 0)
                return r;
        reply->result = unsupported(elem.map);
        if (elem.map->map.type == BPF_MAP_TYPE_CGROUP_ARRAY)
                reply->result = -EOPNOTSUPP;
        if (reply->result < 0)
                return 0;
        elem.attr.value = ptr_u64(elem.value);
        reply->result = sys_bpf(BPF_MAP_UPDATE_ELEM, &elem.attr);
        return 0;
}

/* USDT probes come and go with containers, and so does where their arguments are. */
int on_usdt_spec(struct broker *b, const struct request *request, struct reply *reply,
                 struct error *err) {
        const struct broker_map_elem *elem = request->body;
        struct object *map;
        int r;

        r = broker_object(b, elem->map, OBJECT_MAP, &map, err);
        if (r == 0 && !str_eq(map->name, BROKER_USDT_MAP))
                r = error_set(err, ERROR_INVALID, -EPROTO,
                              "the worker's request 'usdt spec' is for map '%s'", map->name);
        return r < 0 ? r : on_map_update(b, request, reply, err);
}

int on_map_delete(struct broker *b, const struct request *request, struct reply *reply,
                  struct error *err) {
        struct elem elem;
        int r;

        r = find_elem(b, request, 0, &elem, err);
        if (r == 0)
                r = refuse_filter(elem.map, "delete from", err);
        if (r < 0)
                return r;
        reply->result = unsupported(elem.map);
        if (reply->result == 0)
                reply->result = sys_bpf(BPF_MAP_DELETE_ELEM, &elem.attr);
        return 0;
}

int on_map_next_key(struct broker *b, const struct request *request, struct reply *reply,
                    struct error *err) {
        struct elem elem;
        uint8_t *next;
        int r;

        r = find_elem(b, request, 0, &elem, err);
        if (r < 0)
                return r;
        reply->result = unsupported(elem.map);
        if (reply->result < 0)
                return 0;
        next = buf_reserve(&reply->payload, elem.map->map.key_size);
        if (!next) {
                reply->result = -ENOMEM;
                return 0;
        }
        memset(next, 0, elem.map->map.key_size);
        elem.attr.next_key = ptr_u64(next);
        reply->result = sys_bpf(BPF_MAP_GET_NEXT_KEY, &elem.attr);
        if (reply->result == 0)
                reply->payload.len += elem.map->map.key_size;
        return 0;
}

/* Hash tables continue at a bucket number, the others at a key. */
static size_t position_size(const struct object *map) {
        return MAX((size_t)map->map.key_size, sizeof(uint32_t));
}

static int check_batch(const struct broker_map_batch *batch, const struct object *map,
                       size_t payload_len, struct error *err) {
        bool is_lookup =
                batch->op == BROKER_BATCH_LOOKUP || batch->op == BROKER_BATCH_LOOKUP_DELETE;
        uint64_t elem = (uint64_t)map->map.key_size +
                        (batch->op == BROKER_BATCH_DELETE ? 0 : map->map.value_size);
        uint64_t all, want;

        if (batch->op > BROKER_BATCH_DELETE || __builtin_mul_overflow(elem, batch->count, &all) ||
            all > LIMIT_BROKER_PAYLOAD_MAX - 2 * position_size(map))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'map batch' on map '%s' is for %" PRIu32
                                 " elements, which is too much",
                                 map->name, batch->count);
        want = is_lookup ? (batch->has_position ? position_size(map) : 0) : all;
        if (payload_len != want)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'map batch' on map '%s' brings %zu bytes "
                                 "where %" PRIu64 " are due",
                                 map->name, payload_len, want);
        return is_lookup && batch->op == BROKER_BATCH_LOOKUP ? 0 : refuse_filter(map, "write", err);
}

static void batch_lookup(const struct broker_map_batch *batch, const struct object *map,
                         const struct request *request, struct reply *reply, union bpf_attr *attr) {
        size_t position = position_size(map), keys = (size_t)batch->count * map->map.key_size;
        size_t values = (size_t)batch->count * map->map.value_size;
        uint8_t *out = buf_reserve(&reply->payload, position + keys + values);

        if (!out) {
                reply->result = -ENOMEM;
                return;
        }
        memset(out, 0, position + keys + values);
        attr->batch.in_batch = batch->has_position ? ptr_u64(request->payload) : 0;
        attr->batch.out_batch = ptr_u64(out);
        attr->batch.keys = ptr_u64(out + position);
        attr->batch.values = ptr_u64(out + position + keys);
        reply->result = sys_bpf(batch->op == BROKER_BATCH_LOOKUP ? BPF_MAP_LOOKUP_BATCH
                                                                 : BPF_MAP_LOOKUP_AND_DELETE_BATCH,
                                attr);
        /* The last batch comes with ENOENT. */
        if (reply->result < 0 && reply->result != -ENOENT)
                return;
        reply->handle = MIN(attr->batch.count, batch->count);
        keys = (size_t)reply->handle * map->map.key_size;
        values = (size_t)reply->handle * map->map.value_size;
        memmove(out + position + keys, (uint8_t *)(uintptr_t)attr->batch.values, values);
        reply->payload.len += position + keys + values;
}

int on_map_batch(struct broker *b, const struct request *request, struct reply *reply,
                 struct error *err) {
        const struct broker_map_batch *batch = request->body;
        union bpf_attr attr;
        struct object *map;
        int r;

        r = broker_object(b, batch->map, OBJECT_MAP, &map, err);
        if (r == 0)
                r = shared_refuse(map, err);
        if (r == 0)
                r = check_batch(batch, map, request->payload_len, err);
        if (r < 0)
                return r;
        reply->result = unsupported(map);
        if (value_kind(map->map.type) != OBJECT_NONE)
                reply->result = -EOPNOTSUPP;
        if (batch->op == BROKER_BATCH_UPDATE && b->state != BROKER_LOADING)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'map batch' would write map '%s' once the "
                                 "gadget runs",
                                 map->name);
        if (reply->result < 0)
                return 0;
        attr = (union bpf_attr){ .batch = { .map_fd = (uint32_t)map->fd,
                                            .count = batch->count,
                                            .elem_flags = batch->elem_flags,
                                            .flags = batch->flags } };
        if (batch->op == BROKER_BATCH_LOOKUP || batch->op == BROKER_BATCH_LOOKUP_DELETE) {
                batch_lookup(batch, map, request, reply, &attr);
                return 0;
        }
        attr.batch.keys = ptr_u64(request->payload);
        if (batch->op == BROKER_BATCH_UPDATE)
                attr.batch.values =
                        ptr_u64(request->payload + (size_t)batch->count * map->map.key_size);
        reply->result = sys_bpf(batch->op == BROKER_BATCH_UPDATE ? BPF_MAP_UPDATE_BATCH
                                                                 : BPF_MAP_DELETE_BATCH,
                                &attr);
        reply->handle = MIN(attr.batch.count, batch->count);
        return 0;
}

int on_map_freeze(struct broker *b, const struct request *request, struct reply *reply,
                  struct error *err) {
        const struct broker_pair *pair = request->body;
        struct object *map;
        int r;

        r = broker_object(b, pair->object, OBJECT_MAP, &map, err);
        if (r == 0)
                r = refuse_filter(map, "freeze", err);
        if (r < 0)
                return r;
        reply->result = sys_bpf(BPF_MAP_FREEZE, &(union bpf_attr){ .map_fd = (uint32_t)map->fd });
        return 0;
}

/* The kernel gives out an fd of an existing map with fewer rights only by the map's id. */
static int read_only_fd(int fd) {
        struct bpf_map_info info = { 0 };
        union bpf_attr attr = {
                .info = { .bpf_fd = (uint32_t)fd,
                          .info_len = sizeof(info),
                          .info = ptr_u64(&info) },
        };
        int r = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);

        if (r < 0)
                return r;
        return sys_bpf(BPF_MAP_GET_FD_BY_ID,
                       &(union bpf_attr){ .map_id = info.id, .open_flags = BPF_F_RDONLY });
}

int on_map_fd(struct broker *b, const struct request *request, struct reply *reply,
              struct error *err) {
        const struct broker_map_fd *want = request->body;
        struct object *map;
        int r;

        r = broker_object(b, want->map, OBJECT_MAP, &map, err);
        if (r == 0)
                r = shared_refuse(map, err);
        if (r == 0 && want->writable)
                r = refuse_filter(map, "get a writable fd of", err);
        if (r < 0)
                return r;
        if (want->writable && value_kind(map->map.type) != OBJECT_NONE) {
                reply->result = -EPERM;
                return 0;
        }
        if (want->writable || map->map.type == BPF_MAP_TYPE_RINGBUF) {
                reply->fd = map->fd;
                return 0;
        }
        r = read_only_fd(map->fd);
        if (r < 0) {
                reply->result = r;
                return 0;
        }
        reply->fd = r;
        reply->is_fd_ours = true;
        return 0;
}
