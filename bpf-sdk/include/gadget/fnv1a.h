/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * FNV-1a hashes, fed value by value, lowest byte first:
 *
 *   hash = fnv_32a_init();
 *   hash = fnv_32a_update_u64(hash, address);
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_helpers.h>

#define FNV_32_PRIME 0x01000193u
#define FNV_32_INIT 0x811c9dc5u
#define FNV_64_PRIME 0x00000100000001b3ULL
#define FNV_64_INIT 0xcbf29ce484222325ULL

#define GADGET_FNV(_bits)                                                                          \
        static __always_inline __u##_bits fnv_##_bits##a_init(void) {                              \
                return FNV_##_bits##_INIT;                                                         \
        }                                                                                          \
        static __always_inline __u##_bits fnv_##_bits##a_update_u8(__u##_bits hash, __u8 value) {  \
                return (hash ^ value) * FNV_##_bits##_PRIME;                                       \
        }                                                                                          \
        GADGET_FNV_UPDATE(_bits, 16)                                                               \
        GADGET_FNV_UPDATE(_bits, 32)                                                               \
        GADGET_FNV_UPDATE(_bits, 64)

#define GADGET_FNV_UPDATE(_bits, _value_bits)                                                      \
        static __always_inline __u##_bits fnv_##_bits##a_update_u##_value_bits(                    \
                __u##_bits hash, __u##_value_bits value) {                                         \
                for (int i = 0; i < _value_bits; i += 8)                                           \
                        hash = fnv_##_bits##a_update_u8(hash, value >> i);                         \
                return hash;                                                                       \
        }

GADGET_FNV(32)
GADGET_FNV(64)

#undef GADGET_FNV
#undef GADGET_FNV_UPDATE
