/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/losses.h"

#include <bpf/bpf.h>

int losses_init(struct losses *l, const struct source *source, uint32_t n_cpus, struct error *err) {
        int r;

        *l = (struct losses){ .fd = -1, .n_cpus = n_cpus };
        if (!source->lost)
                return 0;
        r = host_map_fd(bpf_map__fd(source->lost), &l->fd);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "map '%s' cannot be read: %s",
                                 bpf_map__name(source->lost), strerror(-r));
        l->slots = calloc(n_cpus, sizeof(*l->slots));
        return l->slots ? 0
                        : error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for data source '%s'",
                                    source->name);
}

void losses_done(struct losses *l) {
        close_fd(&l->fd);
        free(l->slots);
        *l = (struct losses){ .fd = -1 };
}

int losses_read(struct losses *l, uint16_t stream, struct ring_writer *out) {
        uint32_t key = 0;
        uint64_t sum = 0;

        if (l->fd < 0)
                return 0;
        if (bpf_map_lookup_elem(l->fd, &key, l->slots) < 0)
                return -errno;
        for (uint32_t i = 0; i < l->n_cpus; i++)
                sum += l->slots[i];
        if (sum != l->counted)
                ring_writer_drop(out, stream, DROP_KERNEL_FULL, sum - l->counted);
        l->counted = sum;
        return 0;
}
