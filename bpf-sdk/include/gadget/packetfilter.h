/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packet filters in tcpdump's language: GADGET_PF(name) defines a function that lets every packet
 * pass, and whose instructions a loader may replace by those of an expression that the user gives
 * when the gadget is started. gadgetd does not do that yet: it refuses --pf and --pf-name as
 * unknown, and every packet passes. Ask it with
 *
 *   if (!gadget_pf_matches(name, skb, (void *)(long)skb->data, (void *)(long)skb->data_end))
 *           return TC_ACT_UNSPEC;
 *
 * where the name is left out for the filter without one.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_helpers.h>

/* Its data stands in the fourth and fifth argument, so that the first three registers are free for
 * the filter's own use. The empty assembly keeps the compiler from reasoning about a body that is
 * not the one that will run. */
#define GADGET_PF(_name)                                                                           \
        static __noinline bool gadget_pf_##_name(void *_skb, void *__skb, void *___skb,            \
                                                 void *data, void *data_end) {                     \
                bool matches = true;                                                               \
                                                                                                   \
                asm volatile(""                                                                    \
                             : "+r"(matches)                                                       \
                             : "r"(_skb), "r"(__skb), "r"(___skb), "r"(data), "r"(data_end));      \
                return matches;                                                                    \
        }

#define gadget_pf_matches(...)                                                                     \
        GADGET_PF_PICK(__VA_ARGS__, GADGET_PF_NAMED, GADGET_PF_NAMELESS, )(__VA_ARGS__)
#define GADGET_PF_PICK(_1, _2, _3, _4, _chosen, ...) _chosen
#define GADGET_PF_NAMED(_name, _skb, _data, _data_end)                                             \
        gadget_pf_##_name(_skb, _skb, _skb, _data, _data_end)
#define GADGET_PF_NAMELESS(_skb, _data, _data_end) gadget_pf_(_skb, _skb, _skb, _data, _data_end)
