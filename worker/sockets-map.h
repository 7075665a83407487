/* SPDX-License-Identifier: Apache-2.0 */
/* The map behind gadget/sockets-map.h: one for the host, which gadgetd keeps filled. */
#pragma once

#include "worker/gadget.h"

/* Before the object is loaded, and before libbpf reads the kernel's types: makes the gadget's map
 * fit the one that there is, and says where the fields of its values lie; those that are optional
 * are there if the gadget's object, an ELF file, refers to one of them. A gadget without such a
 * map is left as it is; where there is none for it, it goes on with one that stays empty, and says
 * so. */
int sockets_map_prepare(struct gadget *g, struct bytes object, struct error *err);
