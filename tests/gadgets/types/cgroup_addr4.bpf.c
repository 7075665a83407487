/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cgroup_addr.h"

ON_CALL("cgroup/bind4", on_bind, 1)
ON_CALL("cgroup/connect4", on_connect, 2)
ON_CALL("cgroup/sendmsg4", on_sendmsg, 3)
ON_CALL("cgroup/recvmsg4", on_recvmsg, 4)
ON_CALL("cgroup/getpeername4", on_getpeername, 5)
ON_CALL("cgroup/getsockname4", on_getsockname, 6)
