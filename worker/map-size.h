/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large the maps are made. A gadget declares them for all that it can do; what the present
 * parameters leave unused is made with one entry, since every preallocated entry is kernel memory
 * for as long as the gadget runs: maps of programs that are switched off, and those of the SDK that
 * are only used while a variable is true.
 */
#pragma once

#include "base/error.h"

struct gadget;

struct map_sizes {
        uint64_t declared_bytes; /* as the object has them, with sizes that variables say */
        uint64_t bytes;          /* as they are made */
};

/* Between attach_prepare() and bpf_object__load(); elf is what the object was opened from. Into the
 * gadget's map_sizes. */
int map_sizes_apply(struct gadget *g, struct bytes elf, struct error *err);
