/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For <bpf/usdt.bpf.h>, which wants the numbers of errors: clang looks for no architecture's
 * headers when it compiles for BPF. They are the same on all that gadgets are built for. */
#pragma once

#include <asm-generic/errno.h>
