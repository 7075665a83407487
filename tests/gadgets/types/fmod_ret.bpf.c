/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

SEC("fmod_ret/security_inode_rmdir")
int BPF_PROG(on_rmdir, struct inode *dir, struct dentry *dentry, int result) {
        put_current(ctx, 1, -result);
        return result;
}
