/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Binary logarithms, for the slots of a histogram: slot n counts the values from 2^n to 2^(n+1)
 * - 1. */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_helpers.h>

/* The compiler takes these names for the functions of math.h, which no BPF program can call. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wincompatible-library-redeclaration"

/* The position of the highest bit; 0 for 0. */
static __always_inline __u64 log2(__u32 v) {
        __u64 result = 0;

        for (int shift = 16; shift > 0; shift /= 2) {
                if (v >> shift) {
                        v >>= shift;
                        result += shift;
                }
        }
        return result;
}

static __always_inline __u64 log2l(__u64 v) {
        __u32 high = v >> 32;

        return high ? 32 + log2(high) : log2((__u32)v);
}

#pragma clang diagnostic pop

/* get_slot_idx(value[, n_slots]): the slot that counts value; what is too large goes into the last
 * one. */
#define get_slot_idx(...) GADGET_SLOT_PICK(__VA_ARGS__, GADGET_SLOT_2, GADGET_SLOT_1, )(__VA_ARGS__)
#define GADGET_SLOT_PICK(_1, _2, _chosen, ...) _chosen
#define GADGET_SLOT_1(_value) log2l(_value)
#define GADGET_SLOT_2(_value, _n_slots)                                                            \
        ({                                                                                         \
                __u64 _slot = log2l(_value);                                                       \
                _slot >= (_n_slots) ? (_n_slots)-1 : _slot;                                        \
        })
