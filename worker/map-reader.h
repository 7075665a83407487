/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a whole hash map or array into an array of rows, taking the entries out if asked to. Whole
 * batches where the kernel can, else entry by entry. Programs go on writing meanwhile: an entry is
 * seen as it is when its turn comes, and one that is taken is taken once. Of a per-CPU map the
 * values of all CPUs are one (worker/per-cpu.h).
 */
#pragma once

#include "worker/array.h"
#include "worker/per-cpu.h"

struct map_reader {
        int fd; /* real, or as good as one through the broker */
        uint32_t key_size;
        uint32_t value_size;   /* of one CPU */
        uint32_t value_offset; /* in an event: behind the key */
        uint32_t max_entries;
        uint32_t n_batch; /* entries of a batch; grows when a bucket of the map is longer */
        bool takes;       /* entries are deleted as they are read */
        bool has_batch;   /* until the kernel says no */
        bool is_per_cpu;
        struct per_cpu per_cpu;
};

int map_reader_init(struct map_reader *m, const struct source *source, uint32_t n_cpus, bool takes,
                    struct error *err);
void map_reader_done(struct map_reader *m);

/* Adds every entry to the open array. The errno of what the kernel refused; rows read before
 * stay. */
int map_reader_read(struct map_reader *m, struct array *a, struct drain *d);
