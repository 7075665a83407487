/* SPDX-License-Identifier: Apache-2.0 */
/* How instances are called: names that users give, names made up for them, and ids. */
#pragma once

#include "base/error.h"
#include "gadget/api.h"

#define INSTANCE_ID_LEN 64

/* Letters, digits, '_', '-' and '.', beginning with a letter or digit; not 64 hex digits, which
 * would be an id. */
int instance_name_check(const char *name, struct error *err);

/* "calm_otter"; `attempt` beyond the first few adds a number. */
void instance_name_generate(unsigned int attempt, char ret[LIMIT_NAME_MAX_LEN + 1]);

/* 64 random hex digits. */
void instance_id_generate(char ret[INSTANCE_ID_LEN + 1]);

bool instance_id_is_valid(const char *text);
