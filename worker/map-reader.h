/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a whole hash map or array into an array of rows, taking the entries out if asked to. Whole
 * batches where the kernel can, else entry by entry. Programs go on writing meanwhile: an entry is
 * seen as it is when its turn comes, and one that is taken is taken once.
 */
#pragma once

#include "worker/array.h"

struct map_reader {
        int fd; /* real, or as good as one through the broker */
        uint32_t key_size;
        uint32_t value_size;
        uint32_t value_offset; /* in an event: behind the key */
        uint32_t max_entries;
        uint32_t n_batch; /* entries of a batch; grows when a bucket of the map is longer */
        bool takes;       /* entries are deleted as they are read */
        bool has_batch;   /* until the kernel says no */
};

int map_reader_init(struct map_reader *m, const struct source *source, bool takes,
                    struct error *err);
void map_reader_done(struct map_reader *m);

/* Adds every entry to the open array. The errno of what the kernel refused; rows read before
 * stay. */
int map_reader_read(struct map_reader *m, struct array *a, struct drain *d);
