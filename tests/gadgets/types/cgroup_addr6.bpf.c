/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cgroup_addr.h"

ON_CALL("cgroup/bind6", on_bind, 1)
ON_CALL("cgroup/connect6", on_connect, 2)
ON_CALL("cgroup/sendmsg6", on_sendmsg, 3)
ON_CALL("cgroup/recvmsg6", on_recvmsg, 4)
ON_CALL("cgroup/getpeername6", on_getpeername, 5)
ON_CALL("cgroup/getsockname6", on_getsockname, 6)
