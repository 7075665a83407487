/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the arguments of a USDT probe are: from the text of its note to what <bpf/usdt.bpf.h> reads
 * in the map __bpf_usdt_specs. The layout is that header's.
 */
#pragma once

#include "base/error.h"

#define USDT_ARGS_MAX 12

enum usdt_arg_type { USDT_ARG_CONST, USDT_ARG_REGISTER, USDT_ARG_MEMORY };

struct usdt_arg {
        uint64_t value;          /* the constant, or what is added to the register */
        uint32_t type;           /* enum usdt_arg_type */
        int16_t register_offset; /* in struct pt_regs */
        uint8_t is_signed;
        int8_t shift; /* bits to clear above the value */
};

struct usdt_spec {
        struct usdt_arg args[USDT_ARGS_MAX];
        uint64_t cookie;
        int16_t n_args;
};

/* "-4@%eax 8@-16(%rbp) 4@$1", as the assembler of this machine writes it. */
int usdt_args_parse(const char *text, struct usdt_spec *ret, struct error *err);
