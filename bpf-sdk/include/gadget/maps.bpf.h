/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is missing between looking an entry up and creating it. */
#pragma once

#include <gadget/lost.h>
#include <gadget/types.h>

#include <bpf/bpf_helpers.h>

#ifndef EEXIST
#define EEXIST 17
#endif

/* The entry of key, made from init where there is none yet. NULL when the map is full. */
static __always_inline void *bpf_map_lookup_or_try_init(void *map, const void *key,
                                                        const void *init) {
        void *value = bpf_map_lookup_elem(map, key);
        long r;

        if (value)
                return value;
        r = bpf_map_update_elem(map, key, init, BPF_NOEXIST);
        if (r < 0 && r != -EEXIST) /* another CPU may have been faster */
                return NULL;
        return bpf_map_lookup_elem(map, key);
}

/*
 * The same for a data source's map, which has a GADGET_LOST_COUNTER(map): what finds it full is
 * counted, and NULL. gadget_map_lookup_or_init(&map, &key, &init)
 */
#define gadget_map_lookup_or_init(_map, _key, _init)                                               \
        __gadget_map_lookup_or_init(_map, _map##_lost_samples, _key, _init)

static __always_inline void *__gadget_map_lookup_or_init(void *map, void *lost, const void *key,
                                                         const void *init) {
        void *value = bpf_map_lookup_or_try_init(map, key, init);

        if (!value)
                __gadget_count_lost(lost);
        return value;
}
