/* SPDX-License-Identifier: Apache-2.0 */
/* The methods image.*; image.inspect is answered when the gadget's inspecting run has ended or said
 * what it is. */
#pragma once

#include "base/util.h"

struct client;
struct instance;

void image_inspect_answer(struct client *client, uint32_t id, struct instance *in);
