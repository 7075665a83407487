/* SPDX-License-Identifier: Apache-2.0 */
/* gadgetd's own privileges: root, but only with the capabilities that it or its brokers use. */
#pragma once

#include "base/error.h"

/* Drops every capability that is not in the table from the bounding set and from our own sets.
 * -EPERM when not root. */
int privileges_trim(struct error *err);
