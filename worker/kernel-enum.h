/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enums of the kernel: an object has them as they were in the kernel that its headers are of, the
 * one that runs knows better. By name, without what follows "___" (CO-RE's flavours), and only if
 * both have at least one value of the same name: an enum of the gadget's own may be called the
 * same.
 */
#pragma once

#include "worker/types.h"

/* The kernel's values in place of the object's, for all that the kernel has. */
int kernel_enums_apply(struct type_enums *enums, struct error *err);
void kernel_enum_done(struct type_enum *item);
