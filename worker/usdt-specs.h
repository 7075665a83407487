/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of __bpf_usdt_specs that are in use: places whose arguments lie alike share one. */
#pragma once

#include "base/error.h"

struct bpf_object;

/* Finds the map. -EINVAL: the object has none of this build's layout. */
int usdt_specs_init(const struct bpf_object *object, struct error *err);

/* The row for these arguments. */
int usdt_specs_use(const char *args, uint32_t *ret, struct error *err);
void usdt_specs_drop(uint32_t spec);
void usdt_specs_done(void);
