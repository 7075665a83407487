/* SPDX-License-Identifier: Apache-2.0 */
/* What rtnetlink says of the network namespace that we are in. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Numbers, in the host's namespace, of the other ends of this namespace's interfaces (veth), as
 * far as they are there. Returns how many of at most n, or -errno. */
int netlink_peers(int host_netns_fd, uint32_t *ifindexes, size_t n);

/* A socket that has something to read when interfaces of this namespace have come, gone or changed.
 * fd or -errno. */
int netlink_watch_links(void);
/* Reads all of it: what happened is to be asked for. */
void netlink_drain(int fd);
