/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map-size.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "policy/permissions.h"
#include "worker/params.h"

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

int map_sizes_apply(struct bpf_object *object, uint32_t n_cpus, struct map_sizes *ret,
                    struct error *err) {
        struct map_sizes sizes = { 0 };
        struct bpf_map *map;

        bpf_object__for_each_map(map, object) {
                int r = apply_variable(object, map, err);

                if (r < 0)
                        return r;
                sizes.declared_bytes += bytes_of(map, n_cpus);
                if (bpf_map__max_entries(map) > 1 && is_switched_off(object, bpf_map__name(map))) {
                        r = bpf_map__set_max_entries(map, 1);
                        if (r < 0)
                                return error_set(err, ERROR_INTERNAL, r,
                                                 "map '%s' cannot be made smaller",
                                                 bpf_map__name(map));
                }
                sizes.bytes += bytes_of(map, n_cpus);
        }
        if (sizes.bytes < sizes.declared_bytes)
                log_debug("maps take %" PRIu64 " bytes of kernel memory instead of %" PRIu64,
                          sizes.bytes, sizes.declared_bytes);
        *ret = sizes;
        return 0;
}
