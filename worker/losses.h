/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gadget's own count of what it could not send, or not put into a full map:
 * <map>_lost_samples, a counter of each CPU that only grows.
 */
#pragma once

#include "worker/gadget.h"

struct losses {
        int fd;          /* -1 = the gadget does not count */
        uint64_t *slots; /* one a CPU */
        uint32_t n_cpus;
        uint64_t counted; /* as read last */
};

int losses_init(struct losses *l, const struct source *source, uint32_t n_cpus, struct error *err);
void losses_done(struct losses *l);

static inline bool losses_are_counted(const struct losses *l) {
        return l->fd >= 0;
}

/* Books what is new for this data source. */
int losses_read(struct losses *l, uint16_t stream, struct ring_writer *out);
