/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Container filtering. Which containers are of interest is decided outside and can change while the
 * gadget runs: the map is written by gadgetd's broker alone, the variable is set before the object
 * is loaded.
 */
#pragma once

#include <gadget/mntns.h>

#include <bpf/bpf_helpers.h>

#ifndef GADGET_MNTNS_FILTER_MAX
#define GADGET_MNTNS_FILTER_MAX 1024
#endif

/* false: everything on the host is of interest. */
const volatile bool gadget_filter_by_mntns = false;

/* The mount namespaces of interest. Preallocated: before 6.1 perf_event programs may use no other.
 */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, GADGET_MNTNS_FILTER_MAX);
        __type(key, gadget_mntns_id);
        __type(value, __u32);
} gadget_mntns_filter_map SEC(".maps");

/* Call it before any other work: it is what keeps a gadget cheap for everybody who is not being
 * watched. */
static __always_inline bool gadget_should_discard_mntns_id(gadget_mntns_id mntns_id) {
        return gadget_filter_by_mntns && !bpf_map_lookup_elem(&gadget_mntns_filter_map, &mntns_id);
}
