/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Filtering by process. Including this header gives the gadget the parameters --pid, --tid, --comm,
 * --uid and --gid, and container filtering. What the user leaves out costs nothing: the variables
 * are constants to the verifier, which removes the comparison.
 */
#pragma once

#include <gadget/macros.h>
#include <gadget/mntns_filter.h>

#include <bpf/bpf_helpers.h>

#define GADGET_ANY_ID ((__u32)-1)

const volatile gadget_pid targ_pid = 0;
const volatile gadget_tid targ_tid = 0;
const volatile gadget_uid targ_uid = GADGET_ANY_ID;
const volatile gadget_gid targ_gid = GADGET_ANY_ID;
const volatile gadget_comm targ_comm[TASK_COMM_LEN] = {};

GADGET_PARAM(targ_pid);
GADGET_PARAM(targ_tid);
GADGET_PARAM(targ_uid);
GADGET_PARAM(targ_gid);
GADGET_PARAM(targ_comm);

static __always_inline bool gadget_should_discard_pid(gadget_pid pid) {
        return targ_pid != 0 && targ_pid != pid;
}

static __always_inline bool gadget_should_discard_tid(gadget_tid tid) {
        return targ_tid != 0 && targ_tid != tid;
}

static __always_inline bool gadget_should_discard_uid(gadget_uid uid) {
        return targ_uid != GADGET_ANY_ID && targ_uid != uid;
}

static __always_inline bool gadget_should_discard_gid(gadget_gid gid) {
        return targ_gid != GADGET_ANY_ID && targ_gid != gid;
}

/* The kernel cuts names at 15 characters, and so does whoever sets targ_comm. */
static __always_inline bool gadget_should_discard_comm(const gadget_comm comm[TASK_COMM_LEN]) {
        if (targ_comm[0] == '\0')
                return false;
#pragma unroll
        for (int i = 0; i < TASK_COMM_LEN; i++) {
                if (comm[i] != targ_comm[i])
                        return true;
                if (comm[i] == '\0')
                        break;
        }
        return false;
}

/* For programs that know whom an event is about from elsewhere than the current task. */
static __always_inline bool gadget_should_discard_data(gadget_mntns_id mntns_id, gadget_pid pid,
                                                       gadget_tid tid,
                                                       const gadget_comm comm[TASK_COMM_LEN],
                                                       gadget_uid uid, gadget_gid gid) {
        return gadget_should_discard_mntns_id(mntns_id) || gadget_should_discard_pid(pid) ||
               gadget_should_discard_tid(tid) || gadget_should_discard_uid(uid) ||
               gadget_should_discard_gid(gid) || gadget_should_discard_comm(comm);
}

/* For the current task; asks the kernel only for what is being filtered by. */
static __always_inline bool gadget_should_discard_data_current(void) {
        if (gadget_filter_by_mntns && gadget_should_discard_mntns_id(gadget_get_current_mntns_id()))
                return true;
        if (targ_pid != 0 || targ_tid != 0) {
                __u64 pid_tgid = bpf_get_current_pid_tgid();

                if (gadget_should_discard_pid(pid_tgid >> 32) ||
                    gadget_should_discard_tid((__u32)pid_tgid))
                        return true;
        }
        if (targ_uid != GADGET_ANY_ID || targ_gid != GADGET_ANY_ID) {
                __u64 uid_gid = bpf_get_current_uid_gid();

                if (gadget_should_discard_uid((__u32)uid_gid) ||
                    gadget_should_discard_gid(uid_gid >> 32))
                        return true;
        }
        if (targ_comm[0] != '\0') {
                gadget_comm comm[TASK_COMM_LEN] = {};

                bpf_get_current_comm(comm, sizeof(comm));
                if (gadget_should_discard_comm(comm))
                        return true;
        }
        return false;
}

/* gadget_should_discard_data_by_skb(), when sockets-map.h is there as well. */
#define GADGET_HAS_FILTER
#ifdef GADGET_HAS_SOCKETS_MAP
#include <gadget/filter_by_socket.h>
#endif
