/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pid-namespace.h"

#include <sys/stat.h>

/* PID_NS_INIT_INO of linux/nsfs.h, which has it since Linux 6.18. */
#define HOST_INODE 0xEFFFFFFCu

bool pid_namespace_is_host(void) {
        struct stat st;

        return stat("/proc/self/ns/pid", &st) < 0 || st.st_ino == HOST_INODE;
}
