/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/needs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>

#include "policy/permissions.h"

/* memlock of fdinfo: what bpftool shows. */
static uint64_t memlock_of(int fd) {
        unsigned long value = 0;
        char path[64], line[128];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                sscanf(line, "memlock: %lu", &value);
        fclose(f);
        return value;
}

static const struct map {
        uint32_t type, key, value, entries, flags;
} maps[] = {
        { BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0 },
        { BPF_MAP_TYPE_ARRAY, 4, 256, 10240, 0 },
        { BPF_MAP_TYPE_ARRAY, 4, 40, 3, BPF_F_MMAPABLE },
        { BPF_MAP_TYPE_ARRAY, 4, 5000, 100, BPF_F_MMAPABLE },
        { BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8192, 1, 0 },
        { BPF_MAP_TYPE_PERCPU_ARRAY, 4, 64, 1000, 0 },
        { BPF_MAP_TYPE_HASH, 4, 8, 1, 0 },
        { BPF_MAP_TYPE_HASH, 8, 8, 10240, 0 },
        { BPF_MAP_TYPE_HASH, 16, 300, 1000, 0 },
        { BPF_MAP_TYPE_PERCPU_HASH, 8, 16, 1024, 0 },
        { BPF_MAP_TYPE_LRU_HASH, 4, 100, 1000, 0 },
        { BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, 64, 1000, 0 },
        { BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0 },
        { BPF_MAP_TYPE_RINGBUF, 0, 0, 1 << 18, 0 },
        { BPF_MAP_TYPE_STACK_TRACE, 4, 127 * 8, 10240, 0 },
        { BPF_MAP_TYPE_STACK_TRACE, 4, 127 * 8, 1, 0 },
        { BPF_MAP_TYPE_QUEUE, 0, 16, 1000, 0 },
        { BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 2, 0 },
        { BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 10, 0 },
};

static void test_estimate_is_near_the_kernels_count(void **state) {
        uint32_t n_cpus = (uint32_t)libbpf_num_possible_cpus();

        (void)state;
        test_needs(NEED_BPF_SOCKET); /* maps of every kind here are then possible too */
        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                const struct map *m = &maps[i];
                struct bpf_map_create_opts opts = { .sz = sizeof(opts), .map_flags = m->flags };
                cleanup_close int fd = bpf_map_create((enum bpf_map_type)m->type, "estimated",
                                                      m->key, m->value, m->entries, &opts);
                uint64_t estimate =
                        map_bytes_estimate(m->type, m->key, m->value, m->entries, m->flags, n_cpus);
                uint64_t counted;

                assert_true(fd >= 0);
                counted = memlock_of(fd);
                /* Kernels before 6.4 round a formula of their own up to pages; there is nothing to
                 * compare with. */
                if (i == 0 && counted % 4096 == 0) {
                        fprintf(stderr,
                                "SKIP-REASON memlock: this kernel does not count the memory "
                                "of maps\n");
                        skip();
                }
                if (estimate < counted - counted / 10 || estimate > counted + counted / 10)
                        fail_msg("%s, key %u, value %u, %u entries: estimated %lu, the kernel "
                                 "counts %lu",
                                 map_type_name(m->type), m->key, m->value, m->entries, estimate,
                                 counted);
        }
}

/* The largest attributes saturate instead of wrapping around. */
static void test_extremes(void **state) {
        (void)state;
        for (uint32_t type = 0; type < 40; type++) {
                uint64_t largest =
                        map_bytes_estimate(type, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0, 8192);
                uint64_t smallest = map_bytes_estimate(type, 0, 0, 0, 0, 1);

                assert_true(smallest < 1 << 20);
                assert_true(largest >= smallest);
                assert_true(largest >= UINT32_MAX / 8);
        }
        assert_true(map_bytes_estimate(BPF_MAP_TYPE_HASH, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0,
                                       1) == UINT64_MAX);
}

/* More of anything never takes less. */
static void test_monotonic(void **state) {
        (void)state;
        for (uint32_t type = 1; type < 34; type++)
                for (uint32_t entries = 1; entries < 1 << 20; entries <<= 1) {
                        uint64_t here = map_bytes_estimate(type, 8, 64, entries, 0, 2);

                        assert_true(map_bytes_estimate(type, 8, 64, entries + 1, 0, 2) >= here);
                        assert_true(map_bytes_estimate(type, 8, 65, entries, 0, 2) >= here);
                        assert_true(map_bytes_estimate(type, 8, 64, entries, 0, 3) >= here);
                }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimate_is_near_the_kernels_count),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_monotonic),
};
TEST_MAIN("policy-map-bytes", tests)
