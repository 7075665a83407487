/* SPDX-License-Identifier: Apache-2.0 */
/* Repeatable randomness for property tests: splitmix64, seeded with a constant or GADGET_TEST_SEED.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>

#include "base/util.h"

struct random {
        uint64_t state;
};

/* Prints the seed, so that a failure can be run again. */
static inline struct random random_init(const char *name) {
        const char *text = getenv("GADGET_TEST_SEED");
        uint64_t seed = text ? strtoull(text, NULL, 0) : 20240607;

        printf("%s: GADGET_TEST_SEED=%" PRIu64 "\n", name, seed);
        return (struct random){ seed };
}

static inline uint64_t random_u64(struct random *r) {
        uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

/* 0 to n - 1. */
static inline uint64_t random_below(struct random *r, uint64_t n) {
        return random_u64(r) % n;
}

static inline void random_bytes(struct random *r, uint8_t *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)random_u64(r);
}
