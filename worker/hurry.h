/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a gadget does not wait for ever: what is looked up outside for the last rows
 * (functions on stacks) is looked up until a deadline. Rows that come later go without.
 */
#pragma once

#include "base/util.h"

/* From now on there is so much time left. */
void hurry(uint64_t time_ns);

/* True when it is over; says so once in the log. Never before hurry(). */
bool hurry_is_over(void);
