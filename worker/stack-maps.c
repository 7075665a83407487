/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/stack-maps.h"

#include "worker/kernel-stack.h"
#include "worker/user-stack.h"

static struct stack_map {
        const char *name;
        enum bpf_map_type type;
        void (*set)(int fd, uint32_t value_size);
        int fd;
} maps[] = {
        { "ig_kstack", BPF_MAP_TYPE_STACK_TRACE, kernel_stack_set_map, -1 },
        { "ig_ustack", BPF_MAP_TYPE_STACK_TRACE, user_stack_set_map, -1 },
        { "ig_build_id", BPF_MAP_TYPE_HASH, user_stack_set_build_ids, -1 },
};

int stack_maps_open(const struct gadget *g, struct error *err) {
        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                struct bpf_map *map = bpf_object__find_map_by_name(g->object, maps[i].name);
                int r;

                if (!map || bpf_map__type(map) != maps[i].type)
                        continue;
                r = host_map_fd(bpf_map__fd(map), &maps[i].fd);
                if (r < 0)
                        return error_set(err, ERROR_UNAVAILABLE, r, "map '%s' cannot be read: %s",
                                         maps[i].name, strerror(-r));
                maps[i].set(maps[i].fd, bpf_map__value_size(map));
        }
        return 0;
}

void stack_maps_close(void) {
        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                maps[i].set(-1, 0);
                close_fd(&maps[i].fd);
        }
}
