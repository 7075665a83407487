/* SPDX-License-Identifier: Apache-2.0 */
/* Where a program is to be attached on the host, checked; and the ways there that have a file of
 * their own. */
#pragma once

#include <net/if.h>

#include "broker/broker.h"

struct place {
        struct broker *broker;
        const struct program_type *type;
        const struct object *prog;
        int map_fd;
        bool is_return;           /* of functions: when they return */
        char interface[IFNAMSIZ]; /* "" = none is named */
        char hook[128];           /* "" = the type has none: a pattern of functions, FAMILY/HOOK */
};

/* Each makes a link: its fd, or -errno. */

/* All functions of the kernel whose names match (functions.c). */
int link_functions(const struct place *place);

/* A hook of the packet filter, such as ipv4/input (netfilter.c). */
int link_netfilter(const struct place *place);
