/* SPDX-License-Identifier: Apache-2.0 */
/* The SDK's maps of stacks, where the gadget has them, opened for those who put names to them. */
#pragma once

#include "worker/gadget.h"

int stack_maps_open(const struct gadget *g, struct error *err);
void stack_maps_close(void);
