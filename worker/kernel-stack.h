/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel stacks as text: the addresses are in a map of the gadget, the names of the functions are
 * the broker's to say. What it said is remembered for a minute.
 */
#pragma once

#include "base/util.h"

/* Who is asked for names of 1 to LIMIT_STACK_FRAMES_MAX addresses: writes for each its length (one
 * byte) and the name, returns the bytes written, or is negative. */
void kernel_stack_set_source(int (*ask)(const uint64_t *addresses, size_t n, uint8_t *out,
                                        size_t room));

/* The map of stacks, by its id; the fd is borrowed. value_size: of the map. fd -1: there is none.
 */
void kernel_stack_set_map(int fd, uint32_t value_size);

/*
 * The innermost function first: "a; b; c". Writes to out, which has room for LIMIT_STACK_TEXT_MAX,
 * and returns the length. id: what bpf_get_stackid() said. A stack that could not be kept is "[no
 * stack: EEXIST]", a function without a name "[unknown]"; nothing is said of -EFAULT, as it
 * was not in the kernel, and of an id that the map does not have.
 */
uint32_t kernel_stack_text(uint32_t id, char *out);

/* Forgets the names when the last time was a minute ago. */
void kernel_stack_expire(uint64_t now_ns);
