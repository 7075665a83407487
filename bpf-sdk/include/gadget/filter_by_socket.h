/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filtering by whose socket it is. Comes with filter.h and sockets-map.h, whichever is included
 * second. */
#pragma once

#include <gadget/filter.h>
#include <gadget/sockets-map.h>

/* A socket that nobody is known to own passes only when nothing is filtered by. */
static __always_inline bool
gadget_should_discard_data_by_skb(const struct gadget_socket_value *value) {
        if (!value)
                return gadget_filter_by_mntns || targ_pid != 0 || targ_tid != 0 ||
                       targ_uid != GADGET_ANY_ID || targ_gid != GADGET_ANY_ID ||
                       targ_comm[0] != '\0';
        return gadget_should_discard_data(value->mntns, value->pid_tgid >> 32,
                                          (__u32)value->pid_tgid, value->task,
                                          (__u32)value->uid_gid, value->uid_gid >> 32);
}
