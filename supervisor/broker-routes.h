/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker may say in which state, as a table, and what follows from it. */
#pragma once

#include "ipc/channel.h"

/* The owner is a struct broker. */
extern const struct channel_ops broker_channel_ops;
