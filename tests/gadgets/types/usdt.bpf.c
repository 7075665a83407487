/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "type.h"

#include <bpf/usdt.bpf.h>

/* The program with the probe. */
const volatile char path[256] = "";
GADGET_PARAM(path);

SEC("usdt/PROGRAM:gadget_test:ping")
int BPF_USDT(on_ping, int value) {
        put_current(ctx, 1, value);
        return 0;
}
