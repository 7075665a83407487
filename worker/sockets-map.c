/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sockets-map.h"

#include "base/log.h"
#include "gadget/broker.h"
#include "worker/host.h"

/* struct gadget_socket_value as gadgets/socket_enricher fills it. */
#define VALUE_SIZE 88u
static const struct host_member members[] = {
        { "mntns", 0, 8, 0 },
        { "pid_tgid", 8, 8, 0 },
        { "uid_gid", 16, 8, 0 },
        { "task", 24, 1, 16 },
        { "ptask", 40, 1, 16 },
        { "sock", 56, 8, 0 },
        { "deletion_timestamp", 64, 8, 0 },
        { "ppid", 72, 4, 0 },
        { "ptid", 76, 4, 0 },
        { "ipv6only", 80, 1, 0 },
};

/* CO-RE looks for the type by the name that the gadget's headers gave it, today's or the older one.
 */
static int add_types(void) {
        int r = host_btf_add_struct("gadget_socket_value", VALUE_SIZE, members,
                                    ARRAY_SIZE(members));

        return r < 0 ? r
                     : host_btf_add_struct("sockets_value", VALUE_SIZE, members,
                                           ARRAY_SIZE(members));
}

static int fit(struct bpf_map *map, uint32_t value_size, uint32_t max_entries, struct error *err) {
        int r = bpf_map__set_value_size(map, value_size);

        if (r == 0)
                r = bpf_map__set_max_entries(map, max_entries);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r,
                                 "map '" BROKER_SHARED_MAP_READ "' cannot be given its size")
                     : 0;
}

int sockets_map_prepare(struct gadget *g, struct error *err) {
        struct bpf_map *map = bpf_object__find_map_by_name(g->object, BROKER_SHARED_MAP_READ);
        struct broker_shared_map shape = { 0 };
        char why[256] = "";
        int r;

        if (!map)
                return 0;
        r = add_types();
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "map '" BROKER_SHARED_MAP_READ "' needs the kernel's BTF");
        r = g->start->inspect ? -ENOENT : host_shared_map(&shape, why, sizeof(why));
        if (r == 0 && shape.value_size != VALUE_SIZE)
                return error_set(err, ERROR_INTERNAL, -EPROTO,
                                 "the map of sockets has values of %u bytes instead of %u",
                                 shape.value_size, VALUE_SIZE);
        if (r == 0)
                return fit(map, shape.value_size, shape.max_entries, err);
        if (!g->start->inspect)
                log_warning("nobody says which process a socket belongs to, going on without: %s",
                            why);
        return fit(map, VALUE_SIZE, 1, err);
}
