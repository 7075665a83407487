/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large the maps are made. A gadget declares them for all that it can do; what the present
 * parameters leave unused is made with one entry, since every preallocated entry is kernel memory
 * for as long as the gadget runs.
 */
#pragma once

#include <bpf/libbpf.h>

#include "base/error.h"

struct map_sizes {
        uint64_t declared_bytes; /* as the object has them, with sizes that variables say */
        uint64_t bytes;          /* as they are made */
};

/* Between the parameters and bpf_object__load(). */
int map_sizes_apply(struct bpf_object *object, uint32_t n_cpus, struct map_sizes *ret,
                    struct error *err);
