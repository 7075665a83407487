/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sockets-map.h"

#include <bpf/btf.h>
#include <stdio.h>

#include "base/log.h"
#include "base/parse.h"
#include "gadget/broker.h"
#include "worker/btf-check.h"
#include "worker/elf-check.h"
#include "worker/host.h"

/* struct gadget_socket_value as gadgets/socket_enricher fills it; with the last two as
 * gadgets/socket_enricher_paths does. */
#define VALUE_SIZE 88u
#define PATH_SIZE 512u
#define N_PATHS 2u
#define VALUE_SIZE_WITH_PATHS (VALUE_SIZE + N_PATHS * PATH_SIZE)
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
        { "cwd", VALUE_SIZE, 1, PATH_SIZE },
        { "exepath", VALUE_SIZE + PATH_SIZE, 1, PATH_SIZE },
};

/* The names that the gadget's headers gave the type, today's or the older one. */
static const char *const type_names[] = { "gadget_socket_value", "sockets_value" };

static bool is_value(const struct btf_type *t, const struct btf *btf) {
        const char *name = btf__name_by_offset(btf, t->name_off);

        for (size_t i = 0; btf_is_struct(t) && i < ARRAY_SIZE(type_names); i++)
                if (str_eq(name, type_names[i]))
                        return true;
        return false;
}

/* "0:11" is member 11 of what a pointer points to, "0:11:0" an element of it. Reading it and asking
 * whether it is there are both of interest. */
static bool is_of_path(const struct btf *btf, const struct bpf_core_relo *relo) {
        const struct btf_type *t = btf__type_by_id(btf, relo->type_id);
        const char *access = str_after(btf__name_by_offset(btf, relo->access_str_off), "0:");
        char number[16];
        const char *name;
        uint32_t i;

        while (t && (btf_is_mod(t) || btf_is_typedef(t)))
                t = btf__type_by_id(btf, t->type);
        if (!t || !access || !is_value(t, btf))
                return false;
        snprintf(number, sizeof(number), "%.*s", (int)strcspn(access, ":"), access);
        if (parse_u32(number, 0, UINT32_MAX, &i) < 0 || i >= btf_vlen(t))
                return false;
        name = btf__name_by_offset(btf, btf_members(t)[i].name_off);
        return str_eq(name, "cwd") || str_eq(name, "exepath");
}

/* Whether the object has a CO-RE relocation for one of the optional fields. elf_check() has found
 * every offset and id in the section to be good. */
static bool reads_paths(const struct gadget *g, struct bytes object) {
        const struct btf *btf = bpf_object__btf(g->object);
        struct bytes ext, relos;

        if (!elf_section(object, ".BTF.ext", &ext))
                return false;
        relos = btf_ext_core(ext);
        for (size_t at = sizeof(uint32_t); at < relos.len;) {
                uint32_t record_size, section[2]; /* its name, how many */

                memcpy(&record_size, relos.data, sizeof(record_size));
                memcpy(section, relos.data + at, sizeof(section));
                at += sizeof(section);
                for (uint32_t i = 0; i < section[1]; i++, at += record_size) {
                        struct bpf_core_relo relo;

                        memcpy(&relo, relos.data + at, sizeof(relo));
                        if (is_of_path(btf, &relo))
                                return true;
                }
        }
        return false;
}

/* CO-RE looks for the type by its name. */
static int add_types(bool with_paths) {
        size_t n = ARRAY_SIZE(members) - (with_paths ? 0 : N_PATHS);
        uint32_t size = with_paths ? VALUE_SIZE_WITH_PATHS : VALUE_SIZE;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(type_names); i++)
                r = host_btf_add_struct(type_names[i], size, members, n);
        return r;
}

static int fit(struct bpf_map *map, uint32_t value_size, uint32_t max_entries, struct error *err) {
        int r = bpf_map__set_value_size(map, value_size);

        if (r == 0)
                r = bpf_map__set_max_entries(map, max_entries);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r,
                                 "map '" BROKER_SHARED_MAP_READ "' cannot be given its size")
                     : 0;
}

int sockets_map_prepare(struct gadget *g, struct bytes object, struct error *err) {
        struct bpf_map *map = bpf_object__find_map_by_name(g->object, BROKER_SHARED_MAP_READ);
        struct broker_shared_map shape = { 0 };
        char why[256] = "";
        uint32_t value_size;
        bool with_paths;
        int r;

        if (!map)
                return 0;
        with_paths = reads_paths(g, object);
        value_size = with_paths ? VALUE_SIZE_WITH_PATHS : VALUE_SIZE;
        r = add_types(with_paths);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r,
                                 "map '" BROKER_SHARED_MAP_READ "' needs the kernel's BTF");
        r = g->start->inspect ? -ENOENT : host_shared_map(with_paths, &shape, why, sizeof(why));
        if (r == 0 && shape.value_size != value_size)
                return error_set(err, ERROR_INTERNAL, -EPROTO,
                                 "the map of sockets has values of %u bytes instead of %u",
                                 shape.value_size, value_size);
        if (r == 0)
                return fit(map, shape.value_size, shape.max_entries, err);
        if (!g->start->inspect)
                log_warning("nobody says which process a socket belongs to, going on without: %s",
                            why);
        return fit(map, value_size, 1, err);
}
