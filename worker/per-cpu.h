/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value out of those that a per-CPU map has for each CPU. Plain numbers are added up over the
 * CPUs, counters, bytes, durations and histogram slots too: that is what such a map is for.
 * Everything else (text, times, enums, ids, addresses) cannot be added: it is that of the first CPU
 * whose value is not all zeros.
 */
#pragma once

#include "worker/types.h"

struct per_cpu {
        uint32_t n_cpus;
        uint32_t value_size;
        uint32_t stride; /* from one CPU's value to the next */
        struct per_cpu_number {
                uint32_t offset; /* in the value */
                uint32_t size;
                uint32_t n;
        } * numbers;
        size_t n_numbers;
};

/* For values of this size that stand at value_offset in events of this type. -ENOMEM. */
int per_cpu_init(struct per_cpu *p, const struct event_type *type, uint32_t value_offset,
                 uint32_t value_size, uint32_t n_cpus);
void per_cpu_done(struct per_cpu *p);

/* values: n_cpus of them, stride apart; out: one. */
void per_cpu_merge(const struct per_cpu *p, const uint8_t *values, uint8_t *out);
