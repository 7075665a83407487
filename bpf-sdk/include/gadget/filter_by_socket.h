/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filtering by whose socket it is. Comes with filter.h and sockets-map.h, whichever is included
 * second. */
#pragma once

#include <gadget/filter.h>
#include <gadget/sockets-map.h>

static __always_inline bool gadget_filters_by_process(void) {
        return targ_pid != 0 || targ_tid != 0 || targ_uid != GADGET_ANY_ID ||
               targ_gid != GADGET_ANY_ID || targ_comm[0] != '\0';
}

/* A socket that nobody is known to own passes only when nothing is filtered by. */
static __always_inline bool
gadget_should_discard_data_by_skb(const struct gadget_socket_value *value) {
        if (!value)
                return gadget_filter_by_mntns || gadget_filters_by_process();
        return gadget_should_discard_data(value->mntns, value->pid_tgid >> 32,
                                          (__u32)value->pid_tgid, value->task,
                                          (__u32)value->uid_gid, value->uid_gid >> 32);
}

#ifdef GADGET_TYPE_NETWORKING
/* As above, for a socket filter that runs in the network namespaces of the chosen containers
 * (skb->cb[1] is 0 there): a packet of nobody that is known is of one of these. */
static __always_inline bool gadget_should_discard_packet(const struct __sk_buff *skb,
                                                         const struct gadget_socket_value *value) {
        if (!value && !skb->cb[1])
                return gadget_filters_by_process();
        return gadget_should_discard_data_by_skb(value);
}
#endif
