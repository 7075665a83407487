/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kernel buffer a tracer has. GADGET_TRACER_MAP() declares a ring buffer, which kernels have
 * since 5.8; on an older one the map of the same name becomes a perf event array. The gadget's code
 * has both ways in it, and CO-RE takes one by what the kernel's BTF has: it is asked here as well,
 * so that map and code cannot differ.
 */
#pragma once

#include "worker/gadget.h"

/* Between the parameters and bpf_object__load(). */
int buffers_choose(struct gadget *g, struct error *err);

/* Makes the map a perf event array. What a declaration says of its value was for us. */
void buffer_be_perf(struct bpf_map *map, uint32_t n_cpus);
