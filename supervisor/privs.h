/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says about a live broker and worker: nothing here is what we asked for, all of it
 * is read back from /proc. */
#pragma once

#include "base/buf.h"

struct instance;

/* Appends {"broker": PROCESS, "worker": PROCESS}; a process that does not exist (any more) is the
 * empty map. PROCESS = {pid, uid, gid, groups, capabilities {inheritable, permitted, effective,
 * bounding, ambient: [names]}, no_new_privs, seccomp, seccomp_filters, threads, namespaces {name:
 * {inode, own}}, limits {name: {soft, hard}}, cgroups [{hierarchy, path, memory_max, pids_max}],
 * root {entries, mounts}, fds [{fd, kind}]} */
void privs_pack(const struct instance *in, struct buf *out);
