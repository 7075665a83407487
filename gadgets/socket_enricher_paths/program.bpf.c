/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* socket_enricher with the optional fields of struct gadget_socket_value: gadgetd runs it as well
 * while a gadget reads them, so that nobody else pays for them. */
#define WITH_PATHS
#include "../socket_enricher/program.bpf.c"
