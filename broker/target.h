/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs and libraries that uprobes go into, each once however many containers have it: in
 * the host, and in the roots of containers. When the last one that has it ends, its probes go.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct broker;

/* What makes a file the same file. Several mounts of one overlay show one file of a lower layer
 * under several device numbers; probes are in the file below. */
struct target_key {
        uint64_t dev; /* 0 = of an overlay, and then the rest tells */
        uint64_t ino;
        uint64_t size;
        uint64_t mtime_ns;
        uint64_t ctime_ns;
};

struct target {
        uint32_t id;
        struct target_key key;
        char *path;      /* where it was found first */
        int fd;          /* for reading: the kernel is told the file by it */
        uint64_t *users; /* mount namespaces; 0 = the host */
        size_t n_users;
};

struct target_table {
        struct target *items;
        size_t n;
        uint32_t last_id;
};

/* NULL = there is none (any more). */
const struct target *target_find(const struct broker *b, uint32_t id);

/* The container has ended, or lets nobody in: what only it has is taken out of. */
void targets_leave(struct broker *b, uint64_t mntns);
void targets_done(struct broker *b);
