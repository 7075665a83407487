/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/buffers.h"

#include "base/log.h"
#include "base/parse.h"

/* Enumerators of the kernel's enum bpf_func_id. */
#define RING_HELPERS "BPF_FUNC_ringbuf_"
#define RING_HELPER RING_HELPERS "reserve"

void buffer_be_perf(struct bpf_map *map, uint32_t n_cpus) {
        (void)bpf_map__set_type(map, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
        (void)bpf_map__set_key_size(map, sizeof(uint32_t));
        (void)bpf_map__set_value_size(map, sizeof(uint32_t));
        (void)bpf_map__set_max_entries(map, n_cpus);
}

/* As an old kernel would have it, for those who want to see what their gadget does there. */
static int hide_ring_buffers(const struct gadget *g, struct error *err) {
        const char *text = g->options.values[RUN_OPTION_PERF_BUFFERS];
        bool is_wanted = false;
        int r;

        if (text && parse_bool(text, &is_wanted) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "perf-buffers: '%.64s' is neither true nor false", text);
        r = is_wanted ? host_btf_hide(RING_HELPERS) : 0;
        return r < 0 ? error_set(err, ERROR_UNAVAILABLE, r,
                                 "perf-buffers: this kernel has no BTF, by which a gadget could be "
                                 "told of it")
                     : 0;
}

int buffers_choose(struct gadget *g, struct error *err) {
        int r = hide_ring_buffers(g, err);

        if (r < 0 || host_btf_has(RING_HELPER))
                return r;
        for (size_t i = 0; i < g->n_sources; i++) {
                struct bpf_map *map = g->sources[i].map;

                if (!map || bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
                        continue;
                log_debug("map '%s' becomes a perf event array: there are no ring buffers",
                          bpf_map__name(map));
                buffer_be_perf(map, g->start->n_cpus);
        }
        return 0;
}
