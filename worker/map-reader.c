/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map-reader.h"

#include <bpf/bpf.h>
#include <stdio.h>

#define BATCH_FIRST 256u
#define BATCH_BYTES (4u << 20) /* of values: those of many CPUs are large */
/* Linux's own number for "not supported", which user space has no name for. */
#define ENOTSUPP_OF_LINUX 524

static bool is_array(const struct bpf_map *map) {
        return bpf_map__type(map) == BPF_MAP_TYPE_ARRAY ||
               bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static bool is_per_cpu(const struct bpf_map *map) {
        return bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH ||
               bpf_map__type(map) == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
               bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/* What the kernel copies for one entry: values come in multiples of 8. */
static size_t value_room(const struct map_reader *m) {
        return ALIGN_UP((size_t)m->value_size, 8) * (m->is_per_cpu ? m->per_cpu.n_cpus : 1);
}

/* From one value of a batch to the next. */
static size_t value_step(const struct map_reader *m) {
        return m->is_per_cpu ? value_room(m) : m->value_size;
}

int map_reader_init(struct map_reader *m, const struct source *source, uint32_t n_cpus, bool takes,
                    struct error *err) {
        struct bpf_map *map = source->map;
        int r;

        *m = (struct map_reader){
                .fd = -1,
                .key_size = bpf_map__key_size(map),
                .value_size = bpf_map__value_size(map),
                .value_offset = source->value_offset,
                .max_entries = bpf_map__max_entries(map),
                .takes = takes && !is_array(map),
                .has_batch = true,
                .is_per_cpu = is_per_cpu(map),
        };
        if (m->is_per_cpu &&
            per_cpu_init(&m->per_cpu, source->type, m->value_offset, m->value_size, n_cpus) < 0)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for map '%s'",
                                 bpf_map__name(map));
        m->n_batch =
                (uint32_t)MIN((size_t)BATCH_FIRST, BATCH_BYTES / MAX(value_room(m), (size_t)1));
        m->n_batch = MAX(MIN(m->n_batch, m->max_entries), 1u);
        r = m->takes ? host_map_fd_writable(bpf_map__fd(map), &m->fd)
                     : host_map_fd(bpf_map__fd(map), &m->fd);
        return r < 0 ? error_set(err, ERROR_UNAVAILABLE, r, "map '%s' cannot be read: %s",
                                 bpf_map__name(map), strerror(-r))
                     : 0;
}

void map_reader_done(struct map_reader *m) {
        close_fd(&m->fd);
        per_cpu_done(&m->per_cpu);
        *m = (struct map_reader){ .fd = -1 };
}

/* Room for one read: keys, values, and one event made of both. */
struct entries {
        uint8_t *keys;
        uint8_t *values;
        uint8_t *event;
        uint8_t *position; /* where a batch ended; a key or a bucket's number */
};

static void entries_done(struct entries *e) {
        free(e->keys);
        free(e->values);
        free(e->event);
        free(e->position);
        *e = (struct entries){ 0 };
}

static int entries_init(struct entries *e, const struct map_reader *m, uint32_t n) {
        *e = (struct entries){
                .keys = reallocarray(NULL, n, m->key_size),
                .values = reallocarray(NULL, n, value_room(m)),
                .event = calloc(1, m->value_offset + m->value_size),
                .position = calloc(2, MAX((size_t)m->key_size, sizeof(uint32_t))),
        };
        if (e->keys && e->values && e->event && e->position)
                return 0;
        entries_done(e);
        return -ENOMEM;
}

static void add_entry(const struct map_reader *m, struct entries *e, const uint8_t *key,
                      const uint8_t *value, struct array *a, struct drain *d) {
        memcpy(e->event, key, m->key_size);
        if (m->is_per_cpu)
                per_cpu_merge(&m->per_cpu, value, e->event + m->value_offset);
        else
                memcpy(e->event + m->value_offset, value, m->value_size);
        array_add(a, d, e->event, m->value_offset + m->value_size);
}

/* --- in batches --- */

/* 1 = there is more, 0 = that was all, -errno. */
static int read_batch(struct map_reader *m, struct entries *e, bool is_first, struct array *a,
                      struct drain *d) {
        size_t n_position = MAX((size_t)m->key_size, sizeof(uint32_t));
        uint8_t *out = e->position, *in = e->position + n_position;
        uint32_t count = m->n_batch;
        int r;

        r = m->takes ? bpf_map_lookup_and_delete_batch(m->fd, is_first ? NULL : in, out, e->keys,
                                                       e->values, &count, NULL)
                     : bpf_map_lookup_batch(m->fd, is_first ? NULL : in, out, e->keys, e->values,
                                            &count, NULL);
        if (r < 0)
                r = -errno;
        if (r < 0 && r != -ENOENT)
                return r;
        memcpy(in, out, n_position);
        for (uint32_t i = 0; i < MIN(count, m->n_batch); i++)
                add_entry(m, e, e->keys + (size_t)i * m->key_size,
                          e->values + (size_t)i * value_step(m), a, d);
        return r == -ENOENT ? 0 : 1;
}

static int read_batches(struct map_reader *m, struct array *a, struct drain *d) {
        cleanup(entries_done) struct entries e = { 0 };
        bool is_first = true;
        int r;

        r = entries_init(&e, m, m->n_batch);
        if (r < 0)
                return r;
        for (;;) {
                r = read_batch(m, &e, is_first, a, d);
                if (r == -ENOSPC && m->n_batch < m->max_entries) {
                        uint8_t *position = TAKE_PTR(e.position);

                        /* A bucket that does not fit was left alone: again, with more room, where
                         * the last batch ended. */
                        m->n_batch = MIN(m->n_batch * 2, m->max_entries);
                        entries_done(&e);
                        r = entries_init(&e, m, m->n_batch);
                        free(e.position);
                        e.position = position;
                        if (r < 0)
                                return r;
                        continue;
                }
                if (r <= 0)
                        return r;
                is_first = false;
        }
}

/* --- one by one --- */

static int take_value(const struct map_reader *m, const uint8_t *key, uint8_t *value) {
        int r;

        if (!m->takes)
                return bpf_map_lookup_elem(m->fd, key, value) < 0 ? -errno : 0;
        if (bpf_map_lookup_and_delete_elem(m->fd, key, value) == 0)
                return 0;
        /* Hash maps can do it at once since Linux 5.14. */
        if (errno != EINVAL && errno != EOPNOTSUPP && errno != ENOTSUPP_OF_LINUX)
                return -errno;
        r = bpf_map_lookup_elem(m->fd, key, value) < 0 ? -errno : 0;
        if (r == 0)
                (void)bpf_map_delete_elem(m->fd, key);
        return r;
}

static int read_singly(struct map_reader *m, struct array *a, struct drain *d) {
        cleanup(entries_done) struct entries e = { 0 };
        uint8_t *key, *next;
        /* A key that is deleted under our feet sends us back to the start: this ends it. */
        uint64_t steps = 2 * (uint64_t)m->max_entries + 16;
        int r;

        r = entries_init(&e, m, 2);
        if (r < 0)
                return r;
        key = e.keys;
        next = e.keys + m->key_size;
        r = bpf_map_get_next_key(m->fd, NULL, key) < 0 ? -errno : 0;
        while (r == 0 && steps-- > 0) {
                int more = bpf_map_get_next_key(m->fd, key, next) < 0 ? -errno : 0;

                r = take_value(m, key, e.values);
                if (r == 0)
                        add_entry(m, &e, key, e.values, a, d);
                if (r < 0 && r != -ENOENT)
                        return r;
                r = more;
                memcpy(key, next, m->key_size);
        }
        return r == -ENOENT ? 0 : r;
}

int map_reader_read(struct map_reader *m, struct array *a, struct drain *d) {
        int r;

        if (m->has_batch) {
                r = read_batches(m, a, d);
                if (r != -EINVAL && r != -EOPNOTSUPP && r != -ENOTSUPP_OF_LINUX && r != -ENOSPC)
                        return r;
                /* What has been taken so far is in the array. Kept entries would come twice, but a
                 * kernel that has no batches says so at once, and a batch of all entries has room
                 * for every bucket. */
                m->has_batch = false;
        }
        return read_singly(m, a, d);
}
