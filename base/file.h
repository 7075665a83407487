/* SPDX-License-Identifier: Apache-2.0 */
/* Files relative to directory fds. Names that come from images or clients go through open_beneath()
 * only. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/util.h"

/* openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS), O_CLOEXEC added. fd or
 * -errno. */
int open_beneath(int dir_fd, const char *path, int flags, mode_t mode);

/* Reads the whole file (from offset 0, by pread) into b; -EFBIG past b->max. */
int read_fd(int fd, struct buf *b);
int read_file_at(int dir_fd, const char *path, struct buf *b);

/* Writes all, through EINTR and short writes. */
int write_all(int fd, const void *data, size_t n);

/* Creates or replaces dir_fd/name: temp file, write, fsync, rename, fsync of the directory. */
int write_file_atomic(int dir_fd, const char *name, const void *data, size_t n, mode_t mode);

/* mkdir -p; existing directories are fine. Opens the last one when ret_fd is not NULL. */
int make_dirs(int dir_fd, const char *path, mode_t mode, int *ret_fd);

/* rm -rf below and including dir_fd/name, never following links. -ENOENT is success. */
int remove_tree(int dir_fd, const char *name);

/* A memfd with this content, sealed against every change; name is for /proc only. fd or -errno. */
int memfd_sealed(const char *name, const void *data, size_t n);

/* A memfd of n zero bytes, sealed against resizing only. fd or -errno. */
int memfd_sized(const char *name, size_t n);

/* socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK). */
int socket_pair(int type, int *ret_a, int *ret_b);
