/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User stacks as text: the addresses are in a map of the gadget, the functions in the files that
 * the process executes, or in files that have the same build id.
 */
#pragma once

#include "base/util.h"

enum user_stack_part {
        USER_STACK_ADDRESSES, /* "[0]0x401136; [1]0x7f31c0..." */
        USER_STACK_BUILD_IDS, /* "[0]5f8e...+0x1136; [1][unknown]" */
        USER_STACK_SYMBOLS,   /* "[0]inner; [1]outer; [2]main" */
};

/* Maps of the SDK, borrowed; fd -1: there is none. value_size: of the map. */
void user_stack_set_map(int fd, uint32_t value_size);
void user_stack_set_build_ids(int fd, uint32_t value_size);

/* stack: what there is of a struct gadget_user_stack; all zero = no stack was taken, and nothing is
 * said. Writes to out, which has room for LIMIT_STACK_TEXT_MAX, and returns the length. */
uint32_t user_stack_text(enum user_stack_part part, struct bytes stack, char *out);
