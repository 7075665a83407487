/* SPDX-License-Identifier: Apache-2.0 */
/* The list of libraries that ldconfig leaves in /etc/ld.so.cache, of a container: bounded, whatever
 * is in it. */
#pragma once

#include "base/error.h"

/* The path of a library ("libssl", "libssl.so.3") into path; -ENOENT. */
int ld_cache_find(int fd, const char *name, char *path, size_t room, struct error *err);
