/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#define IN_PLACE
#include "socket_writer.bpf.c"
