/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The six calls with addresses, for IPv4 or IPv6. */
#pragma once

#include "type.h"

#define ALLOW 1
#define ON_CALL(_section, _name, _hook)                                                            \
        SEC(_section) int _name(struct bpf_sock_addr *ctx) {                                       \
                if (ctx->user_port == bpf_htons(TEST_PORT))                                        \
                        put(ctx, _hook, TEST_PORT, 0);                                             \
                return ALLOW;                                                                      \
        }
