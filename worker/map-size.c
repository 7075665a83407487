/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map-size.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "policy/permissions.h"
#include "worker/gadget.h"
#include "worker/map-use.h"

/* "MAP_max_entries": a variable that says how large MAP is. */
#define SIZE_SUFFIX "_max_entries"

/* Maps of the SDK that are only used while a variable is true. */
static const struct {
        const char *map;
        const char *variable;
} switched[] = {
        { "ig_ustack", "collect_ustack" },
        { "ig_build_id", "collect_ustack" },
        { "ig_build_id", "collect_build_id" },
        { "ig_kstack", "collect_kstack" },
        { "otel_tc_kprobe", "collect_otel_stack" },
        { "otel_tc_perf", "collect_otel_stack" },
        { "otel_generic_params", "collect_otel_stack" },
        { "gadget_mntns_filter_map", "gadget_filter_by_mntns" },
};

static bool is_switched_off(const struct bpf_object *object, const char *map) {
        for (size_t i = 0; i < ARRAY_SIZE(switched); i++) {
                int64_t value;

                if (str_eq(switched[i].map, map) &&
                    params_read(object, switched[i].variable, &value) && value == 0)
                        return true;
        }
        return false;
}

static int apply_variable(const struct bpf_object *object, struct bpf_map *map, struct error *err) {
        char name[160];
        int64_t value;

        snprintf(name, sizeof(name), "%.128s" SIZE_SUFFIX, bpf_map__name(map));
        if (!params_read(object, name, &value) || value == 0)
                return 0;
        if (value < 0 || value > UINT32_MAX || bpf_map__set_max_entries(map, (uint32_t)value) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "variable '%s' is %" PRId64 ", which is no number of entries",
                                 name, value);
        return 0;
}

static uint64_t bytes_of(const struct bpf_map *map, uint32_t n_cpus) {
        return map_bytes_estimate(bpf_map__type(map), bpf_map__key_size(map),
                                  bpf_map__value_size(map), bpf_map__max_entries(map),
                                  bpf_map__map_flags(map), n_cpus);
}

/* "gadget_..._PROGRAM___MAP": what the SDK's macros name for a program. */
static bool names_map(const char *variable, const char *map) {
        if (!str_after(variable, "gadget_"))
                return false;
        for (const char *at = strstr(variable, "___"); at; at = strstr(at + 3, "___"))
                if (str_eq(at + 3, map))
                        return true;
        return false;
}

/* A data source, or a map that a variable names. */
static bool is_named(const struct gadget *g, const struct bpf_map *map) {
        const struct btf *btf = bpf_object__btf(g->object);

        for (size_t i = 0; i < g->n_sources; i++)
                if (g->sources[i].map == map || g->sources[i].lost == map)
                        return true;
        for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
                const struct btf_type *t = btf__type_by_id(btf, id);

                if (btf_is_var(t) &&
                    names_map(btf__name_by_offset(btf, t->name_off), bpf_map__name(map)))
                        return true;
        }
        return false;
}

static bool is_unused(const struct gadget *g, const struct map_use *use,
                      const struct bpf_map *map) {
        if (bpf_map__is_internal(map) || bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
                return false;
        return is_switched_off(g->object, bpf_map__name(map)) ||
               (!map_use_has(use, bpf_map__name(map)) && !is_named(g, map));
}

static int make_small(struct bpf_map *map, struct error *err) {
        /* A ring buffer is made of pages. */
        uint32_t least =
                bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF ? (uint32_t)sysconf(_SC_PAGESIZE) : 1;
        int r;

        if (bpf_map__max_entries(map) <= least)
                return 0;
        log_debug("map '%s' is not used: %" PRIu32 " entries instead of %" PRIu32,
                  bpf_map__name(map), least, bpf_map__max_entries(map));
        r = bpf_map__set_max_entries(map, least);
        return r < 0 ? error_set(err, ERROR_INTERNAL, r, "map '%s' cannot be made smaller",
                                 bpf_map__name(map))
                     : 0;
}

int map_sizes_apply(struct gadget *g, struct bytes elf, struct error *err) {
        cleanup(map_use_done) struct map_use use = { 0 };
        struct map_sizes sizes = { 0 };
        struct bpf_map *map;
        int r;

        r = map_use_init(&use, elf, g->object);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "no memory for the gadget's maps");
        bpf_object__for_each_map(map, g->object) {
                r = apply_variable(g->object, map, err);
                if (r < 0)
                        return r;
                sizes.declared_bytes += bytes_of(map, g->start->n_cpus);
                if (is_unused(g, &use, map))
                        r = make_small(map, err);
                if (r < 0)
                        return r;
                sizes.bytes += bytes_of(map, g->start->n_cpus);
        }
        g->map_sizes = sizes;
        return 0;
}
