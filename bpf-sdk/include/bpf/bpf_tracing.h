/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* libbpf's header of this name, and what it lacks. */
#pragma once

#include_next <bpf/bpf_tracing.h>

#include <gadget/libbpf_compat.h>
