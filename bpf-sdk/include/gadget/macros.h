/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How an object says what it offers. Each macro defines a variable whose name carries the
 * statement; nobody reads its value. gadgetd lists the variables of the object's BTF, so that
 * nothing of this has to be repeated in gadget.yaml.
 */
#pragma once

#include <gadget/types.h>

/* The name is the message: external, so that it gets into BTF, and kept although nothing refers to
 * it. */
#define GADGET_ANCHOR(_name) const void *_name __attribute__((unused))

/* A pointer to the type is the least that makes the compiler write the struct into BTF. */
#define GADGET_TYPE_ANCHOR(_name, _type) const struct _type *_name __attribute__((unused))

/* Data source _name: each sample of ring or perf buffer _map is one struct _type. */
#define GADGET_TRACER(_name, _map, _type)                                                          \
        GADGET_ANCHOR(gadget_tracer_##_name##___##_map##___##_type);                               \
        GADGET_TYPE_ANCHOR(__gadget_tracer_type_##_name, _type)

/* Data source _name: the entries of hash map _map, key and value both structs, read again and
 * again. */
#define GADGET_MAPITER(_name, _map) GADGET_ANCHOR(gadget_mapiter_##_name##___##_map)

/* Data source _name: what one to three iterator programs write, one struct _type after the other.
 */
#define GADGET_ITER(_name, _type, ...)                                                             \
        GADGET_ITER_PICK(__VA_ARGS__, GADGET_ITER_3, GADGET_ITER_2, GADGET_ITER_1, )               \
        (_name, _type, __VA_ARGS__);                                                               \
        GADGET_TYPE_ANCHOR(unusedevent_##_name##___##_type, _type)
#define GADGET_ITER_PICK(_1, _2, _3, _chosen, ...) _chosen
#define GADGET_ITER_1(_name, _type, _p1) GADGET_ANCHOR(gadget_iter_##_name##___##_type##___##_p1)
#define GADGET_ITER_2(_name, _type, _p1, _p2)                                                      \
        GADGET_ANCHOR(gadget_iter_##_name##___##_type##___##_p1##___##_p2)
#define GADGET_ITER_3(_name, _type, _p1, _p2, _p3)                                                 \
        GADGET_ANCHOR(gadget_iter_##_name##___##_type##___##_p1##___##_p2##___##_p3)

/* The older name of GADGET_ITER. */
#define GADGET_SNAPSHOTTER(_name, _type, ...) GADGET_ITER(_name, _type, __VA_ARGS__)

/* The user may set `const volatile` variable _var. Its key is its name unless gadget.yaml gives
 * another one. */
#define GADGET_PARAM(_var) GADGET_ANCHOR(gadget_param_##_var)

/* iter/bpf_map_elem program _prog walks over map _map. */
#define GADGET_ITER_TARGET_MAP(_prog, _map)                                                        \
        GADGET_ANCHOR(gadget_mapelem_iter_target_##_prog##___##_map)

/* sk_skb or sk_msg program _prog is attached to sockmap _map. */
#define GADGET_SK_TARGET_MAP(_prog, _map) GADGET_ANCHOR(gadget_sk_prog_target_##_prog##___##_map)
